// The directory of a zip archive, as torch.save writes them: stored entries, zip64 where needed, data
// descriptors tolerated (sizes come from the central directory). PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "io/byte_source.h"

namespace bsm {

class ZipArchive {
 public:
  struct Entry {
    uint64_t at = 0;    ///< where its content begins in the file
    uint64_t size = 0;  ///< in bytes
    uint32_t crc32 = 0;
  };

  /// Reads the central directory of an archive. Throws Error(kWrongType), with the file's name in the
  /// sentence: no or half a directory, several disks, entries that are compressed, encrypted, outside of the
  /// file, overlapping or named twice; and what ByteSource throws.
  explicit ZipArchive(const ByteSource& file);

  const std::map<std::string_view, Entry>& entries() const { return entries_; }
  /// Null when there is none.
  const Entry* find(std::string_view name) const;

  /// The content of an entry.
  Bytes read(const Entry& entry) const { return file_.read(entry.at, entry.size); }

  /// Whether the content of an entry is what was written.
  static bool checksum_matches(const Entry& entry, const Bytes& content);

 private:
  ByteSource file_;
  Bytes directory_;  // the names point into it
  std::map<std::string_view, Entry> entries_;
};

}  // namespace bsm
