// Scores of one or two stems and their forms as JSON and as text.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/audio.h"

namespace bsm {

/// Every score of one stem, in dB; see eval/sdr.h for their definitions.
struct StemScore {
  std::vector<std::optional<double>> window_sdr_db;  ///< whole 1 s windows, empty where one is silent
  std::optional<double> csdr_db;                     ///< median of the windows
  double usdr_db = 0;
  std::optional<double> leak_db;  ///< level of the estimate where the reference is silent
};

/// Throws Error(kSettings) on unequal shapes.
StemScore score_stem(const AudioBuffer& reference, const AudioBuffer& estimate, int sample_rate_hz);

/// As BSSEval v4 scores several stems at once: a window in which one stem is silent counts for none of them.
void keep_common_windows(StemScore& first, StemScore& second);

/// {"sdr_per_window": [..., null], "cSDR", "uSDR", "leak_db"}; null = not defined, or minus infinity.
nlohmann::json to_json(const StemScore& score, bool with_windows);

/// A value of a table: "12.34", "-" when empty.
std::string table_value(const std::optional<double>& value_db);

/// Writes JSON to a file, or to standard output for "-". Throws Error(kOpenWrite).
void write_json(const nlohmann::json& document, const std::string& path);

/// The program and the libraries that computed a report.
nlohmann::json program_json();

}  // namespace bsm
