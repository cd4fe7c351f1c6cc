// Breaks the GPU for this process, as a lost one is: from then on every CUDA call fails.
#pragma once

#include <string>

namespace bsm::test {

/// @return "" where there is a GPU, or what CUDA says; does not use it yet
std::string why_no_gpu();

/// Loads what spring_trap() needs, which may wait for the GPU.
/// @return "" or the error
std::string prepare_trap();

/// Runs a kernel that traps beside whatever the process computes, and waits for its end.
/// @return the error that CUDA reports from now on; "" when it reports none
std::string spring_trap();

}  // namespace bsm::test
