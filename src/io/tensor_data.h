// Element types of tensors in files, and their conversion from and to float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "io/checkpoint.h"

namespace bsm {

/// Number of elements of a shape; nothing when a size is negative or the product passes int64.
std::optional<int64_t> shape_elements(const std::vector<int64_t>& shape);

/// Bytes of `elements` elements; nothing when that passes int64.
std::optional<int64_t> tensor_bytes(int64_t elements, DType dtype);

/// IEEE 754 binary16 to float: exact.
float half_to_float(uint16_t half);
/// Float to IEEE 754 binary16, to nearest, ties to even; too large becomes infinite, NaN stays NaN.
uint16_t float_to_half(float value);

/// bfloat16 is the upper half of a float.
float bfloat16_to_float(uint16_t bits);
/// Float to bfloat16, to nearest, ties to even; NaN stays NaN.
uint16_t float_to_bfloat16(float value);

}  // namespace bsm
