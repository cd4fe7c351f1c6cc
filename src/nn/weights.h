// Between files and networks: which configuration a checkpoint belongs to, and its tensors as parameters.
#pragma once

#include <string>

#include "io/checkpoint.h"
#include "nn/config.h"
#include "nn/network.h"

namespace bsm {

/// The configuration stored in the checkpoint, or inferred from names and shapes when none is stored.
/// Throws Error(kWrongType).
ModelConfig config_of(const Checkpoint& checkpoint);

/// Copies the checkpoint's tensors into the network's parameters (any float type to float32). Missing,
/// unexpected or misshapen tensors: one Error(kWrongType) that lists them with expected and found shapes.
/// With `partial`, loads what fits and returns the list as text instead (for fine-tuning); empty when all
/// matched.
std::string load_weights(SeparationNetwork& network, const Checkpoint& checkpoint, bool partial = false);

/// A network of the given sizes with start values drawn from `seed`, in evaluation mode (to measure speed, to
/// test).
SeparationNetwork make_random_network(const ModelConfig& config, uint64_t seed);

/// Opens a file, makes its network (on the CPU, float32, in evaluation mode). Throws Error.
/// prepare_inference() is for the caller, once the network stands where it will run.
SeparationNetwork load_network(const std::string& path);

/// Writes parameters and configuration as safetensors (through a temporary file, then rename).
void save_network(const std::string& path, const SeparationNetwork& network, DType dtype,
                  const std::map<std::string, std::string>& extra_metadata = {});

}  // namespace bsm
