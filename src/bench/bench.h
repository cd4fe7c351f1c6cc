// `bsmamba2 bench` without its command line: measures one network, or ours beside plain operators and
// BS-RoFormer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/measure.h"
#include "bench/workload.h"
#include "nn/mixer.h"

namespace bsm {

enum class BenchMode { kNetwork, kOffline, kStream, kTrain };

struct BenchOptions {
  BenchMode mode = BenchMode::kNetwork;
  ModelOptions model;  ///< model_file empty: random weights of the sizes `config`
  ModelConfig config;
  bool compare = false;  ///< also plain operators and BS-RoFormer
  WorkloadSizes sizes;
  RepeatPlan repeats;
};

/// One network in one implementation.
struct BenchResult {
  std::string name;
  std::string note;
  int64_t parameters = 0;
  double audio_s = 0;
  Measurement measured;
  NetworkCost network;
  double flop = 0;  ///< at least, per run
  double bytes = 0;
  double bound_ms = 0;  ///< the larger of flop at the ceiling of products and bytes at that of copies

  double real_time_factor() const { return measured.time.median_ms / 1000 / audio_s; }
  double ratio_to_bound() const { return measured.time.median_ms / bound_ms; }
};

struct BenchReport {
  std::string device;  ///< "cpu", "cuda:0"
  std::string device_name;
  std::string precision;
  int threads = 0;
  Ceilings ceilings;
  std::vector<BenchResult> results;
};

/// Throws Error. @param progress told what is measured next
BenchReport run_bench(const BenchOptions& options, const std::function<void(const std::string&)>& progress);

/// The BS-RoFormer to compare a network with: the published one (72.2 M) for the published BSMamba2, else one
/// with the same front end, bands and depth whose number of parameters is nearest.
ModelConfig comparable_roformer(const ModelConfig& config);

}  // namespace bsm
