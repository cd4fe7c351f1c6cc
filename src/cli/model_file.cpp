#include "cli/model_file.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "io/sha256.h"
#include "nn/weights.h"

namespace bsm {
namespace {

constexpr float kLargestHalf = 65504.0f;

bool is_float(DType dtype) {
  return dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

/// The format that most values have; double precision counts as single.
DType prevailing_dtype(const Checkpoint& checkpoint) {
  std::map<DType, int64_t> elements;
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    if (!is_float(tensor.dtype)) continue;
    elements[tensor.dtype == DType::kF64 ? DType::kF32 : tensor.dtype] += tensor.elements();
  }
  DType best = DType::kF32;
  for (const auto& [dtype, count] : elements) {
    if (count > elements[best]) best = dtype;
  }
  return best;
}

void require_half_range(const Checkpoint& checkpoint) {
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    if (tensor.dtype == DType::kF16) continue;
    for (const float value : tensor.to_float()) {
      if (!(std::abs(value) > kLargestHalf)) continue;
      throw Error(ErrorCode::kSettings,
                  checkpoint.path() + ": " + tensor.name + " holds " + std::to_string(value) +
                      ", beyond the range of f16 (65504): convert with --dtype bf16 or f32.");
    }
  }
}

}  // namespace

ModelConfig read_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kNotFound, "Cannot open the configuration " + path + ": check the path.");
  std::ostringstream text;
  text << file.rdbuf();
  const auto document = nlohmann::json::parse(text.str(), nullptr, false);
  if (!document.is_object()) {
    throw Error(ErrorCode::kWrongType,
                path + " is no JSON object: expected a model configuration such as in models/configs.");
  }
  ModelConfig config =
      ModelConfig::from_json(document.contains("model") ? document["model"].dump() : text.str());
  config.validate();
  return config;
}

namespace {

/// Metadata that a converted file keeps: all but the configuration, which is written anew.
std::map<std::string, std::string> other_metadata(const Checkpoint& checkpoint) {
  std::map<std::string, std::string> metadata = checkpoint.metadata();
  metadata.erase("config");
  return metadata;
}

}  // namespace

ModelFileSummary inspect_model_file(const std::string& path) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  ModelFileSummary summary;
  summary.layout = checkpoint.layout();
  summary.config = config_of(checkpoint);
  summary.config_stored = checkpoint.metadata().count("config") > 0;
  summary.tensors = checkpoint.tensors().size();
  for (const TensorEntry& tensor : checkpoint.tensors())
    summary.tensor_bytes[dtype_name(tensor.dtype)] += tensor.bytes;
  summary.file_bytes = std::filesystem::file_size(path);
  summary.sha256 = sha256_file(path);
  summary.metadata = other_metadata(checkpoint);
  SeparationNetwork network(summary.config);
  summary.parameters = parameter_count(network);
  summary.mismatch = load_weights(network, checkpoint, true);
  return summary;
}

DType convert_model_file(const std::string& input, const std::string& output, std::optional<DType> dtype) {
  const Checkpoint checkpoint = Checkpoint::open(input);
  const DType target = dtype ? *dtype : prevailing_dtype(checkpoint);
  if (target == DType::kF16) require_half_range(checkpoint);
  SeparationNetwork network(config_of(checkpoint));
  load_weights(network, checkpoint);
  save_network(output, network, target, other_metadata(checkpoint));
  return target;
}

int64_t write_random_model(const std::string& config_file, const std::string& output, uint64_t seed,
                           DType dtype) {
  const SeparationNetwork network = make_random_network(read_config(config_file), seed);
  save_network(output, network, dtype, {{"weights", "random, seed " + std::to_string(seed)}});
  return parameter_count(network);
}

}  // namespace bsm
