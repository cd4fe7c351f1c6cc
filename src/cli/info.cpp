// `bsmamba2 info`: what is in a model file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/registry.h"
#include "cli/score_report.h"

namespace bsm {
namespace {

using nlohmann::json;

json to_json(const std::string& path, const ModelFileSummary& summary, const json& known) {
  return {{"file", path},
          {"layout", layout_name(summary.layout)},
          {"bytes", summary.file_bytes},
          {"sha256", summary.sha256},
          {"parameters", summary.parameters},
          {"tensors", summary.tensors},
          {"tensor_bytes", summary.tensor_bytes},
          {"config", json::parse(summary.config.to_json())},
          {"config_stored", summary.config_stored},
          {"metadata", summary.metadata},
          {"fits", summary.mismatch.empty()},
          {"mismatch", summary.mismatch},
          {"known", known}};
}

void print_line(const char* key, const std::string& value) { std::printf("%-14s %s\n", key, value.c_str()); }

std::string kind_text(const ModelConfig& config) {
  const std::string size =
      ", width " + std::to_string(config.dim) + ", depth " + std::to_string(config.depth);
  if (config.kind == BlockKind::kMamba2) {
    return "BSMamba2" + size + ", expand " + std::to_string(config.mamba2.expand) + ", state " +
           std::to_string(config.mamba2.state) + ", heads of " + std::to_string(config.mamba2.head_dim) +
           (config.time_direction == TimeDirection::kForward ? ", causal in time" : "");
  }
  return "BS-RoFormer" + size + ", " + std::to_string(config.transformer.heads) + " heads of " +
         std::to_string(config.transformer.head_dim);
}

void print_known(const json& known) {
  if (known.is_null()) {
    print_line("known file", "no (its SHA-256 is not in the registry of public checkpoints)");
    return;
  }
  print_line("known file", known.at("name"));
  for (const char* key : {"repository", "training_data", "licence"}) {
    if (known.contains(key)) print_line(key, known.at(key));
  }
  if (!known.contains("published_scores")) return;
  char text[64];
  std::snprintf(text, sizeof text, "cSDR %.2f dB, uSDR %.2f dB on MUSDB18-HQ",
                known["published_scores"].at("cSDR").get<double>(),
                known["published_scores"].at("uSDR").get<double>());
  print_line("published", text);
}

void print_text(const std::string& path, const ModelFileSummary& summary, const json& known) {
  const ModelConfig& config = summary.config;
  print_line("file", path);
  print_line("layout", layout_name(summary.layout));
  print_line("bytes", std::to_string(summary.file_bytes));
  print_line("sha256", summary.sha256);
  print_line("network", kind_text(config));
  print_line("parameters", std::to_string(summary.parameters));
  std::string formats;
  for (const auto& [name, bytes] : summary.tensor_bytes) {
    formats += (formats.empty() ? "" : ", ") + std::to_string(bytes) + " bytes " + name;
  }
  print_line("tensors", std::to_string(summary.tensors) + " (" + formats + ")");
  std::string stems;
  for (const std::string& stem : config.stems) stems += (stems.empty() ? "" : ", ") + stem;
  print_line("stems", stems);
  print_line("signal", std::to_string(config.sample_rate_hz) + " Hz, " + std::to_string(config.channels) +
                           " channels, " + std::to_string(config.bands()) + " bands, STFT " +
                           std::to_string(config.stft.n_fft) + " / " + std::to_string(config.stft.win) +
                           " / " + std::to_string(config.stft.hop));
  print_line("configuration",
             summary.config_stored ? "stored in the file" : "inferred from names and shapes");
  for (const auto& [key, value] : summary.metadata) print_line(("  " + key).c_str(), value);
  print_known(known);
  if (!summary.mismatch.empty()) print_line("DOES NOT LOAD", summary.mismatch);
}

int run_info(const std::string& path, bool as_json) {
  const ModelFileSummary summary = inspect_model_file(path);
  const json known = find_known_checkpoint(summary.sha256);
  if (as_json) {
    write_json(to_json(path, summary, known), "-");
  } else {
    print_text(path, summary, known);
  }
  return summary.mismatch.empty() ? kExitOk : kExitFailed;
}

struct InfoArguments {
  std::string file;
  bool json = false;
};

}  // namespace

Command add_info(CLI::App& program) {
  auto arguments = std::make_shared<InfoArguments>();
  CLI::App* app = program.add_subcommand("info", "Show what a model file holds, and whether it loads");
  app->add_option("FILE", arguments->file, "Model file: safetensors or PyTorch checkpoint")->required();
  app->add_flag("--json", arguments->json, "Print JSON");
  app->footer("Exit status: 0 when the weights fit the network, 1 otherwise.");
  return {app, [arguments] { return run_info(arguments->file, arguments->json); }};
}

}  // namespace bsm
