// Output files appear under their final name only when they are complete.
#pragma once

#include <string>

namespace bsm {

/// The name under which a file grows: `path`.part. Destroyed before publish(), it removes that file.
class PartFile {
 public:
  explicit PartFile(std::string path);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::string& final_path() const { return path_; }
  const std::string& part_path() const { return part_path_; }

  /// Flushes the closed part file to the disk and renames it. Throws Error(kOpenWrite).
  void publish();

 private:
  std::string path_, part_path_;
  bool published_ = false;
};

}  // namespace bsm
