#include "cli/score_report.h"

#include <cmath>
#include <cstdio>
#include <fstream>

#include "core/error.h"
#include "eval/sdr.h"
#include "separate/model.h"

namespace bsm {
namespace {

using nlohmann::json;

json number_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? json(*value) : json(nullptr);
}

std::optional<double> median_of_windows(const std::vector<std::optional<double>>& windows) {
  std::vector<double> values;
  for (const auto& window : windows) {
    if (window) values.push_back(*window);
  }
  if (values.empty()) return std::nullopt;
  return median(values);
}

}  // namespace

StemScore score_stem(const AudioBuffer& reference, const AudioBuffer& estimate, int sample_rate_hz) {
  StemScore score;
  score.window_sdr_db = window_sdr_db(reference, estimate, sample_rate_hz);
  score.csdr_db = median_of_windows(score.window_sdr_db);
  score.usdr_db = utterance_sdr_db(reference, estimate);
  score.leak_db = silence_leak_db(reference, estimate, sample_rate_hz);
  return score;
}

void keep_common_windows(StemScore& first, StemScore& second) {
  for (size_t i = 0; i < first.window_sdr_db.size(); ++i) {
    if (first.window_sdr_db[i] && second.window_sdr_db[i]) continue;
    first.window_sdr_db[i] = second.window_sdr_db[i] = std::nullopt;
  }
  first.csdr_db = median_of_windows(first.window_sdr_db);
  second.csdr_db = median_of_windows(second.window_sdr_db);
}

json to_json(const StemScore& score, bool with_windows) {
  json result = {{"cSDR", number_or_null(score.csdr_db)},
                 {"uSDR", number_or_null(score.usdr_db)},
                 {"leak_db", number_or_null(score.leak_db)}};
  if (with_windows) {
    json windows = json::array();
    for (const auto& window : score.window_sdr_db) windows.push_back(number_or_null(window));
    result["sdr_per_window"] = std::move(windows);
  }
  return result;
}

std::string table_value(const std::optional<double>& value_db) {
  if (!value_db) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *value_db);
  return text;
}

void write_json(const json& document, const std::string& path) {
  const std::string text = document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) {
    throw Error(ErrorCode::kOpenWrite, "Cannot write the report " + path +
                                           ": check that its folder exists, may be written and is not full.");
  }
}

json program_json() {
  return {{"name", "bsmamba2"}, {"version", BSM_VERSION}, {"libraries", describe_libtorch()}};
}

}  // namespace bsm
