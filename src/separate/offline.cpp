#include "separate/offline.h"

#include <torch/types.h>

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
        path_(model.config(), channels, model.impl().threads),
        window_(options.window_frames),
        overlap_(options.overlap_frames),
        step_(window_ - overlap_),
        batch_(options.batch) {}

  void push(const float* const* planar, int64_t samples) {
    path_.push_planar(planar, samples);
    while (whole_windows() >= batch_) run_windows(next_start_, batch_, window_);
  }

  void finish() {
    path_.finish_input();
    if (path_.samples_pushed() > 0) {
      while (whole_windows() > 0) run_windows(next_start_, std::min(whole_windows(), batch_), window_);
      const int64_t total = path_.frames_ready();
      if (emitted_ + held_frames_ < total) {
        const int64_t start = overlap_ > 0 ? std::max<int64_t>(total - window_, 0) : next_start_;
        run_windows(start, 1, total - start);
      }
      path_.push_estimates(held_.data(), held_frames_ * path_.frame_size(), held_frames_);
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
    const int64_t size = path_.frame_size();
    const torch::Tensor windows =
        torch::from_blob(path_.frame(start), {count, length, size}, {step_ * size, size, 1}, torch::kFloat32);
    torch::Tensor stems;
    try {
      stems = model_.impl().separate(windows);  // [count, S, length, F]
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
    for (int64_t i = 0; i < count; ++i) accept(stems[i], start + i * step_);
  }

  /// Cross-fades the estimates [S, T, F] of the window at frame `start` with those held, emits what is final,
  /// holds the part that the next window shares.
  void accept(torch::Tensor estimates, int64_t start) {
    const int64_t size = path_.frame_size();
    const int64_t length = estimates.size(1);
    float* values = estimates.data_ptr<float>();
    float* fresh = values + (emitted_ - start) * size;  // frame emitted_ of stem 0
    for (int s = 0; s < path_.stems(); ++s) {
      const float* old = held_.data() + s * held_frames_ * size;
      for (int64_t t = 0; t < held_frames_; ++t) {
        const float weight = static_cast<float>(t + 1) / static_cast<float>(held_frames_ + 1);
        float* frame = fresh + (s * length + t) * size;
        for (int64_t i = 0; i < size; ++i)
          frame[i] = old[t * size + i] + weight * (frame[i] - old[t * size + i]);
      }
    }
    const int64_t keep = std::min(overlap_, start + length - emitted_);
    const int64_t final_frames = start + length - emitted_ - keep;
    path_.push_estimates(fresh, length * size, final_frames);
    emitted_ += final_frames;

    held_frames_ = keep;
    held_.resize(static_cast<size_t>(path_.stems() * keep * size));
    for (int s = 0; s < path_.stems(); ++s)
      std::copy_n(values + ((s + 1) * length - keep) * size, keep * size, held_.data() + s * keep * size);

    next_start_ = emitted_;
    // A last window that is moved back starts within the window before it.
    path_.drop_frames_before(overlap_ > 0 ? next_start_ - step_ : next_start_);
    deliver();
  }

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
  int64_t next_start_ = 0;   // first frame of the next window
  int64_t emitted_ = 0;      // frames whose estimates are final
  int64_t held_frames_ = 0;  // frames from emitted_ on that wait for the next window
  std::vector<float> held_;  // [S][held_frames_][F]
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
  std::vector<AudioBuffer> outputs(model->config().stems.size() + 1,
                                   AudioBuffer(mixture.channels, mixture.frames));
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
