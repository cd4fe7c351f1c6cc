#include "io/resampler.h"

#include <soxr.h>

#include <algorithm>
#include <limits>
#include <string>

#include "core/error.h"

namespace bsm {
namespace {

constexpr int64_t kBlockFrames = 1 << 14;

struct DeleteSoxr {
  void operator()(soxr_t soxr) const { soxr_delete(soxr); }
};

}  // namespace

int64_t resampled_frames(int64_t input_frames, int input_rate_hz, int output_rate_hz) {
  // In two parts, so that no product overflows: whole seconds are exact.
  const int64_t seconds = input_frames / input_rate_hz, rest = input_frames % input_rate_hz;
  return seconds * output_rate_hz +
         (rest * output_rate_hz * 2 + input_rate_hz) / (2 * int64_t{input_rate_hz});
}

struct Resampler::Impl {
  int input_rate_hz = 0, output_rate_hz = 0, channels = 0;
  std::unique_ptr<soxr, DeleteSoxr> resampler;  ///< null when the rates are equal
  int64_t frames_in = 0, frames_out = 0;
  bool finished = false;
  std::vector<float> block;

  /// Feeds all `frames` frames and appends what comes out, up to `most_out` frames since the start.
  void feed(const float* interleaved, int64_t frames, int64_t most_out, std::vector<float>& out) {
    size_t given = 0;
    do {
      size_t taken = 0;
      const soxr_error_t error =
          soxr_process(resampler.get(), interleaved, static_cast<size_t>(frames), &taken, block.data(),
                       static_cast<size_t>(kBlockFrames), &given);
      if (error) throw Error(ErrorCode::kFailed, std::string("The resampler failed: ") + error + ".");
      interleaved += taken * static_cast<size_t>(channels);
      frames -= static_cast<int64_t>(taken);
      const int64_t kept = std::min(static_cast<int64_t>(given), most_out - frames_out);
      out.insert(out.end(), block.begin(), block.begin() + kept * channels);
      frames_out += kept;
    } while (frames > 0 || given == static_cast<size_t>(kBlockFrames));
  }
};

Resampler::Resampler(int input_rate_hz, int output_rate_hz, int channels) : impl_(std::make_unique<Impl>()) {
  if (input_rate_hz < 1 || output_rate_hz < 1 || channels < 1)
    throw Error(ErrorCode::kSettings,
                "Audio of " + std::to_string(channels) + " channels cannot be converted from " +
                    std::to_string(input_rate_hz) + " Hz to " + std::to_string(output_rate_hz) +
                    " Hz: rates and channels must be at least 1.");
  impl_->input_rate_hz = input_rate_hz;
  impl_->output_rate_hz = output_rate_hz;
  impl_->channels = channels;
  if (input_rate_hz == output_rate_hz) return;
  const soxr_io_spec_t samples = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(/*num_threads=*/1);
  soxr_error_t error = nullptr;
  impl_->resampler.reset(soxr_create(input_rate_hz, output_rate_hz, static_cast<unsigned>(channels), &error,
                                     &samples, &quality, &runtime));
  if (error)
    throw Error(ErrorCode::kFailed, "Audio cannot be converted from " + std::to_string(input_rate_hz) +
                                        " Hz to " + std::to_string(output_rate_hz) + " Hz: " + error + ".");
  impl_->block.resize(static_cast<size_t>(kBlockFrames * channels));
}

Resampler::~Resampler() = default;
Resampler::Resampler(Resampler&&) noexcept = default;

void Resampler::process(const float* interleaved, int64_t frames, bool last, std::vector<float>& out) {
  if (impl_->finished && frames > 0)
    throw Error(ErrorCode::kFailed,
                "Audio was fed to a resampler after its end. Make a new one for each file.");
  if (!impl_->resampler) {
    if (frames > 0) out.insert(out.end(), interleaved, interleaved + frames * impl_->channels);
    impl_->finished = impl_->finished || last;
    return;
  }
  if (frames > 0) impl_->feed(interleaved, frames, std::numeric_limits<int64_t>::max(), out);
  impl_->frames_in += std::max<int64_t>(frames, 0);
  if (!last || impl_->finished) return;
  // soxr's own flush comes out one frame short for some lengths (halves are rounded down), so the filter is
  // emptied with silence instead, which is what the flush does inside.
  const int64_t total = resampled_frames(impl_->frames_in, impl_->input_rate_hz, impl_->output_rate_hz);
  const std::vector<float> silence(static_cast<size_t>(kBlockFrames * impl_->channels), 0.0f);
  while (impl_->frames_out < total) impl_->feed(silence.data(), kBlockFrames, total, out);
  impl_->finished = true;
}

}  // namespace bsm
