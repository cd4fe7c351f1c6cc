#include "cli/model_options.h"

#include <CLI/CLI.hpp>

#include "cli/default_model.h"
#include "separate/device_choice.h"

namespace bsm {
namespace {

Precision precision_of(const std::string& name) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kFp16}) {
    if (name == precision_name(precision)) return precision;
  }
  return Precision::kAuto;
}

}  // namespace

CLI::Option* add_model_options(CLI::App& command, ModelArguments& arguments) {
  CLI::Option* model =
      command
          .add_option("--model", arguments.model_file,
                      std::string("Model file: safetensors or PyTorch checkpoint [default: the shipped ") +
                          kCpuModelName + ", on a GPU " + kGpuModelName + "]")
          ->type_name("FILE");
  command
      .add_option("--device", arguments.device,
                  "auto (a GPU if there is one), cpu, cuda, cuda:N [default: auto]; a named device is used "
                  "or an error")
      ->type_name("DEVICE");
  command
      .add_option(
          "--precision", arguments.precision,
          "Number format of the network: auto, fp32, bf16, fp16 [default: auto = fp32 on a CPU, bf16 or fp16 "
          "on a GPU]")
      ->check(CLI::IsMember({"auto", "fp32", "bf16", "fp16"}))
      ->type_name("FORMAT");
  command.add_option("--threads", arguments.threads, "CPU threads [default: 0 = one per physical core]")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  return model;
}

std::string model_path(const ModelArguments& arguments) {
  return arguments.model_file.empty() ? find_default_model(runs_on_gpu(arguments.device))
                                      : arguments.model_file;
}

ModelOptions device_options(const ModelArguments& arguments) {
  ModelOptions options;
  options.device = arguments.device;
  options.precision = precision_of(arguments.precision);
  options.threads = arguments.threads;
  return options;
}

std::shared_ptr<const Model> load_model(const ModelArguments& arguments) {
  ModelOptions options = device_options(arguments);
  options.model_file = model_path(arguments);
  return Model::load(options);
}

}  // namespace bsm
