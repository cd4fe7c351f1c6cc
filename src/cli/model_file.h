// Model files as data: what is in them, the same weights in another format, random weights.
// The only part of this folder that needs LibTorch headers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/config.h"

namespace bsm {

struct ModelFileSummary {
  CheckpointLayout layout = CheckpointLayout::kSafetensors;
  ModelConfig config;
  bool config_stored = false;  ///< in the file's metadata; otherwise inferred from shapes
  int64_t parameters = 0;      ///< learned values
  size_t tensors = 0;
  std::map<std::string, size_t> tensor_bytes;  ///< by number format
  uint64_t file_bytes = 0;
  std::string sha256;
  std::map<std::string, std::string> metadata;  ///< without the configuration
  std::string mismatch;  ///< why the weights do not fit the configuration; empty when they do
};

/// A model configuration, or the object "model" of a training configuration. Throws Error.
ModelConfig read_config(const std::string& path);

/// Throws Error: kNotFound, kOpenRead, kWrongType (not a model file).
ModelFileSummary inspect_model_file(const std::string& path);

/// Writes the weights of any layout as safetensors with configuration. `dtype`: empty = the format that most
/// of the input's values have. Returns the format written. Throws Error; kSettings when values would overflow
/// in the format.
DType convert_model_file(const std::string& input, const std::string& output, std::optional<DType> dtype);

/// Writes a network with the start values of training and the sizes of read_config(). Returns the number of
/// parameters. Throws Error.
int64_t write_random_model(const std::string& config_file, const std::string& output, uint64_t seed,
                           DType dtype);

}  // namespace bsm
