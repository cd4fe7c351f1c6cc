// FrameDomain on the network's device. Samples lie in the host's memory; the device keeps the sums of the
// samples that frames to come still touch. All positions in the overlap-add are counted in pieces of one hop:
// frame t covers the pieces t to t + parts - 1, and piece t is final once frame t was added.
#include <torch/torch.h>

#include <algorithm>
#include <deque>
#include <limits>

#include "core/error.h"
#include "dsp/stft_stream.h"
#include "separate/frame_domain.h"
#include "separate/tensor_stft.h"

namespace bsm {
namespace {

using torch::Tensor;

class DeviceFrames : public FrameDomain {
 public:
  DeviceFrames(const Model::Impl& model, const std::vector<FloatQueue>& mixture)
      : model_(model),
        mixture_(mixture),
        stft_(model.network->config().stft, model.device),
        spec_(stft_.spec()),
        channels_(model.network->config().channels),
        stems_(static_cast<int64_t>(model.network->config().stems.size())),
        parts_((spec_.n_fft + spec_.hop - 1) / spec_.hop) {
    const Tensor window = stft_.window().cpu();
    for (int i = 0; i < spec_.n_fft; ++i) {
      const float w = window.data_ptr<float>()[i];
      window_squared_.push_back(w * w);
    }
    Tensor divisors = torch::empty({parts_, spec_.hop});
    for (int64_t piece = 0; piece < parts_; ++piece)
      write_divisors(piece, piece + 1, divisors[piece].data_ptr<float>());
    divisors_ = divisors.to(model.device);
  }

  void samples_appended(int64_t) override {}  // they are in the queues

  void finish_input() override { input_finished_ = true; }

  int64_t frames_ready() const override {
    return input_finished_ ? spec_.frames(samples()) : complete_frames(spec_, samples());
  }

  Tensor take_frames(int64_t count) override {
    const Tensor segment = gather(next_frame_ * spec_.hop - spec_.n_fft / 2,
                                  (count - 1) * spec_.hop + spec_.n_fft);  // [1, C, n]
    // Waits for the copy. Otherwise LibTorch records an event when `segment` goes, in a destructor: had the
    // GPU failed by then, the process would end in the exception.
    const Tensor on_device = segment.to(model_.device);
    stage_done(Stage::kToDevice);
    Tensor frames = stft_.analyse(on_device)[0];  // [count, F]
    if (segment.size(1) < channels_)
      frames = frames.view({count, -1, 1, 2}).expand({-1, -1, channels_, -1}).reshape({count, -1});
    next_frame_ += count;
    stage_done(Stage::kStft);
    return frames;
  }

  void push_estimates(const Tensor& estimates) override {
    const int64_t count = estimates.size(1), rows = stems_ * channels_, pieces = count + parts_ - 1;
    if (count == 0) return;
    const Tensor windowed = stft_.synthesise(estimates, channels_);  // [S * C, count, n_fft]
    // Everything that the host wants to know comes in one piece of memory: the sums, of which the first
    // `count` pieces become samples, and whether they are finite.
    const Tensor packed = torch::empty({rows * pieces * spec_.hop + 1}, windowed.options());
    const Tensor sums = packed.narrow(0, 0, packed.size(0) - 1).view({rows, pieces, spec_.hop});
    if (carry_.defined()) {
      sums.narrow(1, 0, parts_ - 1).copy_(carry_);
      sums.narrow(1, parts_ - 1, count).zero_();
    } else {
      sums.zero_();
    }
    add_overlapping(sums, windowed);
    packed.narrow(0, packed.size(0) - 1, 1).copy_((sums * 0).sum());  // NaN unless all are finite
    carry_ = sums.narrow(1, count, parts_ - 1).clone();

    const int64_t rising = std::clamp<int64_t>(parts_ - 1 - frames_pushed_, 0, count);
    if (rising > 0) sums.narrow(1, 0, rising).div_(divisors_.narrow(0, frames_pushed_, rising));
    sums.narrow(1, rising, count - rising).div_(divisors_[parts_ - 1]);
    stage_done(Stage::kIstft);

    const Tensor received = host_memory(packed.sizes());
    received.copy_(packed);  // waits for the device
    if (!(received.data_ptr<float>()[packed.size(0) - 1] == 0)) model_.throw_not_finite();
    received_.push_back({received, frames_pushed_ * spec_.hop - spec_.n_fft / 2, count, pieces * spec_.hop});
    frames_pushed_ += count;
    stage_done(Stage::kFromDevice);
  }

  void finish_output() override {
    total_ = samples();
    if (received_.empty()) return;
    Received& last = received_.back();
    std::vector<float> divisors(static_cast<size_t>(spec_.hop));
    for (int64_t i = 0; i < parts_ - 1; ++i, ++last.final_pieces) {
      write_divisors(frames_pushed_ + i, frames_pushed_, divisors.data());
      for (int64_t row = 0; row < stems_ * channels_; ++row) {
        float* sums = last.row(row) + last.final_pieces * spec_.hop;
        for (size_t s = 0; s < divisors.size(); ++s) sums[s] /= divisors[s];
      }
    }
  }

