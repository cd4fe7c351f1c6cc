#include "cli/bench_report.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "cli/score_report.h"

namespace bsm {
namespace {

using nlohmann::json;

json bytes_or_null(const std::optional<int64_t>& bytes) { return bytes ? json(*bytes) : json(nullptr); }

double stage_total_ms(const BenchResult& result) {
  const auto& stage_ms = result.measured.stage_ms;
  return std::accumulate(stage_ms.begin(), stage_ms.end(), 0.0);
}

json stages_json(const BenchResult& result) {
  json stages = json::array();
  const double total_ms = stage_total_ms(result);
  for (int i = 0; i < kStages; ++i) {
    const double time_ms = result.measured.stage_ms[static_cast<size_t>(i)];
    if (time_ms <= 0) continue;
    const double flop = result.network.stage_flop(static_cast<Stage>(i));
    stages.push_back({{"name", stage_name(static_cast<Stage>(i))},
                      {"time_ms", time_ms},
                      {"share", time_ms / total_ms},
                      {"flop_per_s", flop > 0 ? json(flop / time_ms * 1000) : json(nullptr)}});
  }
  return stages;
}

json result_json(const BenchResult& result) {
  const TimeSummary& time = result.measured.time;
  const PeakMemory& memory = result.measured.memory;
  return {{"name", result.name},
          {"note", result.note},
          {"parameters", result.parameters},
          {"time_ms",
           {{"median", time.median_ms},
            {"p95", time.p95_ms},
            {"p99", time.p99_ms},
            {"min", time.min_ms},
            {"repeats", time.repeats}}},
          {"audio_s", result.audio_s},
          {"real_time_factor", result.real_time_factor()},
          {"peak_bytes",
           {{"allocated", bytes_or_null(memory.allocated)},
            {"reserved", bytes_or_null(memory.reserved)},
            {"resident", bytes_or_null(memory.resident)}}},
          {"least", {{"flop", result.flop}, {"bytes", result.bytes}, {"time_ms", result.bound_ms}}},
          {"ratio_to_least", result.ratio_to_bound()},
          {"stages", stages_json(result)}};
}

/// "12.3", "1.23e+04" never: times of any size with about four digits.
std::string number(double value) {
  char text[32];
  const int digits = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string mebibytes(const std::optional<int64_t>& bytes) {
  return bytes ? std::to_string((*bytes + (1 << 20) - 1) >> 20) : "?";
}

std::string memory_text(const PeakMemory& memory) {
  return memory.resident ? mebibytes(memory.resident)
                         : mebibytes(memory.allocated) + "/" + mebibytes(memory.reserved);
}

std::string title(const BenchResult& result) {
  return result.note.empty() ? result.name : result.name + " (" + result.note + ")";
}

void print_times(const BenchReport& report) {
  std::printf("\n%-24s%9s%10s%10s%10s%12s%11s%13s%10s%9s\n", "ms", "params", "median", "p95", "p99",
              "x real time", "rt factor", "peak MiB", "least ms", "ratio");
  for (const BenchResult& result : report.results) {
    const TimeSummary& time = result.measured.time;
    std::printf("%-24s%8.2fM%10s%10s%10s%12s%11.4f%13s%10s%9s\n", title(result).c_str(),
                static_cast<double>(result.parameters) / 1e6, number(time.median_ms).c_str(),
                number(time.p95_ms).c_str(), number(time.p99_ms).c_str(),
                number(1 / result.real_time_factor()).c_str(), result.real_time_factor(),
                memory_text(result.measured.memory).c_str(), number(result.bound_ms).c_str(),
                number(result.ratio_to_bound()).c_str());
  }
}

void print_stages(const BenchReport& report) {
  std::printf("\n%-22s", "ms per run (share)");
  for (const BenchResult& result : report.results) std::printf("%24s", title(result).c_str());
  std::printf("\n");
  for (size_t i = 0; i < kStages; ++i) {
    const bool seen = std::any_of(report.results.begin(), report.results.end(),
                                  [i](const BenchResult& result) { return result.measured.stage_ms[i] > 0; });
    if (!seen) continue;
    std::printf("%-22s", stage_name(static_cast<Stage>(i)));
    for (const BenchResult& result : report.results) {
      const double time_ms = result.measured.stage_ms[i];
      char text[32] = "-";
      if (time_ms > 0)
        std::snprintf(text, sizeof text, "%s (%4.1f %%)", number(time_ms).c_str(),
                      100 * time_ms / stage_total_ms(result));
      std::printf("%24s", text);
    }
    std::printf("\n");
  }
  std::printf("%-22s", "all stages");
  for (const BenchResult& result : report.results)
    std::printf("%24s", number(stage_total_ms(result)).c_str());
  std::printf("\n");
}

}  // namespace

const char* mode_name(BenchMode mode) {
  switch (mode) {
    case BenchMode::kOffline:
      return "offline";
    case BenchMode::kStream:
      return "stream";
    case BenchMode::kTrain:
      return "train";
    default:
      return "network";
  }
}

json to_json(const BenchReport& report, const BenchOptions& options) {
  const WorkloadSizes& sizes = options.sizes;
  json document = {{"program", program_json()},
                   {"mode", mode_name(options.mode)},
                   {"device", report.device},
                   {"device_name", report.device_name},
                   {"precision", report.precision},
                   {"threads", report.threads},
                   {"ceilings",
                    {{"product_flop_per_s", report.ceilings.product_flop_per_s},
                     {"product_size", report.ceilings.product_size},
                     {"copy_bytes_per_s", report.ceilings.copy_bytes_per_s}}}};
  if (options.mode == BenchMode::kStream) {
    document["streaming"] = {{"mode", sizes.streaming_mode == StreamingMode::kCarry ? "carry" : "rolling"},
                             {"hop_ms", sizes.hop_ms},
                             {"lookahead_ms", sizes.lookahead_ms},
                             {"context_ms", sizes.context_ms}};
  } else {
    document["window_s"] = sizes.window_s;
    document["batch"] = sizes.batch;
  }
  document["results"] = json::array();
  for (const BenchResult& result : report.results) document["results"].push_back(result_json(result));
  return document;
}

void print_bench(const BenchReport& report, const BenchOptions& options) {
  const WorkloadSizes& sizes = options.sizes;
  if (options.mode == BenchMode::kStream) {
    std::printf("stream, hop %g ms, look-ahead %g ms", sizes.hop_ms, sizes.lookahead_ms);
  } else {
    std::printf("%s, %d x %g s", mode_name(options.mode), sizes.batch, sizes.window_s);
  }
  std::printf(", %s on %s (%s), %d CPU threads\n", report.precision.c_str(), report.device.c_str(),
              report.device_name.c_str(), report.threads);
  const Ceilings& ceilings = report.ceilings;
  std::printf("ceilings: %s GFLOP/s (product of %d x %d), %s GB/s (copy, read + written)\n",
              number(ceilings.product_flop_per_s / 1e9).c_str(), ceilings.product_size, ceilings.product_size,
              number(ceilings.copy_bytes_per_s / 1e9).c_str());
  print_times(report);
  print_stages(report);
}

}  // namespace bsm
