// Where the shipped model lies, found the way the GStreamer element finds it.
#pragma once

#include <string>
#include <vector>

namespace bsm {

inline constexpr const char* kDefaultModelName = "bsmamba2-live.safetensors";

/// Paths that are tried for the default model, in order: $BSMAMBA2_MODEL_DIR (when set, alone), the installed
/// data folder,
/// ../share/bsmamba2/models beside the folder of the program.
std::vector<std::string> default_model_candidates();

/// The first candidate that exists. Throws Error(kNotFound) that lists them.
std::string find_default_model();

}  // namespace bsm
