#include "cli/registry.h"

#include "registry_text.h"

namespace bsm {

nlohmann::json find_known_checkpoint(const std::string& sha256) {
  const auto registry = nlohmann::json::parse(kRegistryText);
  for (const auto& entry : registry.at("checkpoints")) {
    if (entry.at("sha256") == sha256) return entry;
  }
  return nullptr;
}

}  // namespace bsm
