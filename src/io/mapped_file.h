// A file as read-only memory. Pages are read when touched, so opening a checkpoint of 770 MB costs nothing by
// itself.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace bsm {

struct MappedFile {
  const std::byte* data = nullptr;
  size_t size = 0;
  std::shared_ptr<const void> owner;  ///< keeps the mapping alive

  /// Throws Error: kNotFound, kOpenRead (also for folders and devices).
  static MappedFile open(const std::string& path);
};

}  // namespace bsm
