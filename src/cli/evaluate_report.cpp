#include "cli/evaluate_report.h"

#include <cstdio>

#include "eval/sdr.h"

namespace bsm {
namespace {

using nlohmann::json;
using Statistic = double (*)(std::vector<double>);

double mean_of(std::vector<double> values) { return mean(values); }
double median_of(std::vector<double> values) { return median(std::move(values)); }

/// A statistic over the songs that have the value; empty when none has.
template <class Get>
std::optional<double> over_songs(const std::vector<SongScore>& songs, Statistic statistic, Get get) {
  std::vector<double> values;
  for (const SongScore& song : songs) {
    if (const std::optional<double> value = get(song)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return statistic(std::move(values));
}

StemScore summary(const std::vector<SongScore>& songs, Statistic statistic, StemScore SongScore::*stem) {
  StemScore score;
  score.usdr_db = *over_songs(songs, statistic,
                              [=](const SongScore& song) { return std::optional((song.*stem).usdr_db); });
  score.csdr_db = over_songs(songs, statistic, [=](const SongScore& song) { return (song.*stem).csdr_db; });
  score.leak_db = over_songs(songs, statistic, [=](const SongScore& song) { return (song.*stem).leak_db; });
  return score;
}

SongScore summary_row(const std::vector<SongScore>& songs, const char* name, Statistic statistic) {
  return {name, 0, summary(songs, statistic, &SongScore::vocals),
          summary(songs, statistic, &SongScore::instrumental)};
}

json stems_json(const SongScore& score) {
  return {{"vocals", to_json(score.vocals, false)}, {"instrumental", to_json(score.instrumental, false)}};
}

void print_row(const SongScore& row) {
  std::printf("%-28.28s", row.name.c_str());
  for (const StemScore* stem : {&row.vocals, &row.instrumental}) {
    std::printf("  %8s %8s %8s", table_value(stem->usdr_db).c_str(), table_value(stem->csdr_db).c_str(),
                table_value(stem->leak_db).c_str());
  }
  std::printf("\n");
}

}  // namespace

json to_json(const std::vector<BalanceScores>& results) {
  json balances = json::array();
  for (const BalanceScores& result : results) {
    json songs = json::array();
    for (const SongScore& song : result.songs) {
      json entry = stems_json(song);
      entry["name"] = song.name;
      entry["seconds"] = song.seconds;
      songs.push_back(std::move(entry));
    }
    balances.push_back({{"balance_db", result.balance_db ? json(*result.balance_db) : json(nullptr)},
                        {"mean", stems_json(summary_row(result.songs, "mean", mean_of))},
                        {"median", stems_json(summary_row(result.songs, "median", median_of))},
                        {"songs", std::move(songs)}});
  }
  return balances;
}

void print_table(const std::vector<BalanceScores>& results) {
  for (const BalanceScores& result : results) {
    if (result.balance_db) {
      std::printf("\nVoice at %g dB of the band\n", *result.balance_db);
    } else {
      std::printf("Voice as recorded\n");
    }
    std::printf("%-28s  %26s  %26s\n", "", "vocals (dB)", "instrumental (dB)");
    std::printf("%-28s  %8s %8s %8s  %8s %8s %8s\n", "song", "uSDR", "cSDR", "leak", "uSDR", "cSDR", "leak");
    for (const SongScore& song : result.songs) print_row(song);
    print_row(summary_row(result.songs, "mean", mean_of));
    print_row(summary_row(result.songs, "median", median_of));
  }
}

}  // namespace bsm
