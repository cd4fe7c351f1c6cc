// Audio files for the tests of src/train.
#pragma once

#include "io/audio_file.h"
#include "synthetic.h"

namespace bsm::test {

inline void write_audio(const std::string& path, const AudioBuffer& audio, int rate_hz = kRate_hz,
                        AudioFormat format = AudioFormat::kWavFloat32) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  AudioWriter writer(path, format, rate_hz, audio.channels);
  std::vector<float> interleaved(audio.samples.size());
  for (int64_t i = 0; i < audio.frames; ++i)
    for (int c = 0; c < audio.channels; ++c) interleaved[i * audio.channels + c] = audio.channel(c)[i];
  writer.write(interleaved.data(), audio.frames);
  writer.close();
}

}  // namespace bsm::test
