// `bsmamba2 evaluate`: songs with true stems through a separator, scored.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/estimator.h"
#include "cli/evaluate_report.h"
#include "cli/model_options.h"
#include "cli/songs.h"
#include "cli/terminal.h"
#include "eval/balance.h"
#include "io/audio_file.h"
#include "io/sha256.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

struct EvaluateArguments {
  ModelArguments model;
  std::string data_dir;
  std::string json;
  std::vector<double> balances_db;
  std::string stream;
  std::string baseline;
  std::string estimates_dir;
  std::string mixtures_dir;
  bool paper = false;
};

/// Name of a song's mixture at a balance, also of its files: "song", "song@-6dB".
std::string variant_name(const std::string& song, const std::optional<double>& balance_db) {
  if (!balance_db) return song;
  char text[32];
  std::snprintf(text, sizeof text, "@%gdB", *balance_db);
  return song + text;
}

void write_wav(const std::string& path, const AudioBuffer& audio, int sample_rate_hz) {
  std::vector<float> interleaved(audio.samples.size());
  for (int64_t i = 0; i < audio.frames; ++i) {
    for (int c = 0; c < audio.channels; ++c) {
      interleaved[static_cast<size_t>(i * audio.channels + c)] = audio.channel(c)[i];
    }
  }
  AudioWriter writer(path, AudioFormat::kWavFloat32, sample_rate_hz, audio.channels);
  writer.write(interleaved.data(), audio.frames);
  writer.close();
}

/// What is evaluated, and how reports call it.
struct Method {
  Estimator estimator;  ///< empty: only mixtures are written
  nlohmann::json description;
  std::shared_ptr<const Model> model;  ///< null for baselines and files
  int sample_rate_hz = 44100;
};

Method model_method(const EvaluateArguments& arguments) {
  Method method;
  method.model = load_model(arguments.model);
  const Model& model = *method.model;
  method.sample_rate_hz = model.config().sample_rate_hz;
  const std::string file = model_path(arguments.model);
  method.description = {{"model", fs::path(file).filename().string()},
                        {"model_sha256", sha256_file(file)},
                        {"parameters", model.parameters()},
                        {"device", model.device_name()},
                        {"precision", precision_name(model.precision())},
                        {"threads", arguments.model.threads}};
  if (arguments.stream.empty()) {
    method.estimator =
        offline_estimator(method.model, arguments.paper ? OfflineOptions::paper() : OfflineOptions{});
    method.description["method"] =
        arguments.paper ? "offline, windows back to back" : "offline, cross-faded windows";
    return method;
  }
  const StreamingOptions options = parse_stream_options(arguments.stream, model.config());
  const double frame_ms = 1000.0 * static_cast<double>(model.config().stft.hop) / method.sample_rate_hz;
  method.estimator = streaming_estimator(method.model, options);
  method.description["method"] = "streaming";
  method.description["streaming"] = {
      {"mode", options.mode == StreamingMode::kCarry ? "carry" : "rolling"},
      {"hop_ms", static_cast<double>(options.hop_frames) * frame_ms},
      {"lookahead_ms", static_cast<double>(options.lookahead_frames) * frame_ms},
      {"context_ms", static_cast<double>(options.context_frames) * frame_ms},
      {"delay_ms", 1000.0 * static_cast<double>(streaming_delay_samples(model.config().stft, options)) /
                       method.sample_rate_hz}};
  return method;
}

Method choose_method(const EvaluateArguments& arguments) {
  Method method;
  if (!arguments.baseline.empty()) {
    method.estimator = baseline_estimator(arguments.baseline);
    method.description = {{"method", "baseline " + arguments.baseline}};
  } else if (!arguments.estimates_dir.empty()) {
    method.estimator = file_estimator(arguments.estimates_dir);
    method.description = {
        {"method", "files"},
        {"estimates", (fs::path(arguments.estimates_dir) / "").parent_path().filename().string()}};
  } else if (arguments.mixtures_dir.empty() || !arguments.model.model_file.empty()) {
    method = model_method(arguments);
  }
  return method;
}

/// The first call on a GPU loads kernels and plans memory: not part of the speed of separation.
void warm_up(const Method& method) {
  if (!method.model || !method.model->on_gpu()) return;
  method.estimator(AudioBuffer(2, int64_t{10} * method.sample_rate_hz), "warm-up");
}

