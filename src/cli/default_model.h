// Where the shipped model lies, found the way the GStreamer element finds it.
#pragma once

#include <string>
#include <vector>

namespace bsm {

inline constexpr const char* kCpuModelName = "bsmamba2-live.safetensors";
inline constexpr const char* kGpuModelName = "bsmamba2-base.safetensors";

/// Paths that are tried for a shipped model, in order: $BSMAMBA2_MODEL_DIR (when set, alone), the installed
/// data folder,
/// ../share/bsmamba2/models beside the folder of the program.
std::vector<std::string> default_model_candidates(const std::string& name);

/// The first candidate that exists, of the GPU's model (if there is one) on a GPU, else of the CPU's. Throws
/// Error(kNotFound) that lists the latter.
std::string find_default_model(bool on_gpu);

}  // namespace bsm
