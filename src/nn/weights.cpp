#include "nn/weights.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "io/safetensors.h"
#include "nn/infer_config.h"

namespace bsm {

using torch::Tensor;

namespace {

constexpr const char* kConfigKey = "config";
constexpr int64_t kSmallNetwork = 1 << 20;  // parameters; below, a mismatch is better told tensor by tensor
constexpr size_t kListedNames = 8;          // of each kind of mismatch; a foreign file would fill screens

/// Parameters and stored buffers under their published names.
torch::OrderedDict<std::string, Tensor> stored_tensors(const SeparationNetwork& network) {
  torch::OrderedDict<std::string, Tensor> tensors = network->named_parameters();
  for (const auto& buffer : network->named_buffers()) tensors.insert(buffer.key(), buffer.value());
  return tensors;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool is_float(DType dtype) {
  return dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

/// Collects one kind of mismatch and prints the first few.
struct MismatchList {
  const char* title;
  std::vector<std::string> lines = {};

  void print(std::ostream& out) const {
    if (lines.empty()) return;
    out << title << " (" << lines.size() << "):";
    for (size_t i = 0; i < std::min(lines.size(), kListedNames); ++i) out << "\n  " << lines[i];
    if (lines.size() > kListedNames) out << "\n  and " << lines.size() - kListedNames << " more";
    out << "\n";
  }
};

/// c10::Error of an allocation and the like, as the one exception type of the project.
SeparationNetwork make_network(const ModelConfig& config) {
  try {
    return SeparationNetwork(config);
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::kOutOfMemory, "A network of dim " + std::to_string(config.dim) + " and depth " +
                                             std::to_string(config.depth) +
                                             " could not be made: " + error.what_without_backtrace());
  }
}

}  // namespace

ModelConfig config_of(const Checkpoint& checkpoint) {
  const auto stored = checkpoint.metadata().find(kConfigKey);
  if (stored == checkpoint.metadata().end()) return infer_config(checkpoint);
  try {
    return ModelConfig::from_json(stored->second);
  } catch (const Error& error) {
    throw Error(error.code(), checkpoint.path() + ": " + error.what());
  }
}

std::string load_weights(SeparationNetwork& network, const Checkpoint& checkpoint, bool partial) {
  MismatchList missing{"missing"}, unexpected{"unexpected"}, misshapen{"other shape"},
      unusable{"unusable values"};
  const std::string prefix = tensor_prefix(checkpoint);
  const auto targets = stored_tensors(network);

  std::vector<std::pair<Tensor, const TensorEntry*>> copies;
  for (const auto& target : targets) {
    const TensorEntry* source = checkpoint.find(prefix + target.key());
    const std::vector<int64_t> expected = target.value().sizes().vec();
    if (source == nullptr)
      missing.lines.push_back(target.key() + " " + shape_text(expected));
    else if (source->shape != expected)
      misshapen.lines.push_back(target.key() + ": expected " + shape_text(expected) + ", found " +
                                shape_text(source->shape));
    else if (!is_float(source->dtype))
      unusable.lines.push_back(target.key() + ": of type " + dtype_name(source->dtype) +
                               ", expected a float type");
    else
      copies.emplace_back(target.value(), source);
  }
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    if (tensor.name.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string name = tensor.name.substr(prefix.size());
    if (!targets.contains(name)) unexpected.lines.push_back(name + " " + shape_text(tensor.shape));
  }

  const auto report = [&] {
    std::ostringstream text;
    for (const MismatchList* list : {&missing, &unexpected, &misshapen, &unusable}) list->print(text);
    return text.str();
  };
  const auto fail = [&] {
    throw Error(ErrorCode::kWrongType,
                checkpoint.path() + " does not fit the network of its configuration.\n" + report());
  };
  // All shapes are checked before anything is copied, so that a failed load leaves the network as it was.
  if (!partial && !report().empty()) fail();

  // Converted twice, one tensor at a time: beside the file and the network there is no third copy of all
  // weights.
  std::erase_if(copies, [&](const auto& copy) {
    const std::vector<float> floats = copy.second->to_float();
    if (std::all_of(floats.begin(), floats.end(), [](float x) { return std::isfinite(x); })) return false;
    unusable.lines.push_back(copy.second->name.substr(prefix.size()) + ": holds NaN or infinite values");
    return true;
  });
  if (!partial && !unusable.lines.empty()) fail();

  torch::NoGradGuard no_grad;
  for (auto& [target, source] : copies) {
    std::vector<float> floats = source->to_float();
    target.copy_(torch::from_blob(floats.data(), target.sizes(), torch::kFloat32));
  }
  network->discard_prepared();
  return report();
}

SeparationNetwork make_random_network(const ModelConfig& config, uint64_t seed) {
  torch::manual_seed(seed);
  SeparationNetwork network = make_network(config);
  network->eval();
  return network;
}

SeparationNetwork load_network(const std::string& path) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  const ModelConfig config = config_of(checkpoint);
  // A file cannot make the network larger than itself: a hostile configuration must not exhaust the memory.
  int64_t held = 0;
  for (const TensorEntry& tensor : checkpoint.tensors()) held += tensor.elements();
  if (config.parameter_count() / 2 > held + kSmallNetwork)
    throw Error(ErrorCode::kWrongType, path + ": its configuration describes a network of " +
                                           std::to_string(config.parameter_count()) +
                                           " parameters, but the file holds " + std::to_string(held) +
                                           " values. The file is incomplete or damaged; get it again.");
  SeparationNetwork network = make_network(config);
  load_weights(network, checkpoint);
  network->eval();
  return network;
}

void save_network(const std::string& path, const SeparationNetwork& network, DType dtype,
                  const std::map<std::string, std::string>& extra_metadata) {
  std::vector<TensorEntry> entries;
  std::vector<std::vector<std::byte>> storage;
  for (const auto& tensor : stored_tensors(network)) {
    const Tensor values = tensor.value().detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const size_t count = static_cast<size_t>(values.numel());
    storage.push_back(encode_floats(values.data_ptr<float>(), count, dtype));
    TensorEntry entry;
    entry.name = tensor.key();
    entry.dtype = dtype;
    entry.shape = values.sizes().vec();
    entry.data = storage.back().data();
    entry.bytes = storage.back().size();
    entries.push_back(std::move(entry));
  }
  std::map<std::string, std::string> metadata = extra_metadata;
  metadata[kConfigKey] = network->config().to_json();
  write_safetensors(path, entries, metadata);
}

}  // namespace bsm