int run_evaluate(const EvaluateArguments& arguments) {
  const std::vector<SongFolder> folders = find_songs(arguments.data_dir);
  const Method method = choose_method(arguments);
  if (!arguments.mixtures_dir.empty()) fs::create_directories(arguments.mixtures_dir);
  if (method.estimator) warm_up(method);

  std::vector<std::optional<double>> balances = {std::nullopt};
  balances.insert(balances.end(), arguments.balances_db.begin(), arguments.balances_db.end());
  std::vector<BalanceScores> results;
  for (const auto& balance_db : balances) results.push_back({balance_db, {}});
  double audio_s = 0;
  double separation_s = 0;
  for (const SongFolder& folder : folders) {
    const Song raw = load_song(folder, method.sample_rate_hz);
    for (BalanceScores& result : results) {
      const std::string name = variant_name(folder.name, result.balance_db);
      if (stderr_is_terminal()) show_progress_line(name);
      Song song = raw;
      if (result.balance_db &&
          !set_balance(song.vocals, song.accompaniment, method.sample_rate_hz, *result.balance_db))
        throw Error(
            ErrorCode::kSettings,
            "The song " + folder.name +
                " has no balance to set: its voice or its band never sounds. Leave it out of the data.");
      const AudioBuffer mixture = song.mixture();
      if (!arguments.mixtures_dir.empty()) {
        write_wav((fs::path(arguments.mixtures_dir) / (name + ".wav")).string(), mixture,
                  method.sample_rate_hz);
      }
      if (!method.estimator) continue;
      const auto started = std::chrono::steady_clock::now();
      const Estimate estimate = method.estimator(mixture, name);
      separation_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      const double song_s = static_cast<double>(mixture.frames) / method.sample_rate_hz;
      audio_s += song_s;
      result.songs.push_back({folder.name, song_s,
                              score_stem(song.vocals, estimate.vocals, method.sample_rate_hz),
                              score_stem(song.accompaniment, estimate.instrumental, method.sample_rate_hz)});
    }
  }
  show_progress_line("");
  if (!method.estimator) return kExitOk;

  nlohmann::json report = method.description;
  report["program"] = program_json();
  report["sample_rate_hz"] = method.sample_rate_hz;
  if (method.model) {
    report["audio_seconds"] = audio_s;
    report["separation_seconds"] = separation_s;
    report["real_time_factor"] = separation_s / audio_s;
  }
  report["balances"] = to_json(results);
  if (!arguments.json.empty()) write_json(report, arguments.json);
  if (arguments.json == "-") return kExitOk;
  print_table(results);
  if (method.model) {
    std::printf("\n%s, %s: real-time factor %.4f (%.1f x real time)\n", method.model->device_name().c_str(),
                precision_name(method.model->precision()), separation_s / audio_s, audio_s / separation_s);
  }
  return kExitOk;
}

}  // namespace

Command add_evaluate(CLI::App& program) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* app = program.add_subcommand("evaluate", "Separate songs with known stems and score the result");
  app->add_option(
         "--data", arguments->data_dir,
         "Folder of song folders, each with vocals.* and accompaniment.* (or drums.*, bass.*, other.*); the "
         "mixture is their sum")
      ->required()
      ->type_name("DIR");
  add_model_options(*app, arguments->model);
  app->add_option("--balance", arguments->balances_db,
                  "Also with the voice scaled to stand DB above the band while it sounds; may be repeated")
      ->allow_extra_args(false)
      ->type_name("DB");
  CLI::Option* stream =
      app->add_option(
             "--stream", arguments->stream,
             "Separate as a stream: hop=MS,lookahead=MS[,context=MS][,mode=carry|rolling] [default: offline]")
          ->type_name("SPEC");
  CLI::Option* paper =
      app->add_flag("--paper", arguments->paper, "8 s windows back to back, as the authors evaluate");
  CLI::Option* baseline = app->add_option("--baseline", arguments->baseline,
                                          "Score no model but: mixture (both stems are the mixture), silence "
                                          "(no voice, the band is the mixture)")
                              ->check(CLI::IsMember({"mixture", "silence"}))
                              ->type_name("NAME");
  CLI::Option* estimates = app->add_option("--estimates", arguments->estimates_dir,
                                           "Score no model but files: <song>.vocals.wav and "
                                           "<song>.instrumental.wav (one is enough, the other "
                                           "is then the rest of the mixture)")
                               ->type_name("DIR");
  app->add_option("--write-mixtures", arguments->mixtures_dir,
                  "Write the mixtures as <song>.wav (raw) and <song>@<DB>dB.wav (32-bit float); alone, "
                  "nothing is scored")
      ->type_name("DIR");
  app->add_option("--json", arguments->json, "Write the scores of every song as JSON; - is standard output")
      ->type_name("FILE");
  CLI::Option* model = app->get_option("--model");
  stream->excludes(paper);
  for (CLI::Option* option : {model, stream, paper}) option->excludes(baseline)->excludes(estimates);
  baseline->excludes(estimates);
  app->footer(
      "Scores, per song and as mean and median: uSDR (whole track), cSDR (median of 1 s windows), leak "
      "(level of the\n"
      "estimate in dBFS where the reference is silent), for the voice and for the instrumental, in the raw "
      "mix and at each\n"
      "balance. The real-time factor is separation time over audio time. Scores of GStreamer's "
      "audiokaraoke:\n"
      "tests/baselines/audiokaraoke.sh.");
  return {app, [arguments] { return run_evaluate(*arguments); }};
}

}  // namespace bsm
