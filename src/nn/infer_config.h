// Configurations of checkpoints that store none.
#pragma once

#include <string>

#include "io/checkpoint.h"
#include "nn/config.h"

namespace bsm {

/// What stands before the published names in this file: "weights." in files that hold more than weights, else
/// "".
std::string tensor_prefix(const Checkpoint& checkpoint);

/// The configuration that the names and shapes of the tensors imply; hop and sample rate are the published
/// ones unless the metadata states others. Throws Error(kWrongType) with the reason when they imply none.
ModelConfig infer_config(const Checkpoint& checkpoint);

}  // namespace bsm
