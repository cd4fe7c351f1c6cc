// Small zip archives and pickles made by hand, so that tests can make the wrong ones that torch.save never
// writes.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace bsm::test {

template <typename T>
std::string bytes_of(T value) {
  std::string out(sizeof(T), '\0');
  std::memcpy(out.data(), &value, sizeof(T));
  return out;
}

inline const std::byte* as_bytes(const std::string& text) {
  return reinterpret_cast<const std::byte*>(text.data());
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// A folder that is empty at first and removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bsm-io-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// One entry of a zip file; the fields that a damaged or foreign file may have wrong can be set.
struct ZipItem {
  std::string name{}, data{};
  uint16_t method = 0, flags = 0;
  bool zip64 = false;        ///< sizes and offset in the extra field
  bool descriptor = false;   ///< sizes follow the data; the local header has zeros
  int64_t size_error = 0;    ///< added to both sizes in the directory
  int64_t offset_error = 0;  ///< added to the offset in the directory
  uint32_t checksum_error = 0;
};

struct ZipOptions {
  bool zip64 = false;
  std::string comment{};
  int64_t directory_offset_error = 0, directory_size_error = 0;
  int entries_error = 0;
};

inline std::string make_zip(const std::vector<ZipItem>& items, const ZipOptions& options = {}) {
  std::string out, directory;
  for (const ZipItem& item : items) {
    const uint32_t crc = static_cast<uint32_t>(
                             crc32_z(0, reinterpret_cast<const Bytef*>(item.data.data()), item.data.size())) +
                         item.checksum_error;
    const uint64_t offset = out.size() + static_cast<uint64_t>(item.offset_error);
    const uint64_t size = item.data.size() + static_cast<uint64_t>(item.size_error);
    const auto flags = static_cast<uint16_t>(item.flags | (item.descriptor ? 8 : 0));
    const uint32_t local_size = item.descriptor ? 0 : static_cast<uint32_t>(item.data.size());
    out += "PK\x03\x04" + bytes_of<uint16_t>(45) + bytes_of(flags) + bytes_of(item.method) +
           std::string(4, '\0') + bytes_of(item.descriptor ? 0 : crc) + bytes_of(local_size) +
           bytes_of(local_size) + bytes_of(static_cast<uint16_t>(item.name.size())) + bytes_of<uint16_t>(6) +
           item.name + "FB" + bytes_of<uint16_t>(2) + "ZZ" +
           item.data;  // PyTorch pads with an extra field of its own
    if (item.descriptor) out += "PK\x07\x08" + bytes_of(crc) + bytes_of(size) + bytes_of(size);

    std::string extra;
    if (item.zip64)
      extra = "FB" + bytes_of<uint16_t>(0) + bytes_of<uint16_t>(1) + bytes_of<uint16_t>(24) + bytes_of(size) +
              bytes_of(size) + bytes_of(offset);
    const auto narrow = [&](uint64_t v) {
      return bytes_of(item.zip64 ? 0xffffffffu : static_cast<uint32_t>(v));
    };
    directory += "PK\x01\x02" + bytes_of<uint16_t>(45) + bytes_of<uint16_t>(45) + bytes_of(flags) +
                 bytes_of(item.method) + std::string(4, '\0') + bytes_of(crc) + narrow(size) + narrow(size) +
                 bytes_of(static_cast<uint16_t>(item.name.size())) +
                 bytes_of(static_cast<uint16_t>(extra.size())) + std::string(10, '\0') + narrow(offset) +
                 item.name + extra;
  }
  const uint64_t begin = out.size() + static_cast<uint64_t>(options.directory_offset_error);
  const uint64_t size = directory.size() + static_cast<uint64_t>(options.directory_size_error);
  const uint64_t entries = items.size() + static_cast<uint64_t>(options.entries_error);
  out += directory;
  if (options.zip64) {
    const uint64_t end64_at = out.size();
    out += "PK\x06\x06" + bytes_of<uint64_t>(44) + bytes_of<uint16_t>(45) + bytes_of<uint16_t>(45) +
           std::string(8, '\0') + bytes_of(entries) + bytes_of(entries) + bytes_of(size) + bytes_of(begin);
    out += "PK\x06\x07" + std::string(4, '\0') + bytes_of(end64_at) + bytes_of<uint32_t>(1);
  }
  const auto narrow16 = bytes_of(options.zip64 ? uint16_t{0xffff} : static_cast<uint16_t>(entries));
  const auto narrow32 = [&](uint64_t v) {
    return bytes_of(options.zip64 ? 0xffffffffu : static_cast<uint32_t>(v));
  };
  return out + "PK\x05\x06" + std::string(4, '\0') + narrow16 + narrow16 + narrow32(size) + narrow32(begin) +
         bytes_of(static_cast<uint16_t>(options.comment.size())) + options.comment;
}

// Pieces of pickles, in protocol 2. A piece pushes one value.
inline std::string str(std::string_view text) {
  return "X" + bytes_of(static_cast<uint32_t>(text.size())) + std::string(text);
}
inline std::string num(int64_t value) { return std::string("\x8a\x08", 2) + bytes_of(value); }
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
template <typename... Parts>
std::string tuple(const Parts&... parts) {
  return "(" + (std::string() + ... + parts) + "t";
}
template <typename... Parts>
std::string dict(const Parts&... parts) {
  return "}(" + (std::string() + ... + parts) + "u";
}
inline std::string pickle(std::string_view value) { return "\x80\x02" + std::string(value) + "."; }

inline std::string storage(std::string_view key, int64_t elements, std::string_view type = "FloatStorage") {
  return tuple(str("storage"), global("torch", type), str(key), str("cpu"), num(elements)) + "Q";
}
/// torch._utils._rebuild_tensor_v2(...); `shape` and `strides` are pieces.
inline std::string tensor(const std::string& storage, int64_t offset, const std::string& shape,
                          const std::string& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple(storage, num(offset), shape, strides, std::string("\x89"), std::string("}")) + "R";
}

/// An archive with one pickle and one storage of the floats 0, 1, ... 5.
inline std::string torch_zip(const std::string& pickled, std::vector<ZipItem> more = {}) {
  std::string floats;
  for (int i = 0; i < 6; ++i) floats += bytes_of(static_cast<float>(i));
  std::vector<ZipItem> items = {{"archive/data.pkl", pickled}, {"archive/data/0", floats}};
  items.insert(items.end(), more.begin(), more.end());
  return make_zip(items);
}

}  // namespace bsm::test