  int64_t available() const override {
    return (total_ >= 0 ? total_ : final_samples(spec_, frames_pushed_)) - popped_;
  }

  void pop(float* const* planar, int64_t count) override {
    for (int64_t done = 0; done < count;) {
      while (received_.size() > 1 && end_of(received_.front()) <= popped_) received_.pop_front();
      const int64_t left = received_.empty() ? 0 : end_of(received_.front()) - popped_;
      const int64_t part = left > 0 ? std::min(left, count - done) : count - done;
      for (int64_t row = 0; row < stems_ * channels_; ++row) {
        if (left > 0) {
          std::copy_n(received_.front().row(row) + popped_ - received_.front().begin, part,
                      planar[row] + done);
        } else {
          std::fill_n(planar[row] + done, part, 0.0f);  // behind the last frame
        }
      }
      popped_ += part;
      done += part;
    }
  }

  Stage pop_stage() const override { return Stage::kFromDevice; }

  void reset() override {
    input_finished_ = false;
    next_frame_ = 0;
    carry_ = Tensor();
    received_.clear();
    frames_pushed_ = 0;
    popped_ = 0;
    total_ = -1;
  }

 private:
  /// What one push of estimates became.
  struct Received {
    Tensor values;         // [S * C][row_samples], and one value more
    int64_t begin;         // position of the first sample; before the signal for the first frames
    int64_t final_pieces;  // those behind them are sums that frames to come still touch
    int64_t row_samples;

    float* row(int64_t i) const { return values.data_ptr<float>() + i * row_samples; }
  };

  int64_t end_of(const Received& received) const {
    return received.begin + received.final_pieces * spec_.hop;
  }

  int64_t samples() const { return mixture_.front().end(); }

  /// Memory that the device copies from and to several times faster. LibTorch keeps it for the next time.
  Tensor host_memory(at::IntArrayRef sizes) const {
    return torch::empty(sizes, torch::dtype(torch::kFloat32).pinned_memory(!model_.device.is_cpu()));
  }

  /// The mixture's samples [begin, begin + length), mirrored at the ends of the signal: [1, C, length].
  Tensor gather(int64_t begin, int64_t length) const {
    const Tensor segment = host_memory({1, static_cast<int64_t>(mixture_.size()), length});
    // Before the end is known, only the mirror at the start is asked for: where the end lies does not matter.
    const int64_t signal = std::max(samples(), shortest_mirrored_samples(spec_));
    const int64_t inside_begin = std::clamp<int64_t>(-begin, 0, length);
    const int64_t inside_end = std::clamp<int64_t>(samples() - begin, inside_begin, length);
    for (size_t c = 0; c < mixture_.size(); ++c) {
      const FloatQueue& channel = mixture_[c];
      float* out = segment.data_ptr<float>() + static_cast<int64_t>(c) * length;
      const auto mirror = [&](int64_t i) {
        const int64_t source = mirrored(begin + i, signal);
        out[i] = source < samples() ? *channel.at(source) : 0.0f;
      };
      for (int64_t i = 0; i < inside_begin; ++i) mirror(i);
      std::copy_n(channel.at(begin + inside_begin), inside_end - inside_begin, out + inside_begin);
      for (int64_t i = inside_end; i < length; ++i) mirror(i);
    }
    return segment;
  }

  /// The summed squared window over a piece when the signal has `frames` frames, [hop]. Infinite where it is
  /// no signal, so that the quotient is 0.
  void write_divisors(int64_t piece, int64_t frames, float* out) const {
    std::fill_n(out, spec_.hop, 0.0f);
    for (int64_t t = std::max<int64_t>(piece - parts_ + 1, 0); t <= std::min(piece, frames - 1); ++t) {
      const int64_t offset = (piece - t) * spec_.hop;
      for (int64_t i = 0; i < std::min<int64_t>(spec_.hop, spec_.n_fft - offset); ++i)
        out[i] += window_squared_[static_cast<size_t>(offset + i)];
    }
    for (int64_t i = 0; i < spec_.hop; ++i)
      if (!(out[i] > kSmallestWindowSum)) out[i] = std::numeric_limits<float>::infinity();
  }

  const Model::Impl& model_;
  const std::vector<FloatQueue>& mixture_;
  const TensorStft stft_;
  const StftSpec spec_;
  const int64_t channels_;
  const int64_t stems_;
  const int64_t parts_;                // pieces of one hop that a frame touches
  std::vector<float> window_squared_;  // [n_fft]
  Tensor divisors_;                    // [parts][hop]: of the first pieces of a signal, the last of all later

  bool input_finished_ = false;
  int64_t next_frame_ = 0;
  Tensor carry_;  // [S * C, parts - 1, hop]: sums behind the final pieces
  std::deque<Received> received_;
  int64_t frames_pushed_ = 0;
  int64_t popped_ = 0;
  int64_t total_ = -1;
};

}  // namespace

std::unique_ptr<FrameDomain> make_device_frames(const Model::Impl& model,
                                                const std::vector<FloatQueue>& mixture) {
  std::unique_ptr<FrameDomain> frames;
  model.in_turn([&] { frames = std::make_unique<DeviceFrames>(model, mixture); });
  return frames;
}

}  // namespace bsm
