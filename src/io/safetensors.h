// The safetensors format: 8 bytes of header length, a JSON header, raw tensors
// (https://github.com/huggingface/safetensors).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/byte_source.h"
#include "io/checkpoint.h"

namespace bsm {

/// Throws Error: kWrongType for anything the format forbids, and what ByteSource throws.
Checkpoint read_safetensors(const std::string& path);
Checkpoint read_safetensors(const ByteSource& file);

/// The same from memory that the caller keeps alive (tests, fuzzing). `name` appears in messages.
Checkpoint parse_safetensors(const std::byte* data, size_t size, const std::string& name);

/// Writes through `path`.part and renames, so that no half file appears under the final name.
/// Throws Error(kOpenWrite).
void write_safetensors(const std::string& path, const std::vector<TensorEntry>& tensors,
                       const std::map<std::string, std::string>& metadata);

/// Converts float values to `dtype` (F64, F32, F16, BF16; round to nearest even), little-endian.
std::vector<std::byte> encode_floats(const float* values, size_t count, DType dtype);

}  // namespace bsm
