// A file, or memory, from which ranges of bytes are copied. Files are not mapped: a mapped file that another
// program shortens kills the process that touches it (SIGBUS), and one that is overwritten changes under the
// reader. Only what is asked for is read, of a checkpoint with an optimiser's state the weights alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace bsm {

/// Bytes that do not change any more.
struct Bytes {
  std::shared_ptr<const std::byte[]> data;
  size_t size = 0;
};

class ByteSource {
 public:
  /// The regular file at `path`. Throws Error: kNotFound, kOpenRead (also for folders and devices).
  static ByteSource open(const std::string& path);
  /// Memory that the caller keeps alive (tests, fuzzing). `name` appears in messages.
  static ByteSource of_memory(const std::byte* data, size_t size, const std::string& name);

  const std::string& name() const { return name_; }
  /// In bytes, when it was opened.
  uint64_t size() const { return size_; }

  /// Copies the bytes from `at` on to `out`; they must lie inside of size(). Throws Error(kOpenRead) when the
  /// file cannot be read or has become shorter than it was.
  void read_into(uint64_t at, std::byte* out, size_t bytes) const;

  /// The same into memory of its own. All such copies of one source have at most 16 GiB together, whatever
  /// the file says of itself. Throws Error: kOpenRead, kWrongType (too large), kOutOfMemory.
  Bytes read(uint64_t at, uint64_t bytes) const;

 private:
  std::string name_;
  uint64_t size_ = 0;
  std::shared_ptr<const int> file_;  // a descriptor; null for memory
  const std::byte* memory_ = nullptr;
  mutable uint64_t read_bytes_ = 0;
};

}  // namespace bsm
