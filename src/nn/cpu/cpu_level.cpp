#include "nn/cpu/cpu_level.h"

#include <atomic>

#include "core/error.h"

namespace bsm {

namespace cpu_generic {
CpuKernels kernels(CpuLevel level, const char* name);
}
#if defined(BSM_X86_LEVELS)
namespace cpu_avx2 {
CpuKernels kernels(CpuLevel level, const char* name);
}
namespace cpu_avx512 {
CpuKernels kernels(CpuLevel level, const char* name);
}
#endif

namespace {
std::atomic<int> forced_index{-1};
}  // namespace

const std::vector<CpuKernels>& available_cpu_kernels() {
  // Never destroyed: threads may still compute while the process exits.
  static const auto& available = *new std::vector<CpuKernels>([] {
    std::vector<CpuKernels> found{cpu_generic::kernels(CpuLevel::kGeneric, "generic")};
#if defined(BSM_X86_LEVELS)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      found.push_back(cpu_avx2::kernels(CpuLevel::kAvx2, "avx2"));
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found.push_back(cpu_avx512::kernels(CpuLevel::kAvx512, "avx512"));
    }
#endif
    return found;
  }());
  return available;
}

const CpuKernels& cpu_kernels() {
  const auto& available = available_cpu_kernels();
  const int forced = forced_index;
  return forced < 0 ? available.back() : available[forced];
}

void force_cpu_level(std::optional<CpuLevel> level) {
  if (!level) {
    forced_index = -1;
    return;
  }
  const auto& available = available_cpu_kernels();
  for (size_t i = 0; i < available.size(); ++i)
    if (available[i].level == *level) {
      forced_index = static_cast<int>(i);
      return;
    }
  throw Error(ErrorCode::kSettings,
              "force_cpu_level: this processor lacks the instruction set asked for; take one of "
              "available_cpu_kernels().");
}

}  // namespace bsm
