// From the words of an option to a device and a precision that exist.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "separate/model.h"

namespace bsm {

/// "auto" (the first GPU if there is one, else the CPU), "cpu", "cuda" (= "cuda:0"), "cuda:N". Throws Error:
/// kSettings for other words, kNotFound for a GPU that is not there, with a list of what is.
c10::Device choose_device(const std::string& device);

/// Whether choose_device() chooses a GPU. Throws as it does.
bool runs_on_gpu(const std::string& device);

/// kAuto: fp32 on a CPU, on a GPU bf16 from compute capability 8.0 on, else fp16. Throws Error(kSettings) for
/// half precision on a CPU.
Precision choose_precision(Precision precision, const c10::Device& device);

}  // namespace bsm
