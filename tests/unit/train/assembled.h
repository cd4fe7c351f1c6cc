// One assembled mixture of known tones, for the tests of the augmentations.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "synthetic.h"
#include "train/assemble.h"

namespace bsm::test {

inline constexpr int64_t kSegment = 44100;
inline constexpr int64_t kTrack = 60000;
inline constexpr int64_t kVoice = kGuardSamples;                          // first packed sample of the voice
inline constexpr int64_t kBand = kGuardSamples + kTrack + kGuardSamples;  // and of the band

inline double rms(const torch::Tensor& x) {
  return x.to(torch::kDouble).square().mean().sqrt().item<double>();
}
inline double db(double ratio) { return 20 * std::log10(ratio); }

/// Amplitude of a sine of whole periods in the row.
inline double amplitude(const torch::Tensor& row, double hz) {
  const torch::Tensor t = torch::arange(row.size(0), torch::kDouble) * (2 * M_PI * hz / kRate_hz);
  const torch::Tensor x = row.to(torch::kDouble);
  const double c = (x * t.cos()).mean().item<double>();
  const double s = (x * t.sin()).mean().item<double>();
  return 2 * std::hypot(c, s);
}

/// One mixture of a 1000 Hz voice and a 300 Hz band, at the level of the files.
struct Assembled : testing::Test {
  AugmentConfig augment;
  std::vector<DecodedTrack> tracks{to_track(sine(1000, 0.4, kTrack), StemRole::kVocals),
                                   to_track(sine(300, 0.25, kTrack), StemRole::kInstrumental)};
  BatchDraw draw;
  SourceDraw& voice() { return draw.sources[0]; }
  SourceDraw& band() { return draw.sources[1]; }
  MixtureDraw& mixture() { return draw.mixtures[0]; }

  Assembled() {
    augment.balance_levels = false;
    draw.mixtures.resize(1);
    draw.sources.resize(2);
    voice() = {.track_first = kVoice, .track_frames = kTrack, .start = kVoice + 441.0, .effects = {}};
    band() = {.role = StemRole::kInstrumental,
              .track_first = kBand,
              .track_frames = kTrack,
              .start = kBand,
              .effects = {}};
  }
  TrainingBatch make() {
    const TrackIndex index = index_tracks(tracks, kRate_hz);
    auto copy = tracks;
    const BatchAssembler assembler(pack_tracks(index, std::move(copy), torch::kCPU), augment, kRate_hz,
                                   kSegment);
    const TrainingBatch batch = assembler.assemble(draw);
    EXPECT_TRUE(torch::equal(batch.vocals + batch.instrumental, batch.mixture));
    return batch;
  }
};

}  // namespace bsm::test
