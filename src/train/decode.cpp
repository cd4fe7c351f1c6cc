#include "train/decode.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

#include "core/error.h"
#include "io/audio_file.h"
#include "io/resampler.h"

namespace bsm {
namespace {

constexpr int64_t kBlockFrames = 1 << 16;

/// Interleaved stereo samples of one file at `sample_rate_hz`.
std::vector<float> read_stereo(const std::string& path, int sample_rate_hz) {
  AudioReader reader(path);
  const int channels = reader.channels();
  if (channels < 1 || channels > 2)
    throw Error(ErrorCode::kWrongType, "The audio file " + path + " has " + std::to_string(channels) +
                                           " channels; training takes mono and stereo files.");
  Resampler resampler(reader.sample_rate_hz(), sample_rate_hz, 2);
  std::vector<float> block(static_cast<size_t>(kBlockFrames) * channels);
  std::vector<float> stereo(static_cast<size_t>(kBlockFrames) * 2);
  std::vector<float> out;
  if (reader.frames() > 0) {
    const double ratio = static_cast<double>(sample_rate_hz) / reader.sample_rate_hz();
    out.reserve(static_cast<size_t>(std::ceil(static_cast<double>(reader.frames()) * ratio) + 16) * 2);
  }
  for (;;) {
    const int64_t frames = reader.read(block.data(), kBlockFrames);
    for (int64_t i = 0; i < frames * channels; ++i)
      if (!std::isfinite(block[i]))
        throw Error(ErrorCode::kWrongType, "The audio file " + path +
                                               " holds samples that are not finite numbers; "
                                               "repair or remove it.");
    if (channels == 2) {
      resampler.process(block.data(), frames, frames == 0, out);
    } else {
      for (int64_t i = 0; i < frames; ++i) stereo[2 * i] = stereo[2 * i + 1] = block[i];
      resampler.process(stereo.data(), frames, frames == 0, out);
    }
    if (frames == 0) return out;
  }
}

int16_t to_int16(float sample) {
  return static_cast<int16_t>(std::lrint(std::clamp(sample * 32768.0f, -32768.0f, 32767.0f)));
}

ContentMark mark_of(const std::string& path, const std::vector<int16_t>& samples) {
  ContentMark mark{path, 0, static_cast<int64_t>(samples.size() / 2)};
  if (std::any_of(samples.begin(), samples.end(), [](int16_t s) { return s != 0; }))
    mark.hash = std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(int16_t)});
  return mark;
}

std::vector<int16_t> quantise(const std::vector<float>& samples, float scale) {
  std::vector<int16_t> out(samples.size());
  std::transform(samples.begin(), samples.end(), out.begin(),
                 [scale](float s) { return to_int16(s * scale); });
  return out;
}

}  // namespace

DecodedTrack decode_track(const TrackFiles& files, int sample_rate_hz) {
  DecodedTrack track;
  track.song = files.song;
  track.role = files.role;
  track.part = files.part;
  track.path = files.paths.at(0);
  std::vector<float> sum;
  for (const std::string& path : files.paths) {
    std::vector<float> stereo = read_stereo(path, sample_rate_hz);
    track.marks.push_back(mark_of(path, quantise(stereo, 1.0f)));
    if (sum.empty()) {
      sum = std::move(stereo);
    } else {
      if (sum.size() < stereo.size()) sum.resize(stereo.size(), 0.0f);
      for (size_t i = 0; i < stereo.size(); ++i) sum[i] += stereo[i];
    }
  }
  float peak = 0;
  for (const float s : sum) peak = std::max(peak, std::fabs(s));
  track.samples = quantise(sum, peak > 1.0f ? 1.0f / peak : 1.0f);
  return track;
}

std::vector<DecodedTrack> decode_tracks(const std::vector<TrackFiles>& files, int sample_rate_hz,
                                        int threads) {
  std::vector<DecodedTrack> tracks(files.size());
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (size_t i = next++; i < files.size(); i = next++) {
      try {
        tracks[i] = decode_track(files[i], sample_rate_hz);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = files.size();
      }
    }
  };
  const size_t wanted =
      threads > 0 ? static_cast<size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::jthread> workers;
  for (size_t i = 1; i < std::min(wanted, files.size()); ++i) workers.emplace_back(work);
  work();
  workers.clear();  // joins
  if (failure) std::rethrow_exception(failure);
  return tracks;
}

AudioBuffer to_audio(const DecodedTrack& track) {
  AudioBuffer audio(2, track.frames());
  for (int c = 0; c < 2; ++c)
    for (int64_t i = 0; i < audio.frames; ++i)
      audio.channel(c)[i] = static_cast<float>(track.samples[2 * i + c]) / 32768.0f;
  return audio;
}

void check_no_leak(const std::vector<DecodedTrack>& training, const std::vector<DecodedTrack>& validation) {
  std::map<std::pair<uint64_t, int64_t>, std::string> seen;
  for (const DecodedTrack& track : validation)
    for (const ContentMark& mark : track.marks)
      if (mark.hash != 0) seen.emplace(std::pair(mark.hash, mark.frames), mark.path);
  for (const DecodedTrack& track : training) {
    for (const ContentMark& mark : track.marks) {
      const auto found = seen.find({mark.hash, mark.frames});
      if (found != seen.end())
        throw Error(ErrorCode::kSettings, "The training file " + mark.path +
                                              " holds the same audio as the validation file " +
                                              found->second + "; remove it from one of the two sets.");
    }
  }
}

}  // namespace bsm
