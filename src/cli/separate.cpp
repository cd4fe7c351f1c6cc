// `bsmamba2 separate`: files to files, many with one model load.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/separate_file.h"
#include "cli/terminal.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

struct SeparateArguments {
  std::vector<std::string> inputs;
  std::string out_dir = ".";
  ModelArguments model;
  std::string format = "flac";
  std::string stem = "both";
  std::string progress = "auto";
  bool paper = false;
  bool skip_existing = false;
};

struct Job {
  std::string input;
  StemPaths outputs;
};

/// Throws UsageError when two inputs would write one file, or one input would be overwritten.
std::vector<Job> plan(const SeparateArguments& arguments) {
  std::vector<Job> jobs;
  std::map<fs::path, std::string> writer_of;
  for (const std::string& input : arguments.inputs) {
    const fs::path base = fs::path(arguments.out_dir) / fs::path(input).stem();
    Job job{input, {}};
    if (arguments.stem != "instrumental") job.outputs.vocals = base.string() + ".vocals." + arguments.format;
    if (arguments.stem != "vocals")
      job.outputs.instrumental = base.string() + ".instrumental." + arguments.format;
    for (const std::string& output : job.outputs.wanted()) {
      const auto [entry, added] = writer_of.emplace(fs::weakly_canonical(output), input);
      if (added) continue;
      throw UsageError(entry->second + " and " + input + " would both write " + output +
                       ": rename one, or separate them into different folders (-o).");
    }
    jobs.push_back(std::move(job));
  }
  for (const std::string& input : arguments.inputs) {
    const auto entry = writer_of.find(fs::weakly_canonical(input));
    if (entry == writer_of.end()) continue;
    throw UsageError("Separating " + entry->second + " would overwrite the input " + input +
                     ": choose another folder (-o).");
  }
  return jobs;
}

/// Whether every output is there with the input's length, rate and channels.
bool already_done(const AudioReader& input, const StemPaths& outputs) {
  for (const std::string& path : outputs.wanted()) {
    if (!fs::exists(path)) return false;
    try {
      const AudioReader output(path);
      if (input.frames() < 0 || output.frames() != input.frames() || output.channels() != input.channels() ||
          output.sample_rate_hz() != input.sample_rate_hz()) {
        return false;
      }
    } catch (const Error&) {
      return false;  // broken: written anew
    }
  }
  return true;
}

void report(const std::string& input, const SeparatedFile& result, const std::string& format) {
  if (result.not_finite_samples > 0) {
    print_message("warning: " + input + ": " + std::to_string(result.not_finite_samples) +
                  " samples are not finite and were taken as silence.");
  }
  if (result.clipped_samples > 0) {
    print_message("warning: " + input + ": " + std::to_string(result.clipped_samples) +
                  " samples exceed full scale and were clipped in " + format +
                  ": lower the input's level, or use --format wav, which does not clip.");
  }
}

int run_separate(const SeparateArguments& arguments) {
  const std::vector<Job> jobs = plan(arguments);
  std::error_code error;
  fs::create_directories(arguments.out_dir, error);
  if (error) {
    throw Error(ErrorCode::kOpenWrite, "Cannot create the folder " + arguments.out_dir + ": " +
                                           error.message() + ". Choose another one with -o.");
  }
  install_interrupt_cleanup();
  const AudioFormat format = arguments.format == "wav" ? AudioFormat::kWavFloat32 : AudioFormat::kFlac24;
  const OfflineOptions options = arguments.paper ? OfflineOptions::paper() : OfflineOptions{};
  Progress progress(progress_mode_of(arguments.progress), static_cast<int>(jobs.size()));
  std::shared_ptr<const Model> model;  // loaded when the first file needs it
  int failures = 0;
  for (const Job& job : jobs) {
    std::unique_ptr<AudioReader> input;
    try {
      input = std::make_unique<AudioReader>(job.input);
      require_mono_or_stereo(*input, job.input);
    } catch (const Error& problem) {
      ++failures;
      progress.failed(job.input, problem.what());
      continue;
    }
    if (arguments.skip_existing && already_done(*input, job.outputs)) {
      progress.skipped(job.input, job.outputs.wanted());
      continue;
    }
    if (!model)
      model = load_model(arguments.model);  // without a model no file can be separated: the error ends it all
    try {
      progress.start(job.input, input->frames(), input->sample_rate_hz());
      const SeparatedFile result = separate_file(model, *input, job.input, job.outputs, format, options,
                                                 [&](int64_t frames) { progress.update(frames); });
      progress.done(result.frames, result.clipped_samples, job.outputs.wanted());
      report(job.input, result, arguments.format);
    } catch (const std::exception& problem) {
      ++failures;
      progress.failed(job.input, problem.what());
    }
  }
  if (failures > 0 && jobs.size() > 1) {
    print_message(std::to_string(failures) + " of " + std::to_string(jobs.size()) + " files failed.");
  }
  return failures > 0 ? kExitFailed : kExitOk;
}

}  // namespace

Command add_separate(CLI::App& program) {
  auto arguments = std::make_shared<SeparateArguments>();
  CLI::App* app = program.add_subcommand("separate", "Split audio files into voice and band");
  app->add_option("INPUT", arguments->inputs, "Audio files, mono or stereo, of any sample rate")->required();
  app->add_option("-o,--output", arguments->out_dir,
                  "Folder for INPUT's <name>.vocals.<ext> and <name>.instrumental.<ext> [default: .]")
      ->type_name("DIR");
  add_model_options(*app, arguments->model);
  app->add_option("--format", arguments->format,
                  "flac (24 bit, clips at full scale) or wav (32-bit float) [default: flac]")
      ->check(CLI::IsMember({"flac", "wav"}))
      ->type_name("FORMAT");
  app->add_option("--stem", arguments->stem, "What to write: both, vocals, instrumental [default: both]")
      ->check(CLI::IsMember({"both", "vocals", "instrumental"}))
      ->type_name("STEM");
  app->add_flag("--paper", arguments->paper,
                "8 s windows back to back, as the authors evaluate [default: overlapping, cross-faded]");
  app->add_flag("--skip-existing", arguments->skip_existing,
                "Skip inputs whose outputs exist with the input's length, rate and channels");
  app->add_option("--progress", arguments->progress,
                  "auto (a bar when stderr is a terminal), none, json (events on stdout) [default: auto]")
      ->check(CLI::IsMember({"auto", "none", "json"}))
      ->type_name("MODE");
  app->footer(
      "Each output has the input's rate, channels and exact length; instrumental = input - vocals, so that "
      "they sum to the\n"
      "input. A file appears under its name only when it is complete; the names are listed on standard "
      "output. A file that\n"
      "fails does not stop the others.");
  return {app, [arguments] { return run_separate(*arguments); }};
}

}  // namespace bsm
