#include "separate/streaming.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "core/error.h"
#include "separate/model_impl.h"
#include "separate/signal_path.h"

namespace bsm {
namespace {

void check(const ModelConfig& config, const StreamingOptions& options) {
  const auto refuse = [](const std::string& sentence) { throw Error(ErrorCode::kSettings, sentence); };
  constexpr int64_t kMostFrames = 100'000;
  const auto out_of_range = [](int64_t frames, int64_t least) {
    return frames < least || frames > kMostFrames;
  };
  if (out_of_range(options.hop_frames, 1))
    refuse("A hop of " + std::to_string(options.hop_frames) + " frames cannot work; expected 1 to 100000.");
  if (out_of_range(options.lookahead_frames, 0))
    refuse("A look-ahead of " + std::to_string(options.lookahead_frames) +
           " frames cannot work; expected 0 to 100000.");
  if (out_of_range(options.context_frames, 0))
    refuse("A context of " + std::to_string(options.context_frames) +
           " frames cannot work; expected 0 to 100000.");
  if (options.mode == StreamingMode::kCarry && config.kind != BlockKind::kMamba2)
    refuse(
        "A transformer has no state to carry over hops; choose the streaming mode rolling, or a Mamba2 "
        "model.");
}

/// On a GPU the second run records, and the third is the first like all later ones.
int warm_up_runs(const Model& model) { return model.on_gpu() ? 3 : 2; }

}  // namespace

int64_t streaming_delay_samples(const StftSpec& stft, const StreamingOptions& options) {
  return (options.hop_frames + options.lookahead_frames) * stft.hop + stft.tail_samples();
}

struct StreamingSeparator::Impl {
  std::shared_ptr<const Model> model;
  StreamingOptions options;
  SignalPath path;
  NetworkState state;      // carry: after the frames before next_frame
  int64_t next_frame = 0;  // first frame whose estimate is not made yet

  Impl(std::shared_ptr<const Model> m, const StreamingOptions& o)
      : model(std::move(m)), options(o), path(model->impl(), o.channels) {}

  bool carries() const { return options.mode == StreamingMode::kCarry; }
  int64_t context_frames() const { return carries() ? 0 : options.context_frames; }

  /// Runs the network on the frames [begin, end) of `signal`, of which the first `context` were seen before
  /// and `finished` more will not be seen again; those become samples.
  void run(SignalPath& signal, int64_t begin, int64_t end, int64_t context, int64_t finished,
           NetworkState& carried) const {
    model->impl().in_turn([&] {
      const torch::Tensor window = signal.frames(begin, end).unsqueeze(0);  // [1, T, F]
      const torch::Tensor stems =
          model->impl().separate(window, carries() ? &carried : nullptr, carries() ? finished : 0,
                                 FrameRange{context, context + finished});
      signal.push_estimates(stems[0]);
    });
  }

  /// Runs the network for each hop whose window is complete.
  void advance() {
    while (true) {
      const int64_t ready = path.frames_ready();
      int64_t end = next_frame + options.hop_frames + options.lookahead_frames;
      if (path.input_finished() ? next_frame >= ready : end > ready) return;
      end = std::min(end, ready);
      // A window that reaches the end of the signal is all the right context there is for every frame in it.
      const bool last = path.input_finished() && end == ready;
      const int64_t finished = last ? end - next_frame : options.hop_frames;
      const int64_t begin = std::max<int64_t>(next_frame - context_frames(), 0);
      run(path, begin, end, next_frame - begin, finished, state);
      next_frame += finished;
      path.drop_frames_before(std::max<int64_t>(next_frame - context_frames(), 0));
    }
  }
};

StreamingSeparator::StreamingSeparator(std::shared_ptr<const Model> model, const StreamingOptions& options)
    : options_(options) {
  check(model->config(), options);
  impl_ = std::make_unique<Impl>(std::move(model), options);
}

StreamingSeparator::~StreamingSeparator() = default;
StreamingSeparator::StreamingSeparator(StreamingSeparator&&) noexcept = default;
StreamingSeparator& StreamingSeparator::operator=(StreamingSeparator&&) noexcept = default;

int64_t StreamingSeparator::delay_samples() const {
  return streaming_delay_samples(impl_->model->config().stft, options_);
}

void StreamingSeparator::push(const float* interleaved, int64_t frames) {
  if (impl_->path.input_finished())
    throw Error(ErrorCode::kSettings,
                "Samples were pushed after the end of the signal; reset the stream first.");
  // In blocks, so that a long push does not pile up frames that the network is done with.
  while (frames > 0) {
    const int64_t count = std::min(frames, SignalPath::kBlock_samples);
    impl_->path.push_interleaved(interleaved, count);
    impl_->advance();
    interleaved += count * options_.channels;
    frames -= count;
  }
}

int64_t StreamingSeparator::available() const { return impl_->path.available(); }

int64_t StreamingSeparator::pull(float* const* outputs, int64_t max_frames) {
  SignalPath& path = impl_->path;
  const int channels = options_.channels;
  int64_t pulled = 0;
  while (const int64_t count = path.pop(max_frames - pulled)) {
    for (int output = 0; output <= path.stems(); ++output) {
      if (outputs[output] == nullptr) continue;
      float* to = outputs[output] + pulled * channels;
      for (int c = 0; c < channels; ++c)
        for (int64_t i = 0; i < count; ++i) to[i * channels + c] = path.outputs()[output][c][i];
    }
    pulled += count;
  }
  return pulled;
}

void StreamingSeparator::finish() {
  SignalPath& path = impl_->path;
  if (path.input_finished()) return;
  path.finish_input();
  if (path.samples_pushed() > 0) impl_->advance();
  path.finish_output();
}

void StreamingSeparator::reset() {
  impl_->path.reset();
  impl_->state = NetworkState();
  impl_->next_frame = 0;
}

int64_t StreamingSeparator::warm_up_ns() {
  const StftSpec& stft = impl_->model->config().stft;
  const int64_t hop = options_.hop_frames, context = impl_->context_frames();
  const int64_t count = context + hop + options_.lookahead_frames;
  SignalPath silence(impl_->model->impl(), options_.channels);
  const auto push = [&](int64_t samples) {
    const std::vector<float> zeros(static_cast<size_t>(samples * options_.channels), 0.0f);
    silence.push_interleaved(zeros.data(), samples);
  };
  push((count - hop) * stft.hop + stft.n_fft);
  if (count > hop) impl_->model->impl().in_turn([&] { silence.frames(0, count - hop); });

  NetworkState state;
  std::chrono::nanoseconds time{};
  for (int64_t run = 0; run < warm_up_runs(*impl_->model); ++run) {
    push(hop * stft.hop);
    const auto start = std::chrono::steady_clock::now();
    impl_->run(silence, run * hop, run * hop + count, context, hop, state);
    time = std::chrono::steady_clock::now() - start;
    silence.drop_frames_before((run + 1) * hop);
  }
  return time.count();
}

}  // namespace bsm
