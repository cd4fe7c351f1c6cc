// SHA-256 of a file, to recognise known public checkpoints and to pin results to a model.
#pragma once

#include <string>

namespace bsm {

/// 64 lower-case hexadecimal digits. Throws Error: kNotFound, kOpenRead.
std::string sha256_file(const std::string& path);

}  // namespace bsm
