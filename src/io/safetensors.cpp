#include "io/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "io/part_file.h"
#include "io/safetensors_header.h"
#include "io/tensor_data.h"

namespace bsm {
namespace {

constexpr size_t kLengthBytes = 8;
/// The limit of the format's own library.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

[[noreturn]] void fail(const std::string& name, const std::string& reason) {
  throw Error(ErrorCode::kWrongType,
              name + " is no intact safetensors file: " + reason + ". Copy or download the file again.");
}

/// The format wants the data filled without holes and overlaps; anything else is damage or an attempt to
/// smuggle.
void check_offsets(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file) {
  std::vector<const SafetensorsHeader::Tensor*> by_offset;
  for (const auto& tensor : header.tensors) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t expected = 0;
  for (const auto* tensor : by_offset) {
    if (tensor->begin != expected || tensor->end < tensor->begin || tensor->end > data_bytes)
      fail(file, "the data of the tensor " + tensor->name + " is said to stand at bytes " +
                     std::to_string(tensor->begin) + " to " + std::to_string(tensor->end) +
                     ", where it overlaps, leaves a hole or passes the " + std::to_string(data_bytes) +
                     " bytes of data that the file has");
    expected = tensor->end;
  }
  if (expected != data_bytes)
    fail(file, "it has " + std::to_string(data_bytes) + " bytes of data, its tensors need " +
                   std::to_string(expected));
}

nlohmann::ordered_json header_json(const std::vector<TensorEntry>& tensors,
                                   const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::unordered_set<std::string> names{"__metadata__"};
  size_t offset = 0;
  for (const TensorEntry& tensor : tensors) {
    const auto bytes = tensor_bytes(tensor.elements(), tensor.dtype);
    if (!bytes || static_cast<size_t>(*bytes) != tensor.bytes)
      throw Error(ErrorCode::kFailed,
                  "Tensor " + tensor.name + " does not have as many bytes as its shape needs.");
    if (!names.insert(tensor.name).second)
      throw Error(ErrorCode::kFailed,
                  "A safetensors file cannot hold two tensors named " + tensor.name + ".");
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  return header;
}

}  // namespace

/// Fills a Checkpoint, whose members only the two readers may set.
class SafetensorsReader {
 public:
  static Checkpoint read(const ByteSource& file) {
    const std::string& name = file.name();
    const uint64_t size = file.size();
    if (size < kLengthBytes)
      fail(name, "it has " + std::to_string(size) + " bytes, less than the length of a header");
    uint64_t header_bytes = 0;
    file.read_into(0, reinterpret_cast<std::byte*>(&header_bytes), kLengthBytes);
    if (header_bytes > kMaxHeaderBytes || header_bytes > size - kLengthBytes)
      fail(name, "its header is said to have " + std::to_string(header_bytes) + " bytes, the file has " +
                     std::to_string(size) + " and headers at most " + std::to_string(kMaxHeaderBytes));
    const Bytes header_text = file.read(kLengthBytes, header_bytes);
    const std::string_view json(reinterpret_cast<const char*>(header_text.data.get()), header_text.size);
    if (json.empty() || json.front() != '{') fail(name, "its header does not begin with {");
    SafetensorsHeader header = parse_safetensors_header(json, name);

    const uint64_t data_at = kLengthBytes + header_bytes;
    check_offsets(header, size - data_at, name);
    Checkpoint checkpoint;
    checkpoint.layout_ = CheckpointLayout::kSafetensors;
    checkpoint.path_ = name;
    checkpoint.metadata_ = std::move(header.metadata);
    for (auto& tensor : header.tensors) {
      const auto elements = shape_elements(tensor.shape);
      const auto bytes = elements ? tensor_bytes(*elements, tensor.dtype) : std::nullopt;
      if (!bytes || static_cast<uint64_t>(*bytes) != tensor.end - tensor.begin)
        fail(name, "the shape of the tensor " + tensor.name + " does not fit its " +
                       std::to_string(tensor.end - tensor.begin) + " bytes");
      const Bytes data = file.read(data_at + tensor.begin, static_cast<uint64_t>(*bytes));
      checkpoint.tensors_.push_back(
          {std::move(tensor.name), tensor.dtype, std::move(tensor.shape), data.data.get(), data.size});
      checkpoint.owners_.push_back(data.data);
    }
    return checkpoint;
  }
};

Checkpoint read_safetensors(const std::string& path) { return read_safetensors(ByteSource::open(path)); }

Checkpoint read_safetensors(const ByteSource& file) { return SafetensorsReader::read(file); }

Checkpoint parse_safetensors(const std::byte* data, size_t size, const std::string& name) {
  return read_safetensors(ByteSource::of_memory(data, size, name));
}

void write_safetensors(const std::string& path, const std::vector<TensorEntry>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string header;
  try {
    header = header_json(tensors, metadata).dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kFailed,
                "A tensor's name or the metadata for " + path + " is not UTF-8: " + error.what());
  }
  // Readers that map the file get aligned data this way.
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kMaxHeaderBytes)
    throw Error(ErrorCode::kFailed,
                "The header for " + path + " would pass the limit of safetensors, 100 MB.");

  PartFile part(path);
  std::ofstream out(part.part_path(), std::ios::binary | std::ios::trunc);
  const uint64_t header_bytes = header.size();
  out.write(reinterpret_cast<const char*>(&header_bytes), kLengthBytes);
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  for (const TensorEntry& tensor : tensors)
    out.write(reinterpret_cast<const char*>(tensor.data), static_cast<std::streamsize>(tensor.bytes));
  out.close();
  if (!out)
    throw Error(ErrorCode::kOpenWrite, "The file " + part.part_path() +
                                           " cannot be written: " + std::strerror(errno) +
                                           ". Check the folder, its permissions and the free space.");
  part.publish();
}

}  // namespace bsm
