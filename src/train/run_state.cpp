#include "train/run_state.h"

#include <torch/torch.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <map>
#include <vector>

#include "core/error.h"
#include "io/safetensors.h"

namespace bsm {
namespace {

constexpr const char* kFormat = "bsmamba2 training state 2";

std::array<std::pair<const char*, torch::Tensor*>, 4> vectors(FlatParameters& p) {
  return {{{"weights", &p.weights},
           {"first_moment", &p.first_moment},
           {"second_moment", &p.second_moment},
           {"average", &p.average}}};
}

/// A double to the last bit.
std::string exact(double value) { return std::to_string(std::bit_cast<uint64_t>(value)); }

const std::string& field(const Checkpoint& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end())
    throw Error(ErrorCode::kWrongType, "The training state " + file.path() + " lacks the entry " + key +
                                           "; it is not a state.safetensors of this program.");
  return found->second;
}

uint64_t number(const Checkpoint& file, const char* key) {
  const std::string& text = field(file, key);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorCode::kWrongType, "The training state " + file.path() + " has \"" + text + "\" for " +
                                           key + ", expected a number.");
  return value;
}

double real(const Checkpoint& file, const char* key) { return std::bit_cast<double>(number(file, key)); }

}  // namespace

void save_state(const std::string& path, const RunState& state, const FlatParameters& parameters,
                const RunConfig& config) {
  std::vector<torch::Tensor> hosts;
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : vectors(const_cast<FlatParameters&>(parameters))) {
    hosts.push_back(tensor->to(torch::kCPU).contiguous());
    TensorEntry entry;
    entry.name = name;
    entry.dtype = DType::kF32;
    entry.shape = {hosts.back().numel()};
    entry.data = reinterpret_cast<const std::byte*>(hosts.back().data_ptr<float>());
    entry.bytes = hosts.back().nbytes();
    entries.push_back(entry);
  }
  write_safetensors(path, entries,
                    {{"format", kFormat},
                     {"layout", parameters.layout()},
                     {"config", config.model.to_json()},
                     {"seed", std::to_string(config.training.seed)},
                     {"step", std::to_string(state.step)},
                     {"mixtures", std::to_string(state.mixtures)},
                     {"updates", std::to_string(parameters.updates())},
                     {"schedule_done", exact(state.schedule_done)},
                     {"trained_s", exact(state.trained_s)},
                     {"last_usdr_db", exact(state.last_usdr_db)},
                     {"best_usdr_db", exact(state.best_usdr_db)}});
}

RunState load_state(const std::string& path, FlatParameters& parameters, const RunConfig& config) {
  const Checkpoint file = read_safetensors(path);
  if (field(file, "format") != kFormat)
    throw Error(ErrorCode::kWrongType, "The training state " + path + " has the format \"" +
                                           field(file, "format") + "\", expected \"" + kFormat + "\".");
  if (ModelConfig::from_json(field(file, "config")) != config.model ||
      field(file, "layout") != parameters.layout())
    throw Error(ErrorCode::kSettings, "The training state " + path +
                                          " belongs to another model than the configuration "
                                          "describes; resume with the configuration it was started with.");
  if (number(file, "seed") != config.training.seed)
    throw Error(ErrorCode::kSettings, "The training state " + path + " was made with the seed " +
                                          field(file, "seed") + "; resume with that seed.");
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : vectors(parameters)) {
    const TensorEntry* entry = file.find(name);
    if (!entry || entry->dtype != DType::kF32 || entry->elements() != tensor->numel())
      throw Error(ErrorCode::kWrongType, "The training state " + path + " holds no float vector " + name +
                                             " of " + std::to_string(tensor->numel()) + " values.");
    torch::Tensor host = torch::empty({tensor->numel()}, torch::kFloat);
    std::memcpy(host.data_ptr<float>(), entry->data, entry->bytes);
    tensor->copy_(host);
  }
  parameters.set_updates(static_cast<int64_t>(number(file, "updates")));
  RunState state;
  state.step = static_cast<int64_t>(number(file, "step"));
  // States that do not say are of one process whose batches had one size.
  state.mixtures = file.metadata().contains("mixtures")
                       ? static_cast<int64_t>(number(file, "mixtures"))
                       : state.step * config.training.accumulate * config.training.batch;
  state.schedule_done = real(file, "schedule_done");
  state.trained_s = real(file, "trained_s");
  state.last_usdr_db = real(file, "last_usdr_db");
  state.best_usdr_db = real(file, "best_usdr_db");
  return state;
}

}  // namespace bsm
