#include "train/validation.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "eval/balance.h"
#include "eval/sdr.h"

namespace bsm {
namespace {

AudioBuffer cut(const AudioBuffer& audio, int64_t frames) {
  AudioBuffer out(audio.channels, frames);
  for (int c = 0; c < audio.channels; ++c) std::copy_n(audio.channel(c), frames, out.channel(c));
  return out;
}

torch::Tensor to_tensor(const AudioBuffer& audio) {
  return torch::from_blob(const_cast<float*>(audio.samples.data()), {audio.channels, audio.frames},
                          torch::kFloat);
}

AudioBuffer to_buffer(const torch::Tensor& audio) {
  const torch::Tensor host = audio.to(torch::kCPU).contiguous();
  AudioBuffer out(static_cast<int>(host.size(0)), host.size(1));
  std::copy_n(host.data_ptr<float>(), host.numel(), out.samples.data());
  return out;
}

}  // namespace

std::vector<ValidationSong> make_validation_songs(const std::vector<DecodedTrack>& tracks, int sample_rate_hz,
                                                  std::optional<double> balance_db) {
  std::map<int, std::pair<const DecodedTrack*, const DecodedTrack*>> pairs;
  for (const DecodedTrack& track : tracks) {
    auto& pair = pairs[track.song];
    (track.role == StemRole::kVocals ? pair.first : pair.second) = &track;
  }
  std::vector<ValidationSong> songs;
  for (const auto& [number, pair] : pairs) {
    if (!pair.first || !pair.second) continue;
    const int64_t frames = std::min(pair.first->frames(), pair.second->frames());
    if (frames == 0) continue;
    ValidationSong song{pair.first->path, cut(to_audio(*pair.first), frames),
                        cut(to_audio(*pair.second), frames)};
    if (balance_db) set_balance(song.vocals, song.accompaniment, sample_rate_hz, *balance_db);
    songs.push_back(std::move(song));
  }
  return songs;
}

Validator::Validator(std::vector<ValidationSong> songs, double window_s, int batch,
                     const torch::Device& device)
    : songs_(std::move(songs)), window_s_(window_s), batch_(batch), device_(device) {}

torch::Tensor Validator::separate(SeparationNetwork& network, WaveTransform& transform,
                                  const torch::Tensor& mixture) const {
  const torch::NoGradGuard no_grad;
  const int rate = network->config().sample_rate_hz;
  const auto window = static_cast<int64_t>(std::llround(window_s_ * rate));
  const int64_t context = std::min<int64_t>(rate, window / 8);
  const int64_t kept = window - 2 * context;
  const int64_t samples = mixture.size(1);
  const int64_t windows = (samples + kept - 1) / kept;
  const torch::Tensor padded = torch::constant_pad_nd(mixture, {context, windows * kept + context - samples});
  const torch::Tensor pieces = padded.unfold(1, window, kept).transpose(0, 1);  // [windows, 2, window]
  std::vector<torch::Tensor> kept_pieces;
  for (int64_t first = 0; first < windows; first += batch_) {
    const torch::Tensor part =
        pieces.narrow(0, first, std::min<int64_t>(batch_, windows - first)).contiguous();
    kept_pieces.push_back(separate_waves(network, transform, part).narrow(2, context, kept));
  }
  return torch::cat(kept_pieces).transpose(0, 1).reshape({2, -1}).narrow(1, 0, samples);
}

ValidationScore Validator::score(SeparationNetwork& network, WaveTransform& transform) const {
  ValidationScore sum;
  for (const ValidationSong& song : songs_) {
    const torch::Tensor mixture = (to_tensor(song.vocals) + to_tensor(song.accompaniment)).to(device_);
    const torch::Tensor vocals = separate(network, transform, mixture);
    sum.vocals_db += utterance_sdr_db(song.vocals, to_buffer(vocals));
    sum.instrumental_db += utterance_sdr_db(song.accompaniment, to_buffer(mixture - vocals));
  }
  const auto count = static_cast<double>(songs_.size());
  return {sum.vocals_db / count, sum.instrumental_db / count};
}

}  // namespace bsm
