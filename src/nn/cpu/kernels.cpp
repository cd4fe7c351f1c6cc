// The kernels of one instruction set, which BSM_CPU_LEVEL names: this file is compiled once for each.
#include "nn/cpu/band_kernel.h"
#include "nn/cpu/cpu_level.h"
#include "nn/cpu/pair_kernel.h"
#include "nn/cpu/product.h"

namespace bsm::BSM_CPU_LEVEL {
namespace {

template <Vec (*kFunction)(Vec)>
void apply(float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes)
    store_part(values + i, kFunction(load_part(values + i, count - i)), count - i);
}

}  // namespace

CpuKernels kernels(CpuLevel level, const char* name) {
  return {.level = level,
          .name = name,
          .pack = pack_panels,
          .pair_scratch_floats = pair_scratch_floats,
          .pair_project = pair_project,
          .pair_scan = pair_scan,
          .pair_merge = pair_merge,
          .band_features = band_features,
          .band_masks = band_masks,
          .exp = apply<exp>,
          .silu = apply<silu>,
          .softplus = apply<softplus>};
}

}  // namespace bsm::BSM_CPU_LEVEL
