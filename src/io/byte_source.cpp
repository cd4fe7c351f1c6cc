#include "io/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "core/error.h"

namespace bsm {
namespace {

/// The state of a training holds four times the weights; this is room for a thousand million of them.
constexpr uint64_t kMaxReadBytes = uint64_t{16} << 30;

[[noreturn]] void fail_to_read(const std::string& path, int error) {
  throw Error(ErrorCode::kOpenRead, "The file " + path + " cannot be read: " + std::strerror(error) + ".");
}

}  // namespace

ByteSource ByteSource::open(const std::string& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      throw Error(ErrorCode::kNotFound, "The file " + path + " does not exist. Check its path.");
    fail_to_read(path, errno);
  }
  ByteSource source;
  source.name_ = path;
  source.file_ = std::shared_ptr<const int>(new int(descriptor), [](const int* file) {
    ::close(*file);
    delete file;
  });
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail_to_read(path, errno);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::kOpenRead, path + " is not a regular file. Give the path of a file.");
  source.size_ = static_cast<uint64_t>(status.st_size);
  return source;
}

ByteSource ByteSource::of_memory(const std::byte* data, size_t size, const std::string& name) {
  ByteSource source;
  source.name_ = name;
  source.size_ = size;
  source.memory_ = data;
  return source;
}

void ByteSource::read_into(uint64_t at, std::byte* out, size_t bytes) const {
  if (at > size_ || bytes > size_ - at)
    throw Error(ErrorCode::kFailed, "Bytes behind the end of " + name_ + " were asked for.");
  if (!file_) {
    if (bytes > 0) std::memcpy(out, memory_ + at, bytes);
    return;
  }
  while (bytes > 0) {
    const ssize_t got = pread(*file_, out, bytes, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read(name_, errno);
    if (got == 0)
      throw Error(ErrorCode::kOpenRead, "The file " + name_ + " became shorter while it was read: it had " +
                                            std::to_string(size_) + " bytes, now it ends at " +
                                            std::to_string(at) +
                                            ". Wait until it is written completely, then load it again.");
    at += static_cast<uint64_t>(got);
    out += got;
    bytes -= static_cast<size_t>(got);
  }
}

Bytes ByteSource::read(uint64_t at, uint64_t bytes) const {
  if (bytes > kMaxReadBytes - read_bytes_)
    throw Error(ErrorCode::kWrongType, name_ + " holds more than " + std::to_string(kMaxReadBytes >> 30) +
                                           " GiB of data, which no file of this program does. Give a model "
                                           "file.");
  std::shared_ptr<std::byte[]> copy;
  try {
    copy = std::make_shared_for_overwrite<std::byte[]>(bytes);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "There is no memory for " + std::to_string(bytes) + " bytes of " +
                                             name_ + ". Close other programs or take a smaller model.");
  }
  read_into(at, copy.get(), bytes);
  read_bytes_ += bytes;
  return {std::move(copy), bytes};
}

}  // namespace bsm
