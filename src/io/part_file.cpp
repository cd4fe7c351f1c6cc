#include "io/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace bsm {

PartFile::PartFile(std::string path) : path_(std::move(path)), part_path_(path_ + ".part") {}

PartFile::~PartFile() {
  if (!published_) ::unlink(part_path_.c_str());
}

void PartFile::publish() {
  // Without fsync a power cut after the rename may leave an empty file under the final name.
  const int descriptor = ::open(part_path_.c_str(), O_RDONLY | O_CLOEXEC);
  bool good = descriptor >= 0 && ::fsync(descriptor) == 0;
  if (descriptor >= 0) ::close(descriptor);
  good = good && std::rename(part_path_.c_str(), path_.c_str()) == 0;
  if (!good)
    throw Error(ErrorCode::kOpenWrite, "The file " + path_ + " cannot be written: " + std::strerror(errno) +
                                           ". Check the folder, its permissions and the free space.");
  published_ = true;
}

}  // namespace bsm
