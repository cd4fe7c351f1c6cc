// The directory of a zip archive, as torch.save writes them: stored entries, zip64 where needed, data
// descriptors tolerated (sizes come from the central directory). PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace bsm {

class ZipArchive {
 public:
  struct Entry {
    const std::byte* data = nullptr;
    size_t size = 0;
    uint32_t crc32 = 0;
  };

  /// Reads the central directory of an archive in memory that the caller keeps alive. Names point into it.
  /// Throws Error(kWrongType), with `archive_name` in the sentence: no or half a directory, several disks,
  /// entries that are compressed, encrypted, outside of the file, overlapping or named twice.
  ZipArchive(const std::byte* data, size_t size, const std::string& archive_name);

  const std::map<std::string_view, Entry>& entries() const { return entries_; }
  /// Null when there is none.
  const Entry* find(std::string_view name) const;

  /// Whether the bytes of an entry are those that were written.
  static bool checksum_matches(const Entry& entry);

 private:
  std::map<std::string_view, Entry> entries_;
};

}  // namespace bsm
