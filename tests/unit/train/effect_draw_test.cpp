#include "train/effect_draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "synthetic.h"
#include "train/draw.h"

namespace bsm {
namespace {

using namespace test;

constexpr double kLength_s = 6;

TEST(EffectDraw, HappenWithTheirProbabilities) {
  EffectConfig config;
  config.voice_p = 0.5;
  std::map<std::string, double> counts;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    RandomStream random(3, static_cast<uint64_t>(i));
    const EffectDraw e = draw_effects(config, /*is_voice=*/true, kLength_s, random);
    counts["shift"] += e.shift != 1;
    counts["reverse"] += e.reversed;
    counts["stretch"] += e.grain_s > 0;
    counts["harmony"] += e.harmony != 1;
    counts["stutter"] += e.stutter_times > 1;
    counts["vibrato"] += e.vibrato_depth > 0;
    counts["telephone"] += e.telephone_low_hz > 0;
    counts["drive"] += e.drive_db > 0;
    counts["crush"] += e.crush_bits > 0;
    counts["ring"] += e.ring_mix > 0;
    counts["gate"] += e.gate_step_s > 0;
    counts["double"] += e.has_double;
    counts["echo"] += e.echo_s > 0;
    counts["hall"] += e.has_hall;
  }
  const std::map<std::string, double> expected{
      {"shift", config.shift_p},     {"reverse", config.reverse_p}, {"stretch", config.stretch_p},
      {"harmony", config.harmony_p}, {"stutter", config.stutter_p}, {"vibrato", config.vibrato_p},
      {"drive", config.drive_p},     {"crush", config.crush_p},     {"telephone", config.telephone_p},
      {"ring", config.ring_p},       {"gate", config.gate_p},       {"double", config.double_p},
      {"echo", config.echo_p},       {"hall", config.hall_p}};
  EXPECT_EQ(counts.size(), expected.size());
  for (const auto& [name, p] : expected) EXPECT_NEAR(counts[name] / kDraws, 0.5 * p, 0.015) << name;
}

TEST(EffectDraw, StrengthsLieInTheirRanges) {
  EffectConfig config;
  config.voice_p = 1;
  const auto inside = [](double value, const Range& range) {
    EXPECT_GE(value, range.low - 1e-9);
    EXPECT_LE(value, range.high + 1e-9);
  };
  for (uint64_t i = 0; i < 2000; ++i) {
    RandomStream random(4, i);
    const EffectDraw e = draw_effects(config, /*is_voice=*/true, kLength_s, random);
    if (e.shift != 1) inside(12 * std::log2(e.shift), config.shift_semitones);
    if (e.grain_s > 0) {
      inside(e.grain_s, config.grain_s);
      inside(e.stretch, config.stretch);
    }
    if (e.stutter_times > 1) inside(e.stutter_s, config.stutter_s);
    if (e.vibrato_depth > 0) inside(1200 * std::log2(1 + e.vibrato_depth), config.vibrato_cents);
    if (e.gate_step_s > 0) {
      inside(1 / e.gate_step_s, config.gate_hz);
      EXPECT_NE(e.gate_steps, 0u);
    }
    if (e.echo_s > 0) inside(e.echo_s, config.echo_s);
    if (e.echo_s > 0) inside(e.echo_db, config.echo_db);
    if (e.has_hall) inside(e.hall_db, config.hall_db);
  }
}

TEST(EffectDraw, NothingIsDrawnWhereNothingCanHappen) {
  RandomStream untouched(5, 0), random(5, 0);
  draw_effects(EffectConfig(), /*is_voice=*/true, kLength_s, random);
  EXPECT_EQ(random.unit(), untouched.unit());
}

struct SampledEffects : testing::Test {
  std::vector<DecodedTrack> tracks{to_track(sine(440, 0.5, 200000), StemRole::kVocals),
                                   to_track(sine(100, 0.5, 200000), StemRole::kInstrumental)};
  TrackIndex index = index_tracks(tracks, kRate_hz);
  AugmentConfig augment;
  SampledEffects() {
    augment.speed_p = augment.reverb_p = augment.stack_vocals_p = augment.stack_instrumental_p = 0;
    EffectConfig& e = augment.effects;
    e.voice_p = 1;
    e.shift_p = e.reverse_p = e.stretch_p = e.harmony_p = e.stutter_p = e.vibrato_p = e.hall_p = 0;
  }
  BatchDraw draw() const { return BatchSampler(index, augment, 22050).draw(1, 0, 64); }
};

TEST_F(SampledEffects, ShiftChangesSpeedAndTheCropStaysInItsTrack) {
  augment.effects.shift_p = 1;
  const BatchDraw batch = draw();
  for (size_t i = 0; i < 128; ++i) {
    const SourceDraw& s = batch.sources[i];
    EXPECT_EQ(s.speed == 1, s.role == StemRole::kInstrumental);
    EXPECT_GE(s.start, static_cast<double>(s.track_first));
    EXPECT_LE(s.start + s.speed * 22050, static_cast<double>(s.track_first + s.track_frames) + 0.5);
  }
}

TEST_F(SampledEffects, ReversedCropsRunFromTheirEnd) {
  augment.effects.reverse_p = 1;
  for (const SourceDraw& s : draw().sources) {
    EXPECT_EQ(s.speed, s.role == StemRole::kVocals ? -1 : 1);
    const double last = s.start + s.speed * 22050;
    EXPECT_GE(std::min(s.start, last), static_cast<double>(s.track_first));
    EXPECT_LE(std::max(s.start, last), static_cast<double>(s.track_first + s.track_frames) + 0.5);
  }
}

TEST_F(SampledEffects, HarmonyIsASecondVoiceInTime) {
  augment.effects.harmony_p = 1;
  const BatchDraw batch = draw();
  ASSERT_EQ(batch.sources.size(), 3u * 64);
  for (size_t b = 0; b < 64; ++b) {
    const SourceDraw& voice = batch.sources[b];
    const SourceDraw& second = batch.sources[128 + b];
    EXPECT_EQ(second.role, StemRole::kVocals);
    EXPECT_EQ(second.mixture, voice.mixture);
    EXPECT_EQ(second.start, voice.start);
    EXPECT_EQ(second.advance, voice.advance);
    EXPECT_EQ(second.speed, voice.speed * voice.effects.harmony);
    EXPECT_GT(second.effects.grain_s, 0);
  }
}

TEST_F(SampledEffects, HallIsTheSourcesRoom) {
  augment.effects.hall_p = 1;
  for (const SourceDraw& s : draw().sources) {
    EXPECT_EQ(s.has_reverb, s.role == StemRole::kVocals);
    if (s.has_reverb) {
      EXPECT_EQ(s.reverb_db, s.effects.hall_db);
    }
  }
}

TEST_F(SampledEffects, BandsHaveTheirOwnProbability) {
  augment.effects.voice_p = 0;
  augment.effects.band_p = 1;
  augment.effects.gate_p = 1;
  for (const SourceDraw& s : draw().sources)
    EXPECT_EQ(s.effects.gate_step_s > 0, s.role == StemRole::kInstrumental);
}

}  // namespace
}  // namespace bsm
