#include "separate/offline.h"

#include <torch/torch.h>

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/log.h"
#include "separate/model_impl.h"
#include "separate/signal_path.h"

namespace bsm {
namespace {

constexpr double kTrainingSegment_s = 8.0;
constexpr int kGpuBatch = 4;

/// Every size chosen, and checked.
OfflineOptions resolve(const OfflineOptions& options, const Model& model) {
  const auto refuse = [](const std::string& sentence) { throw Error(ErrorCode::kSettings, sentence); };
  OfflineOptions resolved = options;
  const ModelConfig& config = model.config();
  if (resolved.window_frames == 0)
    resolved.window_frames = std::max<int64_t>(
        1, static_cast<int64_t>(kTrainingSegment_s * config.sample_rate_hz) / config.stft.hop);
  if (resolved.overlap_frames == -1) resolved.overlap_frames = resolved.window_frames / 8;
  if (resolved.batch == 0) resolved.batch = model.on_gpu() ? kGpuBatch : 1;
  if (resolved.window_frames < 1 || resolved.window_frames > 100'000)
    refuse("A window of " + std::to_string(resolved.window_frames) +
           " frames cannot work; expected 1 to 100000.");
  if (resolved.overlap_frames < 0 || resolved.overlap_frames > resolved.window_frames / 2)
    refuse("An overlap of " + std::to_string(resolved.overlap_frames) +
           " frames cannot work; expected 0 to " + std::to_string(resolved.window_frames / 2) +
           ", half of the window.");
  if (resolved.batch < 1 || resolved.batch > 1024)
    refuse("A batch of " + std::to_string(resolved.batch) + " windows cannot work; expected 1 to 1024.");
  return resolved;
}

/// One signal on its way through the windows. Window i starts at frame i * step.
class OfflineRun {
 public:
  OfflineRun(const Model& model, const OfflineOptions& options, int channels, const StemSink& sink)
      : model_(model),
        sink_(sink),
        path_(model.impl(), channels),
        window_(options.window_frames),
        overlap_(options.overlap_frames),
        step_(window_ - overlap_),
        batch_(options.batch) {
    const StftSpec& stft = model.config().stft;
    path_.reserve(window_ * stft.hop + stft.n_fft + SignalPath::kBlock_samples);
  }

  void push(const float* const* planar, int64_t samples) {
    path_.push_planar(planar, samples);
    while (whole_windows() >= batch_) run_windows(next_start_, batch_, window_);
  }

  void finish() {
    path_.finish_input();
    if (path_.samples_pushed() > 0) {
      while (whole_windows() > 0) run_windows(next_start_, std::min(whole_windows(), batch_), window_);
      const int64_t total = path_.frames_ready();
      if (emitted_ + held_frames() < total) {
        const int64_t start = overlap_ > 0 ? std::max<int64_t>(total - window_, 0) : next_start_;
        run_windows(start, 1, total - start);
      }
      if (held_frames() > 0) model_.impl().in_turn([&] { path_.push_estimates(held_); });
    }
    path_.finish_output();
    deliver();
  }

 private:
  /// Windows of full length whose frames have all been computed.
  int64_t whole_windows() const {
    const int64_t ready = path_.frames_ready() - next_start_;
    return ready < window_ ? 0 : (ready - window_) / step_ + 1;
  }

  /// `count` windows of `length` frames, the first at frame `start`, the others a step apart.
  void run_windows(int64_t start, int64_t count, int64_t length) {
    torch::Tensor stems;
    try {
      model_.impl().in_turn([&] {
        const torch::Tensor frames = path_.frames(start, start + (count - 1) * step_ + length);
        const torch::Tensor windows = frames.unfold(0, length, step_).transpose(1, 2);  // [count, length, F]
        stems = model_.impl().separate(windows);  // [count, S, length, F]
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory || batch_ == 1) throw;
      batch_ = std::max<int64_t>(batch_ / 2, 1);
      log(LogLevel::kWarning,
          "Memory ran out; going on with " + std::to_string(batch_) + " windows at a time.");
      for (int64_t done = 0; done < count;) {
        const int64_t part = std::min(batch_, count - done);
        run_windows(start + done * step_, part, length);
        done += part;
      }
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      model_.impl().in_turn([&] { accept(stems[i], start + i * step_); });
      deliver();
    }
  }

  /// Cross-fades the estimates [S, T, F] of the window at frame `start` with those held, emits what is final,
  /// holds the part that the next window shares. In the model's turn.
  void accept(const torch::Tensor& estimates, int64_t start) {
    const torch::Tensor fresh = estimates.slice(1, emitted_ - start);  // from frame emitted_ on
    if (const int64_t count = held_frames(); count > 0) {
      const torch::Tensor weights = torch::arange(1, count + 1, held_.options()).view({-1, 1}) / (count + 1);
      fresh.slice(1, 0, count).sub_(held_).mul_(weights).add_(held_);
    }
    const int64_t keep = std::min(overlap_, fresh.size(1));
    const int64_t final_frames = fresh.size(1) - keep;
    path_.push_estimates(fresh.slice(1, 0, final_frames));
    emitted_ += final_frames;
    held_ = keep > 0 ? fresh.slice(1, final_frames).clone() : torch::Tensor();

    next_start_ = emitted_;
    // A last window that is moved back starts within the window before it.
    path_.drop_frames_before(overlap_ > 0 ? next_start_ - step_ : next_start_);
  }

  int64_t held_frames() const { return held_.defined() ? held_.size(1) : 0; }

  void deliver() {
    while (const int64_t count = path_.pop(SignalPath::kBlock_samples)) sink_(path_.outputs(), count);
  }

  const Model& model_;
  const StemSink& sink_;
  SignalPath path_;
  const int64_t window_;
  const int64_t overlap_;
  const int64_t step_;
  int64_t batch_;
  int64_t next_start_ = 0;  // first frame of the next window
  int64_t emitted_ = 0;     // frames whose estimates are final
  torch::Tensor held_;      // [S, n, F]: frames from emitted_ on that wait for the next window
};

}  // namespace

OfflineOptions OfflineOptions::paper() {
  OfflineOptions options;
  options.overlap_frames = 0;
  return options;
}

OfflineSeparator::OfflineSeparator(std::shared_ptr<const Model> model, const OfflineOptions& options)
    : model_(std::move(model)), options_(resolve(options, *model_)) {}

void OfflineSeparator::run(int channels, const AudioSource& source, const StemSink& sink) {
  OfflineRun run(*model_, options_, channels, sink);
  AudioBuffer block(channels, SignalPath::kBlock_samples);
  std::vector<float*> planar;
  for (int c = 0; c < channels; ++c) planar.push_back(block.channel(c));
  while (const int64_t count = source(planar.data(), block.frames)) run.push(planar.data(), count);
  run.finish();
}

std::vector<AudioBuffer> separate_offline(const std::shared_ptr<const Model>& model,
                                          const AudioBuffer& mixture, const OfflineOptions& options) {
  std::vector<AudioBuffer> outputs;
  for (size_t s = 0; s <= model->config().stems.size(); ++s)
    outputs.emplace_back(mixture.channels, mixture.frames);
  int64_t read = 0;
  const AudioSource source = [&](float* const* planar, int64_t max_frames) {
    const int64_t count = std::min(max_frames, mixture.frames - read);
    for (int c = 0; c < mixture.channels; ++c) std::copy_n(mixture.channel(c) + read, count, planar[c]);
    read += count;
    return count;
  };
  int64_t written = 0;
  const StemSink sink = [&](const float* const* const* stems, int64_t frames) {
    for (size_t s = 0; s < outputs.size(); ++s)
      for (int c = 0; c < mixture.channels; ++c)
        std::copy_n(stems[s][c], frames, outputs[s].channel(c) + written);
    written += frames;
  };
  OfflineSeparator(model, options).run(mixture.channels, source, sink);
  return outputs;
}

}  // namespace bsm
