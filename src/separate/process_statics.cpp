#include "separate/process_statics.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <exception>
#include <string>
#include <thread>

#include "core/log.h"
#include "separate/model.h"
#include "separate/streaming.h"

namespace bsm {
namespace {

ModelConfig tiny_config() {
  ModelConfig config;
  config.dim = 8;
  config.depth = 1;
  config.mask_expand = 1;
  config.stft = {16, 16, 4};
  config.band_bins = {4, 5};
  config.mamba2 = {2, 8, 8, 4};
  return config;
}

void load_and_stream() {
  try {
    torch::set_num_threads(torch::get_num_threads());  // makes its thread pool
    at::Generator random = at::detail::getDefaultCPUGenerator();
    const torch::Tensor random_state = random.get_state();
    ModelOptions options;
    options.device = "cpu";
    options.threads = 1;
    StreamingOptions streaming;
    streaming.hop_frames = 1;
    StreamingSeparator(Model::random(tiny_config(), options), streaming).warm_up_ns();
    torch::zeros({1}).copy_(torch::ones({1}));  // as weights come from a file
    random.set_state(random_state);             // an application may use it, too
  } catch (const std::exception& error) {
    log(LogLevel::kWarning, std::string("LibTorch could not be tried out: ") + error.what());
  }
}

}  // namespace

void make_process_statics() {
  // On a thread of its own: LibTorch's settings of the caller's stay as they are.
  std::thread(load_and_stream).join();
}

}  // namespace bsm
