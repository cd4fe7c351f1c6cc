// Element types: each conversion against its definition in the IEEE 754 standard, over all values where there
// are few.
#include "io/tensor_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/error.h"
#include "io/safetensors.h"

namespace bsm {
namespace {

/// The value of a binary16 by its definition.
float half_by_definition(uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  float magnitude = 0;
  if (exponent == 31)
    magnitude = fraction ? std::nanf("") : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  else
    magnitude = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

TEST(Half, EveryValueDecodesByDefinitionAndEncodesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half), expected = half_by_definition(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
      continue;
    }
    ASSERT_EQ(value, expected) << bits;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
    ASSERT_EQ(float_to_half(value), half) << bits;
  }
}

TEST(Half, RoundsToNearestTiesToEven) {
  // Between each pair of neighbours (and beyond the largest, where infinity stands at 65536).
  for (uint16_t half = 0; half < 0x7c00; ++half) {
    const float low = half_by_definition(half);
    const float high = half + 1 == 0x7c00 ? 65536.0f : half_by_definition(static_cast<uint16_t>(half + 1));
    const float middle = (low + high) / 2;  // exact in float
    const auto even = static_cast<uint16_t>(half % 2 == 0 ? half : half + 1);
    ASSERT_EQ(float_to_half(middle), even);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9f)), half + 1);
    ASSERT_EQ(float_to_half(-middle), even | 0x8000);
  }
  EXPECT_EQ(float_to_half(1e30f), 0x7c00);
}

TEST(Bfloat16, RoundsToNearestTiesToEven) {
  std::mt19937 random(7);
  for (int i = 0; i < 100000; ++i) {
    uint32_t bits = random();
    float value = 0;
    std::memcpy(&value, &bits, 4);
    if (!std::isfinite(value)) continue;
    const uint16_t encoded = float_to_bfloat16(value);
    const double error = std::fabs(static_cast<double>(bfloat16_to_float(encoded)) - value);
    // No neighbour is nearer.
    const double down =
        std::fabs(static_cast<double>(bfloat16_to_float(static_cast<uint16_t>(encoded - 1))) - value);
    const double up =
        std::fabs(static_cast<double>(bfloat16_to_float(static_cast<uint16_t>(encoded + 1))) - value);
    if ((encoded & 0x7fff) != 0x7f80 && (encoded & 0x7fff) != 0) {
      ASSERT_LE(error, down) << value;
      ASSERT_LE(error, up) << value;
    }
  }
  EXPECT_EQ(float_to_bfloat16(1.0f + 1.0f / 256), 0x3f80);  // tie, down to even
  EXPECT_EQ(float_to_bfloat16(1.0f + 3.0f / 256), 0x3f82);  // tie, up to even
  EXPECT_EQ(float_to_bfloat16(-(1.0f + 3.0f / 256)), 0xbf82);
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bfloat16_to_float(0xc040), -3.0f);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::nanf("")))));
}

TEST(Shape, CountsOrRefuses) {
  EXPECT_EQ(shape_elements({}), 1);
  EXPECT_EQ(shape_elements({2, 3, 0}), 0);
  EXPECT_EQ(shape_elements({int64_t{1} << 62, 1}), int64_t{1} << 62);
  EXPECT_FALSE(shape_elements({int64_t{1} << 32, int64_t{1} << 31}));
  EXPECT_FALSE(shape_elements({-1}));
  EXPECT_FALSE(tensor_bytes(int64_t{1} << 62, DType::kF32));
  EXPECT_EQ(tensor_bytes(5, DType::kF64), 40);
}

TEST(TensorEntry, EveryTypeBecomesFloatFromUnalignedMemory) {
  const auto check = [](DType dtype, auto element) {
    using Element = decltype(element);
    const Element values[3] = {Element(0), Element(1), Element(100)};
    std::vector<std::byte> memory(1 + sizeof(values));
    std::memcpy(memory.data() + 1, values, sizeof(values));
    const TensorEntry entry{"t", dtype, {3}, memory.data() + 1, sizeof(values)};
    EXPECT_EQ(entry.to_float(), (std::vector<float>{0, 1, 100})) << dtype_name(dtype);
    EXPECT_EQ(dtype_size(dtype), sizeof(Element));
  };
  check(DType::kF64, double());
  check(DType::kF32, float());
  check(DType::kI64, int64_t());
  check(DType::kI32, int32_t());
  check(DType::kI16, int16_t());
  check(DType::kI8, int8_t());
  check(DType::kU8, uint8_t());
  const uint16_t halves[2] = {0x3c00, 0xc000}, brains[2] = {0x3f80, 0xc000};
  const uint8_t truths[3] = {0, 1, 2};
  const TensorEntry half{"t", DType::kF16, {2}, reinterpret_cast<const std::byte*>(halves), 4};
  const TensorEntry brain{"t", DType::kBF16, {2, 1}, reinterpret_cast<const std::byte*>(brains), 4};
  const TensorEntry truth{"t", DType::kBool, {3}, reinterpret_cast<const std::byte*>(truths), 3};
  EXPECT_EQ(half.to_float(), (std::vector<float>{1, -2}));
  EXPECT_EQ(brain.to_float(), (std::vector<float>{1, -2}));
  EXPECT_EQ(truth.to_float(), (std::vector<float>{0, 1, 1}));
}

TEST(TensorEntry, RefusesBytesThatDoNotFitTheShape) {
  const float values[2] = {1, 2};
  const TensorEntry entry{"t", DType::kF32, {3}, reinterpret_cast<const std::byte*>(values), sizeof(values)};
  EXPECT_THROW(entry.to_float(), Error);
}

TEST(EncodeFloats, AgreesWithToFloat) {
  const std::vector<float> values = {0.0f, -0.5f, 3.0f, 1024.0f};  // exact in every type
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16}) {
    const auto bytes = encode_floats(values.data(), values.size(), dtype);
    ASSERT_EQ(bytes.size(), values.size() * dtype_size(dtype));
    EXPECT_EQ((TensorEntry{"t", dtype, {4}, bytes.data(), bytes.size()}.to_float()), values);
  }
  EXPECT_THROW(encode_floats(values.data(), values.size(), DType::kI8), Error);
}

}  // namespace
}  // namespace bsm
