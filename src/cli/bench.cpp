// `bsmamba2 bench`: how fast a network runs here, beside what the machine can do.
#include "bench/bench.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/model_options.h"
#include "cli/score_report.h"
#include "cli/terminal.h"

namespace bsm {
namespace {

const std::map<std::string, BenchMode> kModes = {{"network", BenchMode::kNetwork},
                                                 {"offline", BenchMode::kOffline},
                                                 {"stream", BenchMode::kStream},
                                                 {"train", BenchMode::kTrain}};
const std::map<std::string, StreamingMode> kStreamingModes = {{"carry", StreamingMode::kCarry},
                                                              {"rolling", StreamingMode::kRolling}};

struct BenchArguments {
  ModelArguments model;
  std::string config_file;
  bool paper = false;
  std::string mode = "network";
  std::string streaming_mode = "carry";
  WorkloadSizes sizes;
  bool compare = false;
  int repeats = 0;
  std::string json;
};

BenchOptions resolve(const BenchArguments& arguments) {
  BenchOptions options;
  options.mode = kModes.at(arguments.mode);
  options.model = device_options(arguments.model);
  if (!arguments.config_file.empty()) {
    options.config = read_config(arguments.config_file);
  } else if (!arguments.paper) {
    options.model.model_file = model_path(arguments.model);
  }
  options.compare = arguments.compare;
  options.sizes = arguments.sizes;
  options.sizes.streaming_mode = kStreamingModes.at(arguments.streaming_mode);
  options.repeats.repeats = arguments.repeats;
  return options;
}

int run_bench_command(const BenchArguments& arguments) {
  const BenchOptions options = resolve(arguments);
  const BenchReport report = run_bench(options, [](const std::string& next) {
    if (stderr_is_terminal()) show_progress_line("measuring: " + next);
  });
  show_progress_line("");
  if (!arguments.json.empty()) write_json(to_json(report, options), arguments.json);
  if (arguments.json != "-") print_bench(report, options);
  return kExitOk;
}

}  // namespace

Command add_bench(CLI::App& program) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* app = program.add_subcommand("bench", "Measure speed and memory on this machine");
  CLI::Option* model = add_model_options(*app, arguments->model);
  CLI::Option* config = app->add_option("--config", arguments->config_file,
                                        "Random weights of the sizes in a configuration (JSON) instead of a "
                                        "model file")
                            ->excludes(model)
                            ->type_name("FILE");
  app->add_flag("--paper", arguments->paper, "Random weights of the published 48.1 M network instead")
      ->excludes(model)
      ->excludes(config);
  app->add_option("--mode", arguments->mode,
                  "network (alone), offline (with STFT, transfers, iSTFT), stream (time per hop), train (one "
                  "step) [default: network]")
      ->check(CLI::IsMember(kModes))
      ->type_name("MODE");
  app->add_flag("--compare", arguments->compare,
                "Also with plain tensor operators, and the BS-RoFormer of similar size (published: 72.2 M)");
  app->add_option("--window", arguments->sizes.window_s, "Seconds of audio per window [default: 8]")
      ->check(CLI::Range(0.001, 1000.0))
      ->type_name("S");
  app->add_option("--batch", arguments->sizes.batch, "Windows at a time [default: 1]")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app->add_option("--hop-ms", arguments->sizes.hop_ms, "stream: new audio per inference [default: 500]")
      ->check(CLI::Range(1.0, 60000.0))
      ->type_name("MS");
  app->add_option("--lookahead-ms", arguments->sizes.lookahead_ms, "stream: right context [default: 500]")
      ->check(CLI::Range(0.0, 60000.0))
      ->type_name("MS");
  app->add_option("--context-ms", arguments->sizes.context_ms,
                  "stream: left context in rolling mode [default: 2000]")
      ->check(CLI::Range(0.0, 60000.0))
      ->type_name("MS");
  app->add_option("--streaming-mode", arguments->streaming_mode, "carry or rolling [default: carry]")
      ->check(CLI::IsMember(kStreamingModes))
      ->type_name("MODE");
  app->add_option("--repeats", arguments->repeats,
                  "Measured runs [default: 0 = as many as fit in 5 s, 1 to 200]")
      ->check(CLI::Range(0, 1000000))
      ->type_name("N");
  app->add_option("--json", arguments->json, "Write the figures as JSON, - for standard output")
      ->type_name("FILE");
  app->footer(
      "\"least\" is what the network's operations and bytes would take at the ceilings measured in the same "
      "run: a product of large matrices, and copying memory. On a GPU the stages are measured apart, "
      "without CUDA graphs.");
  return {app, [arguments] { return run_bench_command(*arguments); }};
}

}  // namespace bsm
