// One set of weights in the process for all who want the same.
#pragma once

#include <memory>

#include "separate/model.h"

namespace bsm {

/// As Model::load(), but a model that is in use with the same file (by identity and time of change, so that a
/// replaced file is another one), device and precision is returned instead of a second one; its number of
/// threads stays. Who asks for a model that someone else is loading waits, and may cancel through `progress`.
std::shared_ptr<const Model> load_shared_model(const ModelOptions& options,
                                               const LoadProgress& progress = {});

}  // namespace bsm
