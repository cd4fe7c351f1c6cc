#include "cli/default_model.h"

#include <cstdlib>
#include <filesystem>

#include "core/error.h"

namespace bsm {

namespace fs = std::filesystem;

std::vector<std::string> default_model_candidates(const std::string& name) {
  // A folder that the user names is not silently replaced by another one.
  const char* named = std::getenv("BSMAMBA2_MODEL_DIR");
  if (named != nullptr && *named != '\0') return {(fs::path(named) / name).string()};

  std::vector<std::string> candidates = {(fs::path(BSM_MODEL_DIR) / name).string()};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path share = program.parent_path().parent_path() / "share" / "bsmamba2" / "models";
    candidates.push_back((share / name).string());
  }
  return candidates;
}

namespace {

std::string first_that_exists(const std::vector<std::string>& candidates) {
  std::error_code error;
  for (const std::string& candidate : candidates)
    if (fs::exists(candidate, error)) return candidate;
  return "";
}

}  // namespace

std::string find_default_model(bool on_gpu) {
  if (on_gpu) {
    const std::string file = first_that_exists(default_model_candidates(kGpuModelName));
    if (!file.empty()) return file;
  }
  const std::vector<std::string> candidates = default_model_candidates(kCpuModelName);
  const std::string file = first_that_exists(candidates);
  if (!file.empty()) return file;
  std::string tried;
  for (const std::string& candidate : candidates) tried += (tried.empty() ? "" : ", ") + candidate;
  throw Error(ErrorCode::kNotFound,
              "The default model was not found (tried " + tried +
                  "): give a model file with --model, or the folder that holds it in BSMAMBA2_MODEL_DIR.");
}

}  // namespace bsm
