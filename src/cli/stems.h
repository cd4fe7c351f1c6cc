// Which of a model's outputs is the voice.
#pragma once

#include <algorithm>
#include <cstddef>

#include "nn/config.h"

namespace bsm {

/// Index of the stem called "vocals", else of the first.
inline size_t vocals_index(const ModelConfig& config) {
  const auto found = std::find(config.stems.begin(), config.stems.end(), "vocals");
  return found == config.stems.end() ? 0 : static_cast<size_t>(found - config.stems.begin());
}

}  // namespace bsm
