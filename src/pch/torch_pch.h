// Precompiled header of the folders that use LibTorch: its headers cost 15 to 25 s per translation unit.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
