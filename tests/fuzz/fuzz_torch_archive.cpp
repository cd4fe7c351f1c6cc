// libFuzzer target: any bytes as a PyTorch archive, and again as the pickle inside of a correct one, because
// few mutations of a whole file get past the zip directory.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/log.h"
#include "io/archives.h"
#include "io/torch_archive.h"

namespace {

void read(const std::byte* data, size_t size) {
  try {
    const bsm::Checkpoint checkpoint = bsm::parse_torch_archive(data, size, "fuzz.ckpt");
    for (const bsm::TensorEntry& tensor : checkpoint.tensors()) tensor.to_float();
  } catch (const bsm::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  bsm::set_log_sink([](bsm::LogLevel, const char*, void*) {}, nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read(reinterpret_cast<const std::byte*>(data), size);
  const std::string archive = bsm::test::torch_zip(std::string(reinterpret_cast<const char*>(data), size));
  read(bsm::test::as_bytes(archive), archive.size());
  return 0;
}
