// Precompiled header of the folders that use LibTorch: its headers cost 15 to 25 s per translation unit.
#ifndef BSM_PCH_TORCH_PCH_H_  // GCC warns of #pragma once in a precompiled header
#define BSM_PCH_TORCH_PCH_H_

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#endif  // BSM_PCH_TORCH_PCH_H_
