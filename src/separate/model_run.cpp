// One call of the network, the only place where inference runs.
#include <torch/torch.h>

#include <mutex>
#include <new>

#include "core/error.h"
#include "nn/stages.h"
#include "separate/cpu_threads.h"
#include "separate/model_impl.h"

namespace bsm {
namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool is_out_of_memory(const std::string& message) {
  for (const char* sign : {"out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED",
                           "CUDNN_STATUS_ALLOC_FAILED", "cudaErrorMemoryAllocation"})
    if (contains(message, sign)) return true;
  return false;
}

}  // namespace

void rethrow_translated(const std::string& doing) {
  const auto out_of_memory = [&](const std::string& detail) {
    return Error(
        ErrorCode::kOutOfMemory,
        "Memory ran out while " + doing + (detail.empty() ? "" : " (" + detail + ")") +
            ". Use a smaller model or shorter windows, close other programs, or choose another device.");
  };
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    std::string line = error.what_without_backtrace();
    line = line.substr(0, line.find('\n'));
    if (is_out_of_memory(error.what_without_backtrace())) throw out_of_memory(line);
    throw Error(ErrorCode::kFailed, "LibTorch failed while " + doing + ": " + line);
  } catch (const std::bad_alloc&) {
    throw out_of_memory("");
  } catch (const std::exception& error) {
    std::string line = error.what();
    line = line.substr(0, line.find('\n'));
    if (is_out_of_memory(error.what())) throw out_of_memory(line);
    throw Error(ErrorCode::kFailed, "Something failed while " + doing + ": " + line);
  }
}

torch::Tensor Model::Impl::forward(const torch::Tensor& frames, NetworkState* state, int64_t state_frames) {
  if (!graphs_) graphs_ = std::make_unique<NetworkGraphs>(network);
  return graphs_->forward(frames, state, state_frames);
}

torch::Tensor Model::Impl::separate(const torch::Tensor& frames, NetworkState* state, int64_t state_frames) {
  torch::Tensor stems;
  translate_errors("running the network on " + device_name, [&] {
    const std::lock_guard<FairMutex> one_at_a_time(turn());
    const torch::InferenceMode inference;
    const CpuThreadScope cpu(threads);
    const torch::Tensor input = frames.to(device).contiguous();  // [B, T, F]
    stage_done(Stage::kToDevice);
    const torch::Tensor masks = forward(input, state, state_frames);  // [B, S, T, F]
    stems = apply_masks(masks, input);
    stage_done(Stage::kMasks);
    const bool finite = torch::isfinite(stems).all().item<bool>();
    if (!stems.is_cpu()) {  // page-locked memory, which LibTorch keeps: several times faster to copy to
      const torch::Tensor on_cpu =
          torch::empty(stems.sizes(), torch::dtype(torch::kFloat32).pinned_memory(true));
      on_cpu.copy_(stems);
      stems = on_cpu;
    }
    stems = stems.contiguous();
    if (!finite)
      throw Error(ErrorCode::kFailed,
                  std::string("The network returned values that are not finite numbers, at precision ") +
                      precision_name(precision) +
                      (precision == Precision::kFp32 ? ". The model cannot be used with this input."
                                                     : ". Choose the precision fp32."));
    stage_done(Stage::kFromDevice);
  });
  return stems;
}

}  // namespace bsm
