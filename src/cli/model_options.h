// The options that every command with a model shares: --model, --device, --precision, --threads.
#pragma once

#include <memory>
#include <string>

#include "separate/model.h"

namespace CLI {
class App;
class Option;
}

namespace bsm {

struct ModelArguments {
  std::string model_file;  ///< empty: the default model
  std::string device = "auto";
  std::string precision = "auto";
  int threads = 0;
};

/// Adds the options to a command and returns --model; `arguments` must outlive the parsing.
CLI::Option* add_model_options(CLI::App& command, ModelArguments& arguments);

/// The file that the arguments name, or the default model. Throws Error(kNotFound).
std::string model_path(const ModelArguments& arguments);

/// All but the file.
ModelOptions device_options(const ModelArguments& arguments);

/// Loads the model that the arguments name. Throws Error.
std::shared_ptr<const Model> load_model(const ModelArguments& arguments);

}  // namespace bsm
