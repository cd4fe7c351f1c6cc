#include "cli/estimator.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <vector>

#include "cli/command.h"
#include "cli/stems.h"
#include "io/audio_file.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;

AudioBuffer difference(const AudioBuffer& a, const AudioBuffer& b) {
  AudioBuffer result(a.channels, a.frames);
  for (size_t i = 0; i < result.samples.size(); ++i) result.samples[i] = a.samples[i] - b.samples[i];
  return result;
}

Estimate with_rest(const AudioBuffer& mixture, AudioBuffer vocals) {
  AudioBuffer rest = difference(mixture, vocals);
  return {std::move(vocals), std::move(rest)};
}

AudioBuffer stream_through(StreamingSeparator& separator, size_t outputs, size_t wanted,
                           const AudioBuffer& mixture) {
  constexpr int64_t kBlockFrames = 4096;
  const int channels = mixture.channels;
  std::vector<float> input(static_cast<size_t>(kBlockFrames * channels));
  std::vector<float> output;
  AudioBuffer result(channels, mixture.frames);
  int64_t written = 0;
  const auto pull_all = [&] {
    const int64_t frames = separator.available();
    output.resize(static_cast<size_t>(frames * channels));
    std::vector<float*> pointers(outputs, nullptr);
    pointers[wanted] = output.data();
    const int64_t pulled = std::min(separator.pull(pointers.data(), frames), result.frames - written);
    for (int64_t i = 0; i < pulled; ++i) {
      for (int c = 0; c < channels; ++c)
        result.channel(c)[written + i] = output[static_cast<size_t>(i * channels + c)];
    }
    written += pulled;
  };
  for (int64_t start = 0; start < mixture.frames; start += kBlockFrames) {
    const int64_t frames = std::min(kBlockFrames, mixture.frames - start);
    for (int64_t i = 0; i < frames; ++i) {
      for (int c = 0; c < channels; ++c)
        input[static_cast<size_t>(i * channels + c)] = mixture.channel(c)[start + i];
    }
    separator.push(input.data(), frames);
    pull_all();
  }
  separator.finish();
  pull_all();
  if (written != mixture.frames) {
    throw Error(ErrorCode::kFailed, "The streaming separator returned " + std::to_string(written) + " of " +
                                        std::to_string(mixture.frames) +
                                        " frames. This is a defect of bsmamba2: please report it.");
  }
  return result;
}

/// Empty when there is no such file.
std::string find_estimate(const std::string& dir, const std::string& file_stem) {
  for (const char* extension : {".wav", ".flac"}) {
    const fs::path path = fs::path(dir) / (file_stem + extension);
    if (fs::exists(path)) return path.string();
  }
  return {};
}

AudioBuffer read_estimate(const std::string& path, const AudioBuffer& mixture) {
  int rate_hz = 0;
  AudioBuffer audio = read_audio(path, &rate_hz);
  if (audio.channels == mixture.channels && audio.frames == mixture.frames) return audio;
  throw Error(ErrorCode::kSettings,
              path + " has " + std::to_string(audio.frames) + " frames in " + std::to_string(audio.channels) +
                  " channels, its mixture " + std::to_string(mixture.frames) + " in " +
                  std::to_string(mixture.channels) + ": estimates must have the mixture's shape.");
}

double parse_milliseconds(const std::string& text, const std::string& key) {
  size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  if (used == 0 || !std::isfinite(value) || value < 0 || (unit != "" && unit != "ms" && unit != "s")) {
    throw UsageError("--stream: \"" + key + "=" + text + "\" is no duration: give milliseconds, such as " +
                     key + "=200.");
  }
  return unit == "s" ? value * 1000 : value;
}

}  // namespace

Estimator offline_estimator(std::shared_ptr<const Model> model, const OfflineOptions& options) {
  return [model, options](const AudioBuffer& mixture, const std::string&) {
    std::vector<AudioBuffer> outputs = separate_offline(model, mixture, options);
    return with_rest(mixture, std::move(outputs[vocals_index(model->config())]));
  };
}

Estimator streaming_estimator(std::shared_ptr<const Model> model, const StreamingOptions& options) {
  return [model, options](const AudioBuffer& mixture, const std::string&) {
    StreamingOptions of_song = options;
    of_song.channels = mixture.channels;
    StreamingSeparator separator(model, of_song);
    return with_rest(mixture, stream_through(separator, model->config().stems.size() + 1,
                                             vocals_index(model->config()), mixture));
  };
}

Estimator baseline_estimator(const std::string& name) {
  const bool silence = name == "silence";
  return [silence](const AudioBuffer& mixture, const std::string&) {
    return Estimate{silence ? AudioBuffer(mixture.channels, mixture.frames) : mixture, mixture};
  };
}

Estimator file_estimator(const std::string& dir) {
  return [dir](const AudioBuffer& mixture, const std::string& name) {
    const std::string vocals = find_estimate(dir, name + ".vocals");
    const std::string instrumental = find_estimate(dir, name + ".instrumental");
    if (vocals.empty() && instrumental.empty()) {
      throw Error(ErrorCode::kNotFound, "No estimate of " + name + " in " + dir + ": expected " + name +
                                            ".vocals.wav or " + name + ".instrumental.wav (or .flac).");
    }
    Estimate estimate;
    if (!vocals.empty()) estimate.vocals = read_estimate(vocals, mixture);
    if (!instrumental.empty()) estimate.instrumental = read_estimate(instrumental, mixture);
    if (vocals.empty()) estimate.vocals = difference(mixture, estimate.instrumental);
    if (instrumental.empty()) estimate.instrumental = difference(mixture, estimate.vocals);
    return estimate;
  };
}

StreamingOptions parse_stream_options(const std::string& text, const ModelConfig& config) {
  const double frame_ms = 1000.0 * static_cast<double>(config.stft.hop) / config.sample_rate_hz;
  const auto frames = [frame_ms](double ms) { return static_cast<int64_t>(std::ceil(ms / frame_ms - 1e-9)); };
  StreamingOptions options;
  std::istringstream entries(text);
  for (std::string entry; std::getline(entries, entry, ',');) {
    const size_t equals = entry.find('=');
    const std::string key = entry.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : entry.substr(equals + 1);
    if (key == "mode" && (value == "carry" || value == "rolling")) {
      options.mode = value == "carry" ? StreamingMode::kCarry : StreamingMode::kRolling;
    } else if (key == "hop") {
      options.hop_frames = frames(parse_milliseconds(value, key));
    } else if (key == "lookahead") {
      options.lookahead_frames = frames(parse_milliseconds(value, key));
    } else if (key == "context") {
      options.context_frames = frames(parse_milliseconds(value, key));
    } else {
      throw UsageError("--stream: \"" + entry +
                       "\" is not one of hop=MS, lookahead=MS, context=MS, mode=carry|rolling.");
    }
  }
  if (options.hop_frames < 1)
    throw UsageError("--stream needs a hop, such as --stream hop=200,lookahead=700.");
  return options;
}

}  // namespace bsm
