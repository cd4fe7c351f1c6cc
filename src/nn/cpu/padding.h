#pragma once

#include <cstdint>

namespace bsm {

/// Floats of the widest vector of any instruction set: the rows that CPU kernels keep are padded with zeros
/// to a multiple of it, and so are packed weights.
inline constexpr int64_t kPadding = 16;

}  // namespace bsm
