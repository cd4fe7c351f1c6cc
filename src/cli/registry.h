// Public checkpoints that are known by their content (models/registry.json, compiled in).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace bsm {

/// The registry's entry for a file with this SHA-256, or null.
nlohmann::json find_known_checkpoint(const std::string& sha256);

}  // namespace bsm
