#include "io/tensor_data.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "io/safetensors.h"

namespace bsm {

static_assert(std::endian::native == std::endian::little,
              "tensors in files are little-endian and are not swapped");

namespace {

/// Reads an element from any address: tensors in files are not aligned.
template <typename T>
T load_at(const std::byte* data, size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void copy_as_float(const std::byte* data, std::vector<float>& out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(load_at<T>(data, i));
}

template <typename T, typename Convert>
void encode_as(const float* values, size_t count, Convert convert, std::vector<std::byte>& out) {
  out.resize(count * sizeof(T));
  for (size_t i = 0; i < count; ++i) {
    const T element = convert(values[i]);
    std::memcpy(out.data() + i * sizeof(T), &element, sizeof(T));
  }
}

/// Shifts right by `shift` (1 to 31) bits, to nearest, ties to even.
uint32_t shift_round_even(uint32_t value, int shift) {
  const uint32_t half = 1u << (shift - 1);
  const uint32_t odd = (value >> shift) & 1u;
  return (value + half - 1u + odd) >> shift;
}

}  // namespace

size_t dtype_size(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
  }
  throw Error(ErrorCode::kFailed, "An element type outside of DType.");
}

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "F64";
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI64:
      return "I64";
    case DType::kI32:
      return "I32";
    case DType::kI16:
      return "I16";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  throw Error(ErrorCode::kFailed, "An element type outside of DType.");
}

std::optional<int64_t> shape_elements(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(elements, size, &elements)) return std::nullopt;
  return elements;
}

std::optional<int64_t> tensor_bytes(int64_t elements, DType dtype) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(dtype_size(dtype)), &bytes)) return std::nullopt;
  return bytes;
}

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t fraction = half & 0x3ffu;
  if (exponent == 0) {  // zero and subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1fu ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (fraction << 13));
}

uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half = 0;
  if (magnitude > 0x7f800000u) {  // NaN: keep it quiet
    half = 0x7e00u;
  } else if (magnitude >= 0x47800000u) {  // 2^16 and above, infinity
    half = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // normal; rounding may carry into the exponent, up to infinity
    half = shift_round_even(magnitude - (112u << 23), 13);
  } else if (magnitude >= 0x33000000u) {  // subnormal: the significand in units of 2^-24
    const int exponent = static_cast<int>(magnitude >> 23);
    half = shift_round_even((magnitude & 0x7fffffu) | 0x800000u, 126 - exponent);
  }  // else at most half of the smallest subnormal: zero
  return static_cast<uint16_t>(sign | half);
}

float bfloat16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>(((bits & 0x7fffffffu) + 0x7fffu + ((bits >> 16) & 1u)) >> 16 | (bits >> 31)
                                                                                                  << 15);
}

int64_t TensorEntry::elements() const {
  const std::optional<int64_t> count = shape_elements(shape);
  if (!count) throw Error(ErrorCode::kWrongType, "Tensor " + name + " has a shape that no memory can hold.");
  return *count;
}

std::vector<float> TensorEntry::to_float() const {
  const size_t count = static_cast<size_t>(elements());
  if (count != bytes / dtype_size(dtype) || bytes % dtype_size(dtype) != 0)
    throw Error(ErrorCode::kWrongType, "Tensor " + name + " does not have as many bytes as its shape needs.");
  std::vector<float> out(count);
  switch (dtype) {
    case DType::kF64:
      copy_as_float<double>(data, out);
      break;
    case DType::kF32:
      copy_as_float<float>(data, out);
      break;
    case DType::kF16:
      for (size_t i = 0; i < count; ++i) out[i] = half_to_float(load_at<uint16_t>(data, i));
      break;
    case DType::kBF16:
      for (size_t i = 0; i < count; ++i) out[i] = bfloat16_to_float(load_at<uint16_t>(data, i));
      break;
    case DType::kI64:
      copy_as_float<int64_t>(data, out);
      break;
    case DType::kI32:
      copy_as_float<int32_t>(data, out);
      break;
    case DType::kI16:
      copy_as_float<int16_t>(data, out);
      break;
    case DType::kI8:
      copy_as_float<int8_t>(data, out);
      break;
    case DType::kU8:
      copy_as_float<uint8_t>(data, out);
      break;
    case DType::kBool:
      for (size_t i = 0; i < count; ++i) out[i] = data[i] == std::byte{0} ? 0.0f : 1.0f;
      break;
  }
  return out;
}

std::vector<std::byte> encode_floats(const float* values, size_t count, DType dtype) {
  std::vector<std::byte> out;
  switch (dtype) {
    case DType::kF64:
      encode_as<double>(
          values, count, [](float v) { return static_cast<double>(v); }, out);
      break;
    case DType::kF32:
      encode_as<float>(
          values, count, [](float v) { return v; }, out);
      break;
    case DType::kF16:
      encode_as<uint16_t>(values, count, float_to_half, out);
      break;
    case DType::kBF16:
      encode_as<uint16_t>(values, count, float_to_bfloat16, out);
      break;
    default:
      throw Error(ErrorCode::kSettings, std::string("Floats cannot be written as ") + dtype_name(dtype) +
                                            ": choose F64, F32, F16 or BF16.");
  }
  return out;
}

}  // namespace bsm
