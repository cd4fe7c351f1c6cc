// Each sound effect on signals for which it is known in closed form.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "assembled.h"

namespace bsm {
namespace {

using namespace test;

struct Effects : Assembled {
  EffectDraw& effects() { return voice().effects; }

  /// Nothing but the voice changes.
  torch::Tensor voice_with_effects() {
    const TrainingBatch batch = make();
    EXPECT_NEAR(amplitude(batch.instrumental[0][0], 300), 0.25, 1e-3);
    return batch.vocals[0];
  }
  void make_click(int64_t place) {
    AudioBuffer click(2, kTrack);
    click.channel(0)[place] = click.channel(1)[place] = 0.5f;
    tracks[0] = to_track(click, StemRole::kVocals);
    voice().start = kVoice;
  }
  /// 1000 Hz, then 2000 Hz from the track's sample `place` on.
  void make_step(int64_t place) {
    AudioBuffer step = sine(1000, 0.4, kTrack);
    const AudioBuffer above = sine(2000, 0.4, kTrack);
    for (int c = 0; c < 2; ++c)
      std::copy_n(above.channel(c) + place, kTrack - place, step.channel(c) + place);
    tracks[0] = to_track(step, StemRole::kVocals);
    voice().start = kVoice;
  }
};

TEST_F(Effects, BackwardsIsThePlainCropReversed) {
  make_step(20000);
  const torch::Tensor plain = voice_with_effects();
  voice().start = kVoice + static_cast<double>(kSegment - 1);
  voice().speed = voice().advance = -1;
  EXPECT_TRUE(torch::allclose(voice_with_effects(), plain.flip(1), 0, 1e-6));
}

TEST_F(Effects, StutterRepeatsSlicesAndKeepsTime) {
  make_step(12000);
  const torch::Tensor plain = voice_with_effects();
  effects().stutter_s = 0.1;
  effects().stutter_times = 3;
  effects().stutter_first_s = 0.2;
  effects().stutter_last_s = 0.9;  // two groups of 0.3 s
  const torch::Tensor row = voice_with_effects();
  const auto same = [&](int64_t at, int64_t from, int64_t length) {
    return torch::allclose(row.narrow(1, at, length), plain.narrow(1, from, length), 0, 1e-4);
  };
  EXPECT_TRUE(same(0, 0, 8820 + 4410));
  EXPECT_TRUE(same(8820 + 4410, 8820, 4400));
  EXPECT_TRUE(same(8820 + 2 * 4410, 8820, 4400));
  EXPECT_TRUE(same(8820 + 3 * 4410, 8820 + 3 * 4410, 4410)) << "the next group begins where time then is";
  EXPECT_TRUE(same(8820 + 4 * 4410, 8820 + 3 * 4410, 4400));
  EXPECT_TRUE(same(8820 + 6 * 4410, 8820 + 6 * 4410, 8000)) << "no group fits any more";
}

TEST_F(Effects, GrainsStretchTimeWithoutPitch) {
  make_step(11025);
  effects().grain_s = 0.1;  // at half the time, grains meet in whole periods of 1000 Hz
  voice().advance = 0.5;
  const torch::Tensor row = voice_with_effects()[0];
  EXPECT_NEAR(amplitude(row.narrow(0, 0, 13230), 1000), 0.4, 2e-3);
  EXPECT_NEAR(amplitude(row.narrow(0, 30870, 13230), 2000), 0.4, 2e-3);  // the step is at 0.5 s now
  EXPECT_LT(amplitude(row.narrow(0, 0, 13230), 2000), 2e-3);
}

TEST_F(Effects, GrainsChangePitchWithoutTime) {
  make_step(22050);
  effects().grain_s = 0.1;
  voice().speed = 1.5;
  const torch::Tensor row = voice_with_effects()[0];
  EXPECT_NEAR(amplitude(row.narrow(0, 0, 13230), 1500), 0.4, 2e-3);
  EXPECT_NEAR(amplitude(row.narrow(0, 30870, 13230), 3000), 0.4, 2e-3);
}

TEST_F(Effects, VibratoWaversThePitch) {
  effects().vibrato_hz = 5;
  effects().vibrato_depth = 0.03;
  effects().vibrato_phase = 0.7;
  const torch::Tensor row = voice_with_effects()[0];
  const double turn = 2 * M_PI * 5 / kRate_hz;
  const auto values = row.accessor<float, 1>();
  for (int64_t i = 100; i < kSegment; i += 131) {
    const double t = static_cast<double>(i);
    const double place = 441 + t + 0.03 / turn * std::sin(turn * t + 0.7);
    EXPECT_NEAR(values[i], 0.4 * std::sin(2 * M_PI * 1000 * place / kRate_hz), 3e-3);
  }
}

TEST_F(Effects, TelephonePassesItsBand) {
  effects().telephone_low_hz = 500;
  effects().telephone_high_hz = 4000;
  EXPECT_NEAR(db(amplitude(voice_with_effects()[0], 1000) / 0.4), -0.28, 0.05);
  effects().telephone_low_hz = 1000;
  EXPECT_NEAR(db(amplitude(voice_with_effects()[0], 1000) / 0.4), -3.03, 0.05);
  effects().telephone_low_hz = 100;
  effects().telephone_high_hz = 500;
  EXPECT_NEAR(db(amplitude(voice_with_effects()[0], 1000) / 0.4), -24.1, 0.2);
}

TEST_F(Effects, DriveSaturates) {
  const torch::Tensor plain = voice_with_effects();
  effects().drive_db = 12;
  const double drive = std::pow(10, 0.6);
  const double peak = plain.abs().max().item<double>();
  EXPECT_TRUE(torch::allclose(voice_with_effects(), peak / std::tanh(drive) * (drive / peak * plain).tanh(),
                              0, 1e-5));
}

TEST_F(Effects, FewBitsLeaveFewLevels) {
  const double peak = voice_with_effects().abs().max().item<double>();
  effects().crush_bits = 3;
  const torch::Tensor levels = voice_with_effects() / peak * 4;
  EXPECT_TRUE(torch::allclose(levels, levels.round(), 0, 1e-4));
  EXPECT_EQ(levels.round().max().item<double>(), 4);
}

TEST_F(Effects, RingModulationMovesTonesToBothSides) {
  effects().ring_hz = 100;
  effects().ring_mix = 0.6;
  const torch::Tensor row = voice_with_effects()[0];
  EXPECT_NEAR(amplitude(row, 1000), 0.16, 1e-3);
  EXPECT_NEAR(amplitude(row, 900), 0.12, 1e-3);
  EXPECT_NEAR(amplitude(row, 1100), 0.12, 1e-3);
}

TEST_F(Effects, GateFollowsItsRhythm) {
  effects().gate_step_s = 0.1;
  effects().gate_steps = 0b1101;  // steps 0, 2, 3
  effects().gate_share = 0.5;
  effects().gate_floor_db = -40;
  effects().gate_fade_s = 0.005;
  const auto level_db = [&](double from_s, double to_s) {
    const auto first = static_cast<int64_t>(from_s * kRate_hz);
    const torch::Tensor piece =
        voice_with_effects()[0].narrow(0, first, static_cast<int64_t>(to_s * kRate_hz) - first);
    return db(rms(piece) / (0.4 / std::sqrt(2)));
  };
  EXPECT_NEAR(level_db(0.006, 0.044), 0, 0.2);
  EXPECT_NEAR(level_db(0.051, 0.199), -40, 0.2);
  EXPECT_NEAR(level_db(0.206, 0.244), 0, 0.2);
  EXPECT_NEAR(level_db(0.306, 0.344), 0, 0.2);
  EXPECT_NEAR(level_db(0.351, 0.999), -40, 0.2);
  effects().gate_offset_s = 1.6 + 0.2;  // a whole rhythm and two steps
  EXPECT_NEAR(level_db(0.106, 0.144), 0, 0.2);
  EXPECT_NEAR(level_db(0.2, 0.999), -40, 0.2);
}

TEST_F(Effects, DoubleAddsACopyOnEitherSide) {
  make_click(5000);
  effects().has_double = true;
  effects().double_db = -6;
  effects().double_delay_s = {441.0 / kRate_hz, 882.5 / kRate_hz};
  const torch::Tensor sides = voice_with_effects();
  const double copy = 0.5 * std::pow(10, -0.3);
  EXPECT_NEAR(sides[0][5000].item<double>(), 0.5, 1e-3);
  EXPECT_NEAR(sides[0][5441].item<double>(), copy, 1e-3);
  EXPECT_NEAR(sides[1][5882].item<double>(), copy / 2, 1e-3);  // between two samples
  EXPECT_NEAR(sides[1][5883].item<double>(), copy / 2, 1e-3);
  EXPECT_LT(sides[0].narrow(0, 5800, 100).abs().max().item<double>(), 1e-4);
  EXPECT_LT(sides[1].narrow(0, 5400, 100).abs().max().item<double>(), 1e-4);
  effects().double_depth_s = 100.0 / kRate_hz;
  effects().double_hz = 0.25 * kRate_hz / 5500;  // a quarter of a turn at the copies: +100 and -100 samples
  const torch::Tensor wavering = voice_with_effects();
  EXPECT_GT(wavering[0].narrow(0, 5536, 10).abs().max().item<double>(), copy / 2.1);
  EXPECT_GT(wavering[1].narrow(0, 5778, 10).abs().max().item<double>(), copy / 2.1);
}

TEST_F(Effects, EchoesFallAndChangeSides) {
  make_click(1000);
  effects().echo_s = 0.1;
  effects().echo_db = -6;
  effects().echo_feedback = 0.5;
  const auto at = [](const torch::Tensor& stereo, int channel, int echo) {
    return stereo[channel][1000 + 4410 * echo].item<double>() / 0.5;
  };
  const torch::Tensor middle = voice_with_effects();
  const double first = std::pow(10, -0.3);
  for (int echo = 1; echo <= 8; ++echo)
    for (int channel = 0; channel < 2; ++channel)
      EXPECT_NEAR(at(middle, channel, echo), first * std::pow(0.5, echo - 1), 1e-3) << echo;
  EXPECT_NEAR(rms(middle[0].narrow(0, 1001, 4400)), 0, 1e-5);
  effects().echo_side = 1;
  const torch::Tensor sides = voice_with_effects();
  EXPECT_NEAR(at(sides, 1, 1), 2 * first, 2e-3);
  EXPECT_NEAR(at(sides, 0, 1), 0, 1e-4);
  EXPECT_NEAR(at(sides, 0, 2), first, 2e-3);
  EXPECT_NEAR(at(sides, 1, 2), 0, 1e-4);
}

TEST_F(Effects, InstrumentsHaveThemToo) {
  band().effects.ring_hz = 100;
  band().effects.ring_mix = 1;
  const TrainingBatch batch = make();
  EXPECT_NEAR(amplitude(batch.instrumental[0][0], 200), 0.125, 1e-3);
  EXPECT_NEAR(amplitude(batch.vocals[0][0], 1000), 0.4, 1e-3);
}

TEST_F(Effects, RandomEffectsAreFiniteAndSumUp) {
  augment.effects.voice_p = augment.effects.band_p = 1;
  const TrackIndex index = index_tracks(tracks, kRate_hz);
  const BatchSampler sampler(index, augment, kSegment);
  for (int64_t pass = 0; pass < 4; ++pass) {
    draw = sampler.draw(1, pass * 8, 8);
    const TrainingBatch batch = make();
    EXPECT_TRUE(batch.mixture.isfinite().all().item<bool>());
    EXPECT_TRUE(batch.vocals.isfinite().all().item<bool>());
  }
}

}  // namespace
}  // namespace bsm
