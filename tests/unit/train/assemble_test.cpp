// Each augmentation on signals for which its effect is known in closed form.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "assembled.h"

namespace bsm {
namespace {

using namespace test;

TEST_F(Assembled, PlainCropsAreTheFilesSamples) {
  const TrainingBatch batch = make();
  ASSERT_EQ(batch.mixture.sizes(), (std::vector<int64_t>{1, 2, kSegment}));
  const auto vocals = batch.vocals.accessor<float, 3>();
  const auto instrumental = batch.instrumental.accessor<float, 3>();
  for (int c = 0; c < 2; ++c) {
    for (int64_t i = 0; i < kSegment; i += 97) {
      EXPECT_NEAR(vocals[0][c][i], tracks[0].samples[2 * (i + 441) + c] / 32768.0, 2e-6);
      EXPECT_NEAR(instrumental[0][c][i], tracks[1].samples[2 * i + c] / 32768.0, 2e-6);
    }
  }
}

TEST_F(Assembled, OutsideItsTrackASourceIsSilent) {
  voice().start = kVoice - 10000;         // begins 10000 samples into the crop
  band().start = kBand + kTrack - 20000;  // ends after 20000
  const TrainingBatch batch = make();
  EXPECT_LT(batch.vocals.narrow(2, 0, 9990).abs().max().item<double>(), 1e-5);
  EXPECT_NEAR(rms(batch.vocals.select(1, 0).narrow(1, 10000, 30000)), 0.4 / std::sqrt(2), 1e-3);
  EXPECT_LT(batch.instrumental.narrow(2, 20010, 20000).abs().max().item<double>(), 1e-5);
}

TEST_F(Assembled, SpeedMovesThePitch) {
  voice().speed = 1.1;
  const TrainingBatch batch = make();
  EXPECT_NEAR(amplitude(batch.vocals[0][0], 1100), 0.4, 1e-3);
  EXPECT_LT(amplitude(batch.vocals[0][0], 1000), 1e-3);
  EXPECT_NEAR(rms(batch.vocals[0][0]), 0.4 / std::sqrt(2), 1e-3);  // nothing but that tone
}

TEST_F(Assembled, InterpolationIsCleanAtHighFrequencies) {
  tracks[0] = to_track(sine(10000, 0.4, kTrack), StemRole::kVocals);
  voice().speed = 0.9;
  const torch::Tensor row = make().vocals[0][0];
  const double tone = amplitude(row, 9000);
  EXPECT_NEAR(tone, 0.4, 2e-3);
  const double rest = std::sqrt(std::max(0.0, rms(row) * rms(row) - tone * tone / 2));
  EXPECT_LT(db(rest / rms(row)), -55);
}

TEST_F(Assembled, StereoMatrixSwapsNarrowsAndInverts) {
  voice().stereo = {0, 1, 1, 0};
  EXPECT_NEAR(amplitude(make().vocals[0][0], 1000), 0.2, 1e-3);
  EXPECT_NEAR(amplitude(make().vocals[0][1], 1000), 0.4, 1e-3);
  voice().stereo = {0.5, 0.5, 0.5, 0.5};
  const TrainingBatch mono = make();
  EXPECT_TRUE(torch::allclose(mono.vocals[0][0], mono.vocals[0][1], 0, 1e-6));
  EXPECT_NEAR(amplitude(mono.vocals[0][0], 1000), 0.3, 1e-3);
  voice().stereo = {1, 0, 0, 1};
  const torch::Tensor plain = make().vocals;
  voice().stereo = {-1, 0, 0, -1};
  EXPECT_TRUE(torch::allclose(make().vocals, -plain, 0, 1e-6));
}

TEST_F(Assembled, EqualiserFollowsItsKnots) {
  const double step = std::log(kEqHigh_hz / kEqLow_hz) / (kEqKnots - 1);
  const double knot_hz = std::round(kEqLow_hz * std::exp(3 * step));  // whole periods in a second
  tracks[0] = to_track(sine(knot_hz, 0.4, kTrack), StemRole::kVocals);
  voice().start = kVoice;
  voice().eq_db = {-6, -6, -6, 5, -6, -6, -6, -6};
  EXPECT_NEAR(db(amplitude(make().vocals[0][0], knot_hz) / 0.4), 5, 0.1);
  EXPECT_NEAR(db(amplitude(make().instrumental[0][0], 300) / 0.25), 0, 0.01);
  voice().eq_db.fill(-6);
  EXPECT_NEAR(db(amplitude(make().vocals[0][0], knot_hz) / 0.4), -6, 0.01);
}

TEST_F(Assembled, BandLimitCutsBothStemsAboveIt) {
  tracks[0] = to_track(sine(15000, 0.4, kTrack), StemRole::kVocals);
  voice().start = kVoice;
  mixture().band_limit_hz = 12000;
  const TrainingBatch batch = make();
  EXPECT_LT(rms(batch.vocals), 1e-4);
  EXPECT_NEAR(amplitude(batch.instrumental[0][0], 300), 0.25, 1e-3);
  mixture().band_limit_hz = 16000;
  EXPECT_NEAR(amplitude(make().vocals[0][0], 15000), 0.4, 1e-3);
}

TEST_F(Assembled, LevelsAreTheDrawn) {
  augment.balance_levels = true;
  mixture().instrumental_db = -20;
  mixture().vocals_db = -29;
  const TrainingBatch batch = make();
  EXPECT_NEAR(db(rms(batch.instrumental)), -20, 0.05);
  EXPECT_NEAR(db(rms(batch.vocals)), -29, 0.05);
}

TEST_F(Assembled, LevelCountsSoundingPartsOnly) {
  augment.balance_levels = true;
  AudioBuffer sparse = sine(1000, 0.4, kTrack);
  for (int c = 0; c < 2; ++c) std::fill_n(sparse.channel(c) + 22050, kTrack - 22050, 0.0f);
  tracks[0] = to_track(sparse, StemRole::kVocals);
  voice().start = kVoice;
  mixture().vocals_db = -20;
  const torch::Tensor vocals = make().vocals;
  EXPECT_NEAR(db(rms(vocals.narrow(2, 0, 22050))), -20, 0.05);
  EXPECT_LT(rms(vocals.narrow(2, 22060, 20000)), 1e-5);
}

TEST_F(Assembled, WhatDoesNotSoundIsNotRaised) {
  augment.balance_levels = true;
  tracks[0] = to_track(sine(1000, 5e-4, kTrack), StemRole::kVocals);
  mixture().vocals_db = -10;
  EXPECT_LT(db(rms(make().vocals)), -70);
}

TEST_F(Assembled, GainsScaleWithoutBalancing) {
  mixture().vocals_db = -6;
  mixture().instrumental_db = 3;
  const TrainingBatch batch = make();
  EXPECT_NEAR(db(amplitude(batch.vocals[0][0], 1000) / 0.4), -6, 0.01);
  EXPECT_NEAR(db(amplitude(batch.instrumental[0][0], 300) / 0.25), 3, 0.01);
}

TEST_F(Assembled, SilentStems) {
  mixture().vocals_silent = true;
  TrainingBatch batch = make();
  EXPECT_EQ(batch.vocals.abs().max().item<double>(), 0);
  EXPECT_TRUE(torch::equal(batch.mixture, batch.instrumental));
  EXPECT_GT(rms(batch.instrumental), 0.1);
  mixture().vocals_silent = false;
  mixture().instrumental_silent = true;
  batch = make();
  EXPECT_EQ(batch.instrumental.abs().max().item<double>(), 0);
  EXPECT_GT(rms(batch.vocals), 0.1);
}

TEST_F(Assembled, SilencedSourcesLeaveTheRestOfTheirStem) {
  tracks.push_back(to_track(sine(500, 0.1, kTrack), StemRole::kInstrumental));
  SourceDraw second = band();
  second.track_first = second.start = kBand + kTrack + kGuardSamples;
  draw.sources.push_back(second);
  band().level_db = -std::numeric_limits<double>::infinity();
  const torch::Tensor row = make().instrumental[0][0];
  EXPECT_NEAR(amplitude(row, 500), 0.1, 1e-3);
  EXPECT_NEAR(rms(row), 0.1 / std::sqrt(2), 1e-3);
}

TEST_F(Assembled, StackedSourcesAddAtTheirLevel) {
  tracks.push_back(to_track(sine(500, 0.1, kTrack), StemRole::kInstrumental));
  augment.balance_levels = true;
  mixture().instrumental_db = -20;
  SourceDraw second = band();
  second.track_first = second.start = kBand + kTrack + kGuardSamples;
  second.level_db = -6;
  draw.sources.push_back(second);
  const TrainingBatch batch = make();
  const torch::Tensor row = batch.instrumental[0][0];
  EXPECT_NEAR(db(amplitude(row, 500) / amplitude(row, 300)), -6, 0.05);
  EXPECT_LT(amplitude(batch.vocals[0][0], 500), 1e-4);
}

TEST_F(Assembled, EachMixtureGetsItsOwnSources) {
  draw.mixtures.resize(2);
  draw.mixtures[1].vocals_db = -12;
  SourceDraw voice1 = voice(), band1 = band();
  voice1.mixture = band1.mixture = 1;
  band1.start = kBand + 100;
  draw.sources = {voice(), voice1, band(), band1};
  const TrainingBatch batch = make();
  EXPECT_NEAR(db(amplitude(batch.vocals[1][0], 1000) / amplitude(batch.vocals[0][0], 1000)), -12, 0.01);
  EXPECT_TRUE(torch::allclose(batch.instrumental[1].narrow(1, 0, 40000),
                              batch.instrumental[0].narrow(1, 100, 40000), 0, 1e-5));
}

TEST_F(Assembled, PauseSilencesTheVoiceWithFades) {
  mixture().pause_start = 10000;
  mixture().pause_end = 20000;
  mixture().fade_samples = 2000;
  const TrainingBatch batch = make();
  EXPECT_EQ(batch.vocals.narrow(2, 10000, 10000).abs().max().item<double>(), 0);
  EXPECT_NEAR(rms(batch.vocals[0][0].narrow(0, 0, 7938)), 0.4 / std::sqrt(2), 2e-3);
  EXPECT_NEAR(rms(batch.vocals[0][0].narrow(0, 22050, 22050)), 0.4 / std::sqrt(2), 2e-3);
  const double in_fade = batch.vocals[0][0].narrow(0, 8900, 200).abs().max().item<double>();
  EXPECT_GT(in_fade, 0.15);
  EXPECT_LT(in_fade, 0.25);  // half-way up
  EXPECT_NEAR(amplitude(batch.instrumental[0][0], 300), 0.25, 1e-3);
}

TEST_F(Assembled, LimiterKeepsTheSumOfTheStems) {
  const TrainingBatch plain = make();
  const double peak = plain.mixture.abs().max().item<double>();
  mixture().clip_db = 6;
  const double limit = peak / std::pow(10.0, 0.3);
  const torch::Tensor soft = make().mixture;  // make() checks vocals + instrumental == mixture
  EXPECT_TRUE(torch::allclose(soft, limit * (plain.mixture / limit).tanh(), 0, 1e-5));
  mixture().clip_hard = true;
  const TrainingBatch hard = make();
  EXPECT_TRUE(torch::allclose(hard.mixture, plain.mixture.clamp(-limit, limit), 0, 1e-5));
  // Where nothing is limited the stems are untouched.
  const torch::Tensor free = plain.mixture.abs() < 0.99 * limit;
  EXPECT_TRUE(torch::allclose(hard.vocals.masked_select(free), plain.vocals.masked_select(free), 0, 1e-6));
}

TEST_F(Assembled, MonoMixturesHaveEqualChannels) {
  mixture().mono = true;
  const TrainingBatch batch = make();
  for (const torch::Tensor& stem : {batch.vocals, batch.instrumental})
    EXPECT_TRUE(torch::equal(stem.select(1, 0), stem.select(1, 1)));
  EXPECT_NEAR(amplitude(batch.vocals[0][0], 1000), 0.3, 1e-3);  // mean of 0.4 and 0.2
  draw.mixtures.resize(2);
  SourceDraw voice1 = voice(), band1 = band();
  voice1.mixture = band1.mixture = 1;
  draw.sources = {voice(), voice1, band(), band1};
  EXPECT_NEAR(amplitude(make().vocals[1][1], 1000), 0.2, 1e-3) << "the other mixture is left as it is";
}

TEST_F(Assembled, ReverbRingsOnInItsSourceAlone) {
  AudioBuffer click(2, kTrack);
  click.channel(0)[10000] = click.channel(1)[10000] = 0.5f;
  tracks[0] = to_track(click, StemRole::kVocals);
  voice().start = kVoice;
  const TrainingBatch dry = make();
  voice().has_reverb = true;
  voice().reverb_s = 0.6;
  voice().reverb_delay_s = 0.02;
  voice().reverb_db = -6;
  voice().reverb_damp_hz = 1e6;  // no damping
  const TrainingBatch wet = make();
  EXPECT_TRUE(torch::equal(wet.instrumental, dry.instrumental));
  const torch::Tensor tail = (wet.vocals - dry.vocals)[0];  // [2, n]
  const auto tail_rms = [&](int64_t start, int64_t length) { return rms(tail.narrow(1, start, length)); };
  // Nothing before the first reflection (882 samples after the click), neither before the sound.
  EXPECT_LT(tail_rms(0, 10000 + 880), 1e-6);
  // -6 dB of the click's energy in all, in each channel.
  EXPECT_NEAR(db(tail.square().sum(1).sqrt().mean().item<double>() / 0.5), -6, 0.5);
  // 60 dB in 0.6 s: 10 dB in 0.1 s.
  EXPECT_NEAR(db(tail_rms(11000, 4000) / tail_rms(11000 + 4410, 4000)), 10, 1);
  EXPECT_NEAR(db(tail_rms(11000, 4000) / tail_rms(11000 + 22050, 4000)), 50, 2);
  // The channels' reflections differ, other noise gives another room.
  EXPECT_LT((tail[0] * tail[1]).mean().item<double>() / tail.square().mean().item<double>(), 0.1);
  voice().reverb_noise = 100;
  EXPECT_FALSE(torch::allclose(make().vocals, wet.vocals, 0, 1e-3));
  voice().reverb_damp_hz = 1000;
  const torch::Tensor damped =
      torch::fft_rfft((make().vocals - dry.vocals)[0][0]).abs().square();  // 1 Hz bins
  EXPECT_NEAR(10 * std::log10(damped.narrow(0, 100, 800).mean().item<double>() /
                              damped.narrow(0, 8000, 2000).mean().item<double>()),
              17.7, 2);  // 1 + 9000^2 / 1000^2 against 1 + 500^2 / 1000^2
}

TEST_F(Assembled, CompressorReducesWhatIsLoud) {
  // A loud second half: the threshold stands 12 dB below it, 8 dB above the first half.
  AudioBuffer swell = sine(300, 0.25, kTrack);
  for (int c = 0; c < 2; ++c)
    for (int64_t i = 0; i < 22050; ++i) swell.channel(c)[i] *= 0.1f;
  tracks[1] = to_track(swell, StemRole::kInstrumental);
  mixture().vocals_db = -60;
  const TrainingBatch plain = make();
  mixture().compress_db = 12;
  mixture().compress_ratio = 4;
  mixture().compress_release_s = 0.1;
  const TrainingBatch pressed = make();  // make() checks vocals + instrumental == mixture
  const auto change_db = [&](const torch::Tensor& after, const torch::Tensor& before, int64_t start) {
    return db(rms(after.narrow(2, start, 8820)) / rms(before.narrow(2, start, 8820)));
  };
  EXPECT_NEAR(change_db(pressed.mixture, plain.mixture, 10000), 0, 0.01);
  EXPECT_NEAR(change_db(pressed.mixture, plain.mixture, 30000), -9, 0.3);  // 12 dB above, 3 dB left
  EXPECT_NEAR(change_db(pressed.vocals, plain.vocals, 30000), -9, 0.3) << "both stems get the same gain";
  EXPECT_NEAR(change_db(pressed.instrumental, plain.instrumental, 30000), -9, 0.3);
}

TEST(CompressorGain, FallsBackWithItsRelease) {
  torch::Tensor burst = torch::full({1, 2, 44100}, 0.01);
  burst.narrow(2, 4410, 4410).fill_(0.5);
  const auto one = [](double value) { return torch::full({1}, value); };
  const torch::Tensor gain = compressor_gain(burst, one(20), one(2), one(0.1), kRate_hz)[0][0];
  const auto gain_db = [&](double seconds) {
    return db(gain[static_cast<int64_t>(seconds * kRate_hz)].item<double>());
  };
  EXPECT_NEAR(gain_db(0.05), 0, 0.01);
  EXPECT_NEAR(gain_db(0.15), -10, 0.01);  // 20 dB above the threshold, half of it left
  // 10 / ln 10 dB of level per 0.1 s, half of it as gain.
  EXPECT_NEAR(gain_db(0.3) - gain_db(0.2), 2.17, 0.1);
  EXPECT_NEAR(gain_db(0.95), 0, 0.01);
}

TEST_F(Assembled, RandomDrawsAreFiniteAndSumUp) {
  augment = AugmentConfig();
  augment.clip_p = augment.fade_p = augment.band_limit_p = augment.reverb_p = augment.mono_p =
      augment.compress_p = 0.5;
  const TrackIndex index = index_tracks(tracks, kRate_hz);
  const BatchSampler sampler(index, augment, kSegment);
  for (int64_t pass = 0; pass < 3; ++pass) {
    draw = sampler.draw(1, pass, 8);
    const TrainingBatch batch = make();
    EXPECT_TRUE(batch.mixture.isfinite().all().item<bool>());
    EXPECT_TRUE(batch.vocals.isfinite().all().item<bool>());
    EXPECT_EQ(batch.vocals.size(0), 8);
  }
}

}  // namespace
}  // namespace bsm
