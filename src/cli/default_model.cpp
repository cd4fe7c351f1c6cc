#include "cli/default_model.h"

#include <cstdlib>
#include <filesystem>

#include "core/error.h"

namespace bsm {

namespace fs = std::filesystem;

std::vector<std::string> default_model_candidates() {
  // A folder that the user names is not silently replaced by another one.
  const char* named = std::getenv("BSMAMBA2_MODEL_DIR");
  if (named != nullptr && *named != '\0') return {(fs::path(named) / kDefaultModelName).string()};

  std::vector<std::string> candidates = {(fs::path(BSM_MODEL_DIR) / kDefaultModelName).string()};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path share = program.parent_path().parent_path() / "share" / "bsmamba2" / "models";
    candidates.push_back((share / kDefaultModelName).string());
  }
  return candidates;
}

std::string find_default_model() {
  std::string tried;
  for (const std::string& candidate : default_model_candidates()) {
    std::error_code error;
    if (fs::exists(candidate, error)) return candidate;
    tried += (tried.empty() ? "" : ", ") + candidate;
  }
  throw Error(ErrorCode::kNotFound,
              "The default model was not found (tried " + tried +
                  "): give a model file with --model, or the folder that holds it in BSMAMBA2_MODEL_DIR.");
}

}  // namespace bsm
