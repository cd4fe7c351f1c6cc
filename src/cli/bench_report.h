// What `bsmamba2 bench` measured, as JSON and as text.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/bench.h"

namespace bsm {

/// {"program", "mode", "device", "device_name", "precision", "threads", "ceilings": {...}, sizes,
///  "results": [{"name", "parameters", "time_ms": {"median", "p95", "p99", "min", "repeats"}, "audio_s",
///  "real_time_factor", "peak_bytes": {"allocated", "reserved", "resident"} (null: unknown), "least":
///  {"flop", "bytes", "time_ms"}, "ratio_to_least", "stages": [{"name", "time_ms", "share", "flop_per_s"}]}]}
nlohmann::json to_json(const BenchReport& report, const BenchOptions& options);

/// The same as tables on standard output.
void print_bench(const BenchReport& report, const BenchOptions& options);

/// "network", "offline", "stream", "train".
const char* mode_name(BenchMode mode);

}  // namespace bsm
