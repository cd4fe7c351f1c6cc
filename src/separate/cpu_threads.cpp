#include "separate/cpu_threads.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "separate/libtorch_info.h"

namespace bsm {

int physical_cores() {
  const int hardware_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return hardware_threads;
  std::set<std::pair<int, int>> cores;  // (package, core)
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = -1;
    int core = -1;
    std::ifstream(folder + "physical_package_id") >> package;
    if (!(std::ifstream(folder + "core_id") >> core)) return std::max(1, CPU_COUNT(&allowed));
    cores.emplace(package, core);
  }
  return cores.empty() ? hardware_threads : static_cast<int>(cores.size());
}

namespace {

// A BLAS with threads of its own does not follow at::set_num_threads().
void set_blas_threads(int threads) {
  static std::atomic<int> current{0};
  if (current.exchange(threads) == threads) return;
  if (const auto set = blas_library().set_num_threads) set(threads);
}

}  // namespace

struct CpuThreadScope::FloatEnvironment {
  std::fenv_t values;  // holds the flush-to-zero bits on x86-64 and AArch64
};

CpuThreadScope::CpuThreadScope(int threads) : saved_(new FloatEnvironment) {
  std::fegetenv(&saved_->values);
  if (at::get_num_threads() != threads) at::set_num_threads(threads);
  set_blas_threads(threads);
  at::globalContext().setFlushDenormal(true);
}

CpuThreadScope::~CpuThreadScope() {
  std::fesetenv(&saved_->values);
  delete saved_;
}

}  // namespace bsm
