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
                           "CUDNN_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED", "cudaErrorMemoryAllocation"})
    if (contains(message, sign)) return true;
  return false;
}

/// Every CUDA error: nearly all are final for the process, and which are not cannot be told from outside.
bool is_device_failure(const std::string& message) {
  for (const char* sign :
       {"CUDA error", "CUDA driver error", "cudaError", "CUBLAS_STATUS_", "CUDNN_STATUS_", "CUFFT_"})
    if (contains(message, sign)) return true;
  return false;
}

/// apply_masks() on the CPU in the memory of the masks; false when a result is not finite.
/// @param masks [B, S, T, F], contiguous  @param frames [B, T, F], frames in one piece
bool apply_masks_in_place(const torch::Tensor& masks, const torch::Tensor& frames) {
  const int64_t B = masks.size(0), S = masks.size(1), T = masks.size(2), F = masks.size(3);
  float* mask = masks.data_ptr<float>();
  float unsound = 0.0f;  // NaN from the first value on that is not finite
  for (int64_t row = 0; row < B * S * T; ++row, mask += F) {
    const float* frame =
        frames.data_ptr<float>() + row / (S * T) * frames.stride(0) + row % T * frames.stride(1);
    for (int64_t i = 0; i < F; i += 2) {
      const float real = mask[i] * frame[i] - mask[i + 1] * frame[i + 1];
      const float imaginary = mask[i] * frame[i + 1] + mask[i + 1] * frame[i];
      mask[i] = real;
      mask[i + 1] = imaginary;
      unsound += (real + imaginary) * 0.0f;
    }
  }
  return unsound == 0.0f;
}

}  // namespace

void rethrow_translated(const std::string& doing) {
  const auto out_of_memory = [&](const std::string& detail) {
    return Error(
        ErrorCode::kOutOfMemory,
        "Memory ran out while " + doing + (detail.empty() ? "" : " (" + detail + ")") +
            ". Use a smaller model or shorter windows, close other programs, or choose another device.");
  };
  const auto failure = [&](const char* what, const std::string& message) {
    const std::string line = message.substr(0, message.find('\n'));
    if (is_out_of_memory(message)) return out_of_memory(line);
    if (is_device_failure(message))
      return Error(ErrorCode::kDevice, "The GPU failed or went away while " + doing + " (" + line +
                                           "). Start the program again, with the device cpu if the GPU keeps "
                                           "failing; nvidia-smi tells how it is.");
    return Error(ErrorCode::kFailed, std::string(what) + " while " + doing + ": " + line);
  };
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw failure("LibTorch failed", error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throw out_of_memory("");
  } catch (const std::exception& error) {
    throw failure("Something failed", error.what());
  }
}

torch::Tensor Model::Impl::forward(const torch::Tensor& frames, NetworkState* state, int64_t state_frames,
                                   FrameRange wanted) {
  if (!graphs_) graphs_ = std::make_unique<NetworkGraphs>(network);
  return graphs_->forward(frames, state, state_frames, wanted);
}

void Model::Impl::in_turn(const std::function<void()>& work) const {
  translate_errors("running the network on " + device_name, [&] {
    const std::lock_guard<FairMutex> one_at_a_time(turn());
    const torch::InferenceMode inference;
    const CpuThreadScope cpu(threads);
    work();
  });
}

void Model::Impl::throw_not_finite() const {
  throw Error(ErrorCode::kFailed,
              std::string("The network returned values that are not finite numbers, at precision ") +
                  precision_name(precision) +
                  (precision == Precision::kFp32 ? ". The model cannot be used with this input."
                                                 : ". Choose the precision fp32."));
}

torch::Tensor Model::Impl::separate(const torch::Tensor& frames, NetworkState* state, int64_t state_frames,
                                    FrameRange wanted) {
  const torch::Tensor input = frames.contiguous();                    // [B, T, F]
  torch::Tensor stems = forward(input, state, state_frames, wanted);  // [B, S, wanted, F]
  const torch::Tensor masked =
      input.slice(1, wanted.begin, wanted.end < 0 ? input.size(1) : wanted.end);  // [B, wanted, F]
  if (stems.is_cpu()) {
    stems = stems.contiguous();
    if (!apply_masks_in_place(stems, masked)) throw_not_finite();
  } else {
    stems = apply_masks(stems, masked);
  }
  stage_done(Stage::kMasks);
  return stems;
}

}  // namespace bsm
