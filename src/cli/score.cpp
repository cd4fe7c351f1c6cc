// `bsmamba2 score`: an estimate against its reference.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/score_report.h"
#include "io/audio_file.h"

namespace bsm {
namespace {

struct ScoreArguments {
  std::string reference;
  std::string estimate;
  std::string accompaniment;
  std::string accompaniment_estimate;
  std::string json;
};

struct Pair {
  AudioBuffer reference;
  AudioBuffer estimate;
  int sample_rate_hz = 0;
};

std::string shape_text(const AudioBuffer& audio, int rate_hz) {
  return std::to_string(audio.frames) + " frames, " + std::to_string(audio.channels) + " channels, " +
         std::to_string(rate_hz) + " Hz";
}

Pair read_pair(const std::string& reference, const std::string& estimate) {
  Pair pair;
  int estimate_rate_hz = 0;
  pair.reference = read_audio(reference, &pair.sample_rate_hz);
  pair.estimate = read_audio(estimate, &estimate_rate_hz);
  const bool equal = pair.reference.channels == pair.estimate.channels &&
                     pair.reference.frames == pair.estimate.frames && pair.sample_rate_hz == estimate_rate_hz;
  if (!equal) {
    throw Error(ErrorCode::kSettings, estimate + " (" + shape_text(pair.estimate, estimate_rate_hz) +
                                          ") cannot be scored against " + reference + " (" +
                                          shape_text(pair.reference, pair.sample_rate_hz) +
                                          "): both must have the same shape and rate.");
  }
  return pair;
}

void print_row(const char* stem, const StemScore& score) {
  size_t counted = 0;
  for (const auto& window : score.window_sdr_db) counted += window.has_value() ? 1 : 0;
  std::printf("%-14s %9s %9s %9s   %zu of %zu\n", stem, table_value(score.usdr_db).c_str(),
              table_value(score.csdr_db).c_str(), table_value(score.leak_db).c_str(), counted,
              score.window_sdr_db.size());
}

int run_score(const ScoreArguments& arguments) {
  const Pair vocals = read_pair(arguments.reference, arguments.estimate);
  StemScore vocals_score = score_stem(vocals.reference, vocals.estimate, vocals.sample_rate_hz);
  std::optional<StemScore> band_score;
  if (!arguments.accompaniment.empty()) {
    const Pair band = read_pair(arguments.accompaniment, arguments.accompaniment_estimate);
    if (band.reference.frames != vocals.reference.frames || band.sample_rate_hz != vocals.sample_rate_hz) {
      throw Error(ErrorCode::kSettings, arguments.accompaniment + " and " + arguments.reference +
                                            " differ in length or rate: they must be stems of one song.");
    }
    band_score = score_stem(band.reference, band.estimate, band.sample_rate_hz);
    keep_common_windows(vocals_score, *band_score);
  }
  if (!arguments.json.empty()) {
    nlohmann::json report = {
        {"program", program_json()},
        {"sample_rate_hz", vocals.sample_rate_hz},
        {"seconds", static_cast<double>(vocals.reference.frames) / vocals.sample_rate_hz},
        {"vocals", to_json(vocals_score, true)}};
    if (band_score) report["accompaniment"] = to_json(*band_score, true);
    write_json(report, arguments.json);
  }
  if (arguments.json != "-") {
    std::printf("%-14s %9s %9s %9s   %s\n", "dB", "uSDR", "cSDR", "leak", "windows");
    print_row("vocals", vocals_score);
    if (band_score) print_row("accompaniment", *band_score);
  }
  return kExitOk;
}

}  // namespace

Command add_score(CLI::App& program) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App* app = program.add_subcommand("score", "Score an estimated stem against the true one");
  app->add_option("--reference", arguments->reference, "The true voice")->required()->type_name("FILE");
  app->add_option("--estimate", arguments->estimate, "The estimated voice, of the same length")
      ->required()
      ->type_name("FILE");
  CLI::Option* band =
      app->add_option("--accompaniment", arguments->accompaniment, "The true band")->type_name("FILE");
  CLI::Option* band_estimate =
      app->add_option("--accompaniment-estimate", arguments->accompaniment_estimate, "The estimated band")
          ->type_name("FILE");
  band->needs(band_estimate);
  band_estimate->needs(band);
  app->add_option("--json", arguments->json,
                  "Write the scores, with every window, as JSON; - is standard output")
      ->type_name("FILE");
  app->footer(
      "uSDR: SDR of the whole track. cSDR: median SDR of its 1 s windows, without those in which reference "
      "or estimate is\n"
      "silent (the SDR of BSSEval v4; with the band given, a window counts for both stems or for none). "
      "leak: level of the\n"
      "estimate in dBFS where the reference is silent.");
  return {app, [arguments] { return run_score(*arguments); }};
}

}  // namespace bsm
