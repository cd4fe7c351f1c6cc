#include "train/draw.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/error.h"
#include "synthetic.h"

namespace bsm {
namespace {

using namespace test;

constexpr int64_t kSegment = 22050;

/// Two loose voices, two loose bands, one song. The first voice sounds in its second half only.
std::vector<DecodedTrack> tracks() {
  AudioBuffer half = sine(440, 0.5, 200000);
  for (int c = 0; c < 2; ++c) std::fill_n(half.channel(c), 100000, 0.0f);
  return {to_track(half, StemRole::kVocals),
          to_track(sine(330, 0.2, 50000), StemRole::kVocals),
          to_track(sine(100, 0.5, 120000), StemRole::kInstrumental),
          to_track(sine(200, 0.5, 60000), StemRole::kInstrumental),
          to_track(sine(500, 0.5, 90000), StemRole::kVocals, 0),
          to_track(sine(250, 0.5, 90000), StemRole::kInstrumental, 0)};
}

struct Drawn : testing::Test {
  TrackIndex index = index_tracks(tracks(), kRate_hz);
  AugmentConfig augment;
  BatchDraw draw(int64_t pass, int batch = 64, uint64_t seed = 5) const {
    return BatchSampler(index, augment, kSegment).draw(seed, pass * batch, batch);
  }
};

bool same(const BatchDraw& a, const BatchDraw& b) {
  if (a.sources.size() != b.sources.size()) return false;
  for (size_t i = 0; i < a.sources.size(); ++i)
    if (a.sources[i].start != b.sources[i].start || a.sources[i].speed != b.sources[i].speed ||
        a.sources[i].eq_db != b.sources[i].eq_db || a.sources[i].stereo != b.sources[i].stereo)
      return false;
  return true;
}

TEST_F(Drawn, IndexKnowsPlacesAndSongs) {
  EXPECT_EQ(index.vocals.size(), 3u);
  EXPECT_EQ(index.instrumental.size(), 3u);
  ASSERT_EQ(index.songs.size(), 1u);
  EXPECT_EQ(index.vocals[index.songs[0].first].frames, 90000);
  EXPECT_EQ(index.instrumental[index.songs[0].second].frames, 90000);
  EXPECT_EQ(index.vocals[0].first, kGuardSamples);
  EXPECT_EQ(index.packed_frames, 610000 + 7 * kGuardSamples);
  EXPECT_NEAR(sounding_fraction(index.vocals[0], kRate_hz, 0, 88200), 0, 1e-12);
  EXPECT_NEAR(sounding_fraction(index.vocals[0], kRate_hz, 110250, 44100), 1, 1e-12);
  EXPECT_NEAR(sounding_fraction(index.vocals[1], kRate_hz, 0, 100000), 0.52, 0.03);  // ends after 50000
}

TEST_F(Drawn, IndexTravelsAsNumbers) { EXPECT_EQ(from_numbers(to_numbers(index)), index); }

TEST_F(Drawn, EmptyPoolIsAnError) {
  EXPECT_THROW(index_tracks({to_track(sine(440, 0.5, 1000), StemRole::kVocals)}, kRate_hz), Error);
  EXPECT_THROW(index_tracks({to_track(sine(440, 0.5, 1000), StemRole::kInstrumental)}, kRate_hz), Error);
}

TEST_F(Drawn, DependsOnSeedAndPassAlone) {
  EXPECT_TRUE(same(draw(3), draw(3)));
  EXPECT_FALSE(same(draw(3), draw(4)));
  EXPECT_FALSE(same(draw(3), draw(3, 64, 6)));
}

TEST_F(Drawn, SmallerBatchesAreSlicesOfALargerOne) {
  augment.stack_vocals_p = augment.stack_instrumental_p = 0;  // their sources stand behind the others
  const BatchDraw whole = draw(2, 8), half = draw(5, 4);      // mixtures 16..23, 20..23
  for (int b = 0; b < 4; ++b) {
    EXPECT_EQ(half.mixtures[b].vocals_db, whole.mixtures[4 + b].vocals_db);
    EXPECT_EQ(half.sources[b].start, whole.sources[4 + b].start);
    EXPECT_EQ(half.sources[4 + b].start, whole.sources[12 + b].start);
  }
}

TEST_F(Drawn, CropsStayInsideTheirTracksAndStartsAreWholeAtSpeedOne) {
  for (int pass = 0; pass < 20; ++pass) {
    for (const SourceDraw& s : draw(pass).sources) {
      EXPECT_GE(s.start, static_cast<double>(s.track_first));
      EXPECT_LE(s.start + s.speed * kSegment, static_cast<double>(s.track_first + s.track_frames) + 0.5);
      if (s.speed == 1) {
        EXPECT_EQ(s.start, std::floor(s.start));
      }
      EXPECT_GE(s.speed, augment.speed.low);
      EXPECT_LE(s.speed, augment.speed.high);
    }
  }
}

TEST_F(Drawn, TrackShorterThanTheCropLiesInsideIt) {
  index = index_tracks({to_track(sine(440, 0.5, 1000), StemRole::kVocals),
                        to_track(sine(440, 0.5, 1000), StemRole::kInstrumental)},
                       kRate_hz);
  for (const SourceDraw& s : draw(0).sources) {
    EXPECT_LE(s.start, static_cast<double>(s.track_first));
    EXPECT_GE(s.start + s.speed * kSegment, static_cast<double>(s.track_first + s.track_frames) - 0.5);
  }
}

TEST_F(Drawn, ProbabilitiesAreTheConfigured) {
  augment.silence_p = 0.25;
  augment.fade_p = 0.4;
  augment.stack_vocals_p = 0.2;
  augment.stack_instrumental_p = 0.6;
  augment.speed_p = 0.7;
  augment.clip_p = 0.3;
  augment.band_limit_p = 0.15;
  augment.reverb_p = 0.35;
  augment.mono_p = 0.1;
  augment.compress_p = 0.2;
  double silent_v = 0, silent_i = 0, both = 0, fades = 0, speeds = 0, clips = 0, limits = 0, second_v = 0,
         second_i = 0;
  double rooms = 0, sources = 0, monos = 0, compressed = 0;
  double balance_sum = 0, count = 0;
  for (int pass = 0; pass < 100; ++pass) {
    const BatchDraw d = draw(pass);
    for (const MixtureDraw& m : d.mixtures) {
      ++count;
      silent_v += m.vocals_silent;
      silent_i += m.instrumental_silent;
      both += m.vocals_silent && m.instrumental_silent;
      fades += m.pause_end > m.pause_start;
      clips += m.clip_db > 0;
      limits += m.band_limit_hz > 0;
      monos += m.mono;
      compressed += m.compress_ratio > 1;
      const double balance = m.vocals_db - m.instrumental_db;
      EXPECT_GE(balance, augment.balance_db.low - 1e-9);
      EXPECT_LE(balance, augment.balance_db.high + 1e-9);
      balance_sum += balance;
    }
    for (const SourceDraw& s : d.sources) {
      ++sources;
      rooms += s.has_reverb;
    }
    for (size_t i = 0; i < 64; ++i) speeds += d.sources[i].speed != 1;
    for (size_t i = 128; i < d.sources.size(); ++i)
      (d.sources[i].role == StemRole::kVocals ? second_v : second_i) += 1;
  }
  EXPECT_NEAR(silent_v / count, 0.25, 0.03);
  EXPECT_NEAR(silent_i / count, 0.25, 0.03);
  EXPECT_NEAR(both / count, 0.0625, 0.02);
  EXPECT_NEAR(fades / count, 0.4, 0.03);
  EXPECT_NEAR(speeds / count, 0.7, 0.03);
  EXPECT_NEAR(clips / count, 0.3, 0.03);
  EXPECT_NEAR(limits / count, 0.15, 0.03);
  EXPECT_NEAR(rooms / sources, 0.35, 0.03);
  EXPECT_NEAR(monos / count, 0.1, 0.03);
  EXPECT_NEAR(compressed / count, 0.2, 0.03);
  EXPECT_NEAR(second_v / count, 0.2, 0.03);
  EXPECT_NEAR(second_i / count, 0.6, 0.03);
  EXPECT_NEAR(balance_sum / count, -4.5, 0.4);  // uniform in dB
}

TEST_F(Drawn, ColoursHaveTheConfiguredProbabilities) {
  augment.swap_p = 0.2;
  augment.polarity_p = 0.3;
  augment.eq_p = 0.4;
  augment.width_p = 0.6;
  augment.width = {0.2, 0.8};
  double swapped = 0, inverted = 0, equalised = 0, narrowed = 0, count = 0;
  for (int pass = 0; pass < 60; ++pass) {
    for (const SourceDraw& s : draw(pass).sources) {
      ++count;
      // [[same, cross], [cross, same]] with same + cross = 1, exchanged when swapped; |same| > |cross| for
      // width > 0.
      swapped += std::abs(s.stereo[0]) < std::abs(s.stereo[1]);
      inverted += s.stereo[0] + s.stereo[1] < 0;
      EXPECT_NEAR(std::abs(s.stereo[0] + s.stereo[1]), 1, 1e-12) << "what is in the middle keeps its level";
      const double width = std::abs(std::abs(s.stereo[0]) - std::abs(s.stereo[1]));
      narrowed += width < 0.99;
      EXPECT_GE(width, 0.2 - 1e-12);
      const auto [low, high] = std::minmax_element(s.eq_db.begin(), s.eq_db.end());
      equalised += *low != *high;
      EXPECT_GE(*low, -augment.eq_db);
      EXPECT_LE(*high, augment.eq_db);
    }
  }
  EXPECT_NEAR(swapped / count, 0.2, 0.03);
  EXPECT_NEAR(inverted / count, 0.3, 0.03);
  EXPECT_NEAR(equalised / count, 0.4, 0.03);
  EXPECT_NEAR(narrowed / count, 0.6, 0.03);
}

TEST_F(Drawn, VoicesEnterLeavePauseOrNeverCome) {
  augment.fade_p = 1;
  augment.silence_p = 0.25;
  double enters = 0, leaves = 0, pauses = 0, never = 0, count = 0;
  for (int pass = 0; pass < 50; ++pass) {
    for (const MixtureDraw& m : draw(pass).mixtures) {
      ++count;
      const bool from_start = m.pause_start <= 0, to_end = m.pause_end >= kSegment;
      enters += from_start && !to_end;
      leaves += to_end && !from_start;
      pauses += !from_start && !to_end;
      never += m.vocals_silent;
    }
  }
  EXPECT_GT(enters / count, 0.15);
  EXPECT_GT(leaves / count, 0.15);
  EXPECT_GT(pauses / count, 0.15);
  EXPECT_NEAR(never / count, 0.25, 0.03);
}

TEST_F(Drawn, VoiceCropsAreChosenForSounding) {
  augment.same_song_p = 0;
  augment.active_fraction = 0.9;
  const auto sounding_share = [&](double active_share) {
    augment.active_share = active_share;
    double sounding = 0, count = 0;
    for (int pass = 0; pass < 30; ++pass) {
      const BatchDraw d = draw(pass);
      for (int b = 0; b < 64; ++b) {
        for (const IndexedTrack& track : index.vocals)
          if (track.first == d.sources[b].track_first)
            sounding +=
                sounding_fraction(track, kRate_hz, static_cast<int64_t>(d.sources[b].start) - track.first,
                                  static_cast<int64_t>(kSegment * d.sources[b].speed)) >= 0.9;
        ++count;
      }
    }
    return sounding / count;
  };
  EXPECT_EQ(sounding_share(1), 1);
  EXPECT_LT(sounding_share(0), 0.8);
}

TEST_F(Drawn, CropsAreActiveSegments) {
  std::vector<DecodedTrack> fading = tracks();  // no two sub-windows alike, as in music
  for (DecodedTrack& track : fading)
    for (size_t i = 0; i < track.samples.size(); ++i)
      track.samples[i] = static_cast<int16_t>(
          track.samples[i] * (1 - 0.5 * static_cast<double>(i) / static_cast<double>(track.samples.size())));
  index = index_tracks(fading, kRate_hz, kSegment);
  EXPECT_EQ(from_numbers(to_numbers(index)), index);
  augment.source_activity = true;
  augment.same_song_p = augment.speed_p = 0;
  std::set<double> starts;
  for (const SourceDraw& s : draw(0).sources) {
    const auto& pool = s.role == StemRole::kVocals ? index.vocals : index.instrumental;
    const auto track = std::find_if(pool.begin(), pool.end(),
                                    [&s](const IndexedTrack& other) { return other.first == s.track_first; });
    ASSERT_NE(track, pool.end());
    const auto start = static_cast<int64_t>(s.start) - track->first;
    EXPECT_EQ(start % (kSegment / 2), 0);
    EXPECT_NE(std::find(track->active_starts.begin(), track->active_starts.end(), start),
              track->active_starts.end());
    starts.insert(s.start);
  }
  EXPECT_GT(starts.size(), 10u);
  for (IndexedTrack& track : index.vocals) track.active_starts.clear();
  EXPECT_THROW(draw(0), Error);
}

TEST_F(Drawn, SeparateStemsAreDrawnEachByItself) {
  std::vector<DecodedTrack> all = tracks();
  for (const BandPart part : {BandPart::kDrums, BandPart::kBass, BandPart::kOther}) {
    all.push_back(
        to_track(sine(250, 0.5, 60000 + 10000 * static_cast<int>(part)), StemRole::kInstrumental, 0));
    all.back().part = part;
    all.push_back(
        to_track(sine(350, 0.5, 90000 + 10000 * static_cast<int>(part)), StemRole::kInstrumental, 1));
    all.back().part = part;
  }
  std::erase_if(all, [](const DecodedTrack& track) {
    return track.role == StemRole::kInstrumental && track.part == BandPart::kWhole;
  });
  index = index_tracks(all, kRate_hz);
  augment.separate_stems = true;
  augment.balance_levels = false;
  augment.same_song_p = augment.stack_instrumental_p = augment.stack_vocals_p = 0;
  augment.silence_p = 0.25;
  double silent = 0, count = 0, mixed_songs = 0;
  for (int pass = 0; pass < 50; ++pass) {
    const BatchDraw d = draw(pass);
    ASSERT_EQ(d.sources.size(), 4u * 64);  // voice, three parts
    std::map<int, std::set<BandPart>> parts;
    std::map<int, std::set<int>> songs;
    for (const SourceDraw& s : d.sources) {
      if (s.role == StemRole::kVocals) continue;
      const auto track =
          std::find_if(index.instrumental.begin(), index.instrumental.end(),
                       [&s](const IndexedTrack& other) { return other.first == s.track_first; });
      parts[s.mixture].insert(track->part);
      songs[s.mixture].insert(track->song);
      ++count;
      silent += std::isinf(s.level_db);
      if (!std::isinf(s.level_db)) {
        EXPECT_GE(s.level_db, 20 * std::log10(0.5));
        EXPECT_LE(s.level_db, 20 * std::log10(1.5));
      }
    }
    for (int b = 0; b < 64; ++b) {
      EXPECT_EQ(parts[b].size(), 3u);
      mixed_songs += songs[b].size() == 2;
      EXPECT_FALSE(d.mixtures[static_cast<size_t>(b)].instrumental_silent);
      EXPECT_EQ(d.mixtures[static_cast<size_t>(b)].instrumental_db, 0);
    }
  }
  EXPECT_NEAR(silent / count, 0.25, 0.02);
  EXPECT_GT(mixed_songs / (50 * 64), 0.4);
}

TEST_F(Drawn, StemsOfOneSongStartTogether) {
  augment.same_song_p = 1;
  const IndexedTrack& voice = index.vocals[index.songs[0].first];
  const IndexedTrack& band = index.instrumental[index.songs[0].second];
  const BatchDraw d = draw(0);
  for (int b = 0; b < 64; ++b) {
    EXPECT_EQ(d.sources[b].track_first, voice.first);
    EXPECT_EQ(d.sources[64 + b].track_first, band.first);
    EXPECT_NEAR(d.sources[b].start - static_cast<double>(voice.first),
                d.sources[64 + b].start - static_cast<double>(band.first), 1e-6);
    EXPECT_EQ(d.sources[b].speed, d.sources[64 + b].speed);
  }
}

}  // namespace
}  // namespace bsm
