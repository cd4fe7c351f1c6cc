// The JSON header of a safetensors file, read strictly: only what the format allows, in the order of the
// file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"

namespace bsm {

struct SafetensorsHeader {
  struct Tensor {
    std::string name;
    DType dtype = DType::kF32;
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  ///< bytes after the header
  };
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws Error(kWrongType), with `file` in the sentence, for JSON that is not a safetensors header, and for
/// names that stand twice. Shapes and offsets are taken as they are.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace bsm
