// `bsmamba2 convert`: a model file of any layout, or random weights, as safetensors.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/model_file.h"

namespace bsm {
namespace {

const std::map<std::string, DType> kDTypes = {
    {"f32", DType::kF32}, {"f16", DType::kF16}, {"bf16", DType::kBF16}};

struct ConvertArguments {
  std::string input;
  std::string output;
  std::string dtype;
  bool random = false;
  uint64_t seed = 0;
};

int run_convert(const ConvertArguments& arguments) {
  std::optional<DType> dtype;
  if (!arguments.dtype.empty()) dtype = kDTypes.at(arguments.dtype);
  if (arguments.random) {
    const int64_t parameters =
        write_random_model(arguments.input, arguments.output, arguments.seed, dtype.value_or(DType::kF32));
    std::printf("%s: %lld random parameters\n", arguments.output.c_str(), static_cast<long long>(parameters));
  } else {
    const DType written = convert_model_file(arguments.input, arguments.output, dtype);
    std::printf("%s: %s\n", arguments.output.c_str(), dtype_name(written));
  }
  return kExitOk;
}

}  // namespace

Command add_convert(CLI::App& program) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* app = program.add_subcommand("convert", "Write a model as safetensors with its configuration");
  app->add_option("IN", arguments->input,
                  "Model file: safetensors or PyTorch checkpoint; with --random a configuration (JSON)")
      ->required();
  app->add_option("OUT", arguments->output, "File to write (.safetensors)")->required();
  app->add_option("--dtype", arguments->dtype,
                  "f32, f16 or bf16 [default: as in the input; f32 with --random]")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->type_name("FORMAT");
  CLI::Option* random = app->add_flag("--random", arguments->random,
                                      "Write random weights (the start values of training) instead");
  app->add_option("--seed", arguments->seed, "Seed of the random weights [default: 0]")
      ->needs(random)
      ->type_name("N");
  return {app, [arguments] { return run_convert(*arguments); }};
}

}  // namespace bsm
