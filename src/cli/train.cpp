// `bsmamba2 train`: options to the training library (src/train), its progress lines to standard output.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/rank_processes.h"
#include "cli/terminal.h"
#include "separate/model.h"
#include "train/train.h"

namespace bsm {
namespace {

int run_train(TrainOptions options) {
  if (blas_is_generic()) {
    print_message(
        "warning: LibTorch multiplies with the generic reference BLAS, about 40 times slower than OpenBLAS "
        "on the CPU: "
        "install the package libopenblas0-pthread.");
  }
  options.report = [](const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
  };
  const TrainSummary summary = train(options);
  std::printf("%s after step %lld, loss %.4f", summary.interrupted ? "Stopped" : "Finished",
              static_cast<long long>(summary.step), summary.loss);
  if (!std::isnan(summary.best_usdr_db)) {
    std::printf(", validation uSDR %.2f dB (best %.2f dB)", summary.last_usdr_db, summary.best_usdr_db);
  }
  std::printf("\nModels are in %s%s\n", options.out_dir.c_str(),
              summary.interrupted ? "; the same command with --resume continues exactly" : "");
  return kExitOk;
}

/// One of several processes. The first one's errors go to main(); the others name themselves, and do not
/// repeat what another has said.
int run_rank(const TrainOptions& options) {
  if (options.ranks.rank == 0) return run_train(options);
  try {
    train(options);
    return kExitOk;
  } catch (const std::exception& error) {
    const auto* own = dynamic_cast<const Error*>(&error);
    if (!own || own->code() != ErrorCode::kCancelled)
      print_message("process " + std::to_string(options.ranks.rank + 1) + " of " +
                    std::to_string(options.ranks.count) + ": " + error.what());
    return kExitFailed;
  }
}

}  // namespace

Command add_train(CLI::App& program) {
  auto options = std::make_shared<TrainOptions>();
  auto gpus = std::make_shared<int>(1);
  auto rank = std::make_shared<std::string>();
  CLI::App* app = program.add_subcommand("train", "Train a model");
  app->add_option("--data", options->data_dir,
                  "Training audio (DIR/train when that exists): song folders with vocals.* and "
                  "accompaniment.* (or drums.*, "
                  "bass.*, other.*), and folders called vocals and instrumental with any audio files below")
      ->required()
      ->type_name("DIR");
  app->add_option("--config", options->config_file, "JSON file with the objects \"model\" and \"training\"")
      ->required()
      ->type_name("FILE");
  app->add_option("--out", options->out_dir,
                  "Folder for last.safetensors and best.safetensors (models), state.safetensors and log.csv")
      ->required()
      ->type_name("DIR");
  app->add_option("--valid", options->valid_dir,
                  "Song folders to validate on [default: valid in the data folder, if there is one]")
      ->type_name("DIR");
  app->add_option(
         "--minutes", options->minutes,
         "Save and stop within M minutes from now; the learning rate follows the rest of its schedule over "
         "this time [default: no limit]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("M");
  CLI::Option* schedule =
      app->add_option(
             "--schedule-minutes", options->schedule_minutes,
             "The schedule ends M minutes from now, if need be in a later run with --resume [default: with "
             "this run]")
          ->check(CLI::PositiveNumber)
          ->type_name("M");
  app->add_option(
         "--steps", options->steps,
         "The schedule has N optimizer steps, whatever time they take [default: the configuration's, unless "
         "minutes are given]")
      ->check(CLI::PositiveNumber)
      ->excludes(schedule)
      ->type_name("N");
  CLI::Option* resume =
      app->add_flag("--resume", options->resume, "Continue exactly from the state in the output folder");
  app->add_option("--init", options->init_file, "Model file whose weights are the start, as far as they fit")
      ->excludes(resume)
      ->type_name("FILE");
  app->add_option("--device", options->device,
                  "auto (a GPU if there is one), cpu, cuda, cuda:N [default: auto]")
      ->type_name("DEVICE");
  app->add_option("--batch", options->batch,
                  "Mixtures per forward pass on each GPU [default: the configuration's]")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app->add_option("--accumulate", options->accumulate,
                  "Forward passes per optimizer step [default: the configuration's]")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app->add_flag(
      "--recompute", options->recompute,
      "Backward passes compute the inside of blocks again: less memory, about a third more time; for "
      "larger batches");
  app->add_option(
         "--gpus", *gpus,
         "Train on the first N GPUs (with --device cpu: in N processes), each with a batch of its own: "
         "the configuration's batch is per GPU [default: 1]")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app->add_option("--rank", *rank)->group("");  // of a process that --gpus has started
  app->add_option("--decode-threads", options->decode_threads,
                  "Threads that decode the audio at the start [default: 0 = one per processor]")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  app->footer(
      "Ctrl-C saves the state and stops; the same command with --resume continues where it was.\n"
      "Files that appear in the training and in the validation audio are an error.");
  return {app, [options, gpus, rank] {
            if (!rank->empty()) {
              options->ranks = parse_rank(*rank);
              return run_rank(*options);
            }
            return *gpus > 1 ? run_rank_processes(*gpus) : run_train(*options);
          }};
}

}  // namespace bsm
