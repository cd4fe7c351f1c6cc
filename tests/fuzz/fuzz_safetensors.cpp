// libFuzzer target: any bytes as a safetensors file. They are read or refused with an Error; all else is a
// finding.
#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const bsm::Checkpoint checkpoint =
        bsm::parse_safetensors(reinterpret_cast<const std::byte*>(data), size, "fuzz.safetensors");
    // Touches every byte that the tensors claim.
    for (const bsm::TensorEntry& tensor : checkpoint.tensors()) tensor.to_float();
  } catch (const bsm::Error&) {
  }
  return 0;
}
