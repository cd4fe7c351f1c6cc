// Scores of many songs: means and medians, as JSON and as a table.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/score_report.h"

namespace bsm {

struct SongScore {
  std::string name;
  double seconds = 0;
  StemScore vocals;
  StemScore instrumental;
};

/// All songs with the voice at one balance (empty: as recorded).
struct BalanceScores {
  std::optional<double> balance_db;
  std::vector<SongScore> songs;
};

/// [{"balance_db": null | dB, "mean", "median": {"vocals", "instrumental": {"uSDR", "cSDR", "leak_db"}},
/// "songs": [...]}]. Mean and median run over the songs that have the value.
nlohmann::json to_json(const std::vector<BalanceScores>& results);

/// The same on standard output, one line per song.
void print_table(const std::vector<BalanceScores>& results);

}  // namespace bsm
