#include "train/decode.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "audio_files.h"
#include "core/error.h"

namespace bsm {
namespace {

using namespace test;

struct Decoded : testing::Test {
  TemporaryFolder root;
  std::string path(const char* name) { return (root / name).string(); }
};

TEST_F(Decoded, StereoIsKeptTo16Bits) {
  const AudioBuffer audio = sine(440, 0.5, 10000);
  write_audio(path("a.wav"), audio);
  const DecodedTrack track = decode_track({{path("a.wav")}}, kRate_hz);
  ASSERT_EQ(track.frames(), 10000);
  const AudioBuffer back = to_audio(track);
  for (int c = 0; c < 2; ++c)
    for (int64_t i = 0; i < 10000; ++i) ASSERT_NEAR(back.channel(c)[i], audio.channel(c)[i], 0.51 / 32768);
}

TEST_F(Decoded, MonoBecomesTwoEqualChannels) {
  AudioBuffer mono(1, 5000);
  std::copy_n(sine(440, 0.5, 5000).channel(0), 5000, mono.channel(0));
  write_audio(path("mono.wav"), mono);
  const DecodedTrack track = decode_track({{path("mono.wav")}}, kRate_hz);
  ASSERT_EQ(track.frames(), 5000);
  for (int64_t i = 0; i < 5000; ++i) ASSERT_EQ(track.samples[2 * i], track.samples[2 * i + 1]);
  EXPECT_NEAR(*std::max_element(track.samples.begin(), track.samples.end()), 0.5 * 32768, 5);
}

TEST_F(Decoded, OtherRatesAreResampled) {
  write_audio(path("48k.wav"), sine(1000, 0.5, 48000, 48000), 48000);
  const DecodedTrack track = decode_track({{path("48k.wav")}}, kRate_hz);
  EXPECT_NEAR(static_cast<double>(track.frames()), 44100, 1);
  const AudioBuffer expected = sine(1000, 0.5, 44100);
  const AudioBuffer found = to_audio(track);
  for (int64_t i = 2000; i < 42000; i += 7) ASSERT_NEAR(found.channel(0)[i], expected.channel(0)[i], 1e-3);
}

TEST_F(Decoded, StemsAreSummedAndScaledBelowFullScale) {
  write_audio(path("drums.wav"), sine(100, 0.3, 5000));
  write_audio(path("bass.wav"), sine(100, 0.4, 6000));
  const DecodedTrack sum = decode_track({{path("drums.wav"), path("bass.wav")}}, kRate_hz);
  ASSERT_EQ(sum.frames(), 6000);
  EXPECT_EQ(sum.marks.size(), 2u);
  const AudioBuffer expected = sine(100, 0.7, 5000);
  for (int64_t i = 0; i < 5000; ++i)
    ASSERT_NEAR(to_audio(sum).channel(0)[i], expected.channel(0)[i], 1e-4) << i;
}

TEST_F(Decoded, LoudSumsAreScaledNotClipped) {
  write_audio(path("a.wav"), sine(100, 0.9, 5000));
  write_audio(path("b.wav"), sine(100, 0.9, 5000));
  const AudioBuffer audio = to_audio(decode_track({{path("a.wav"), path("b.wav")}}, kRate_hz));
  const AudioBuffer expected = sine(100, 1.0, 5000);
  for (int64_t i = 0; i < 5000; ++i) ASSERT_NEAR(audio.channel(0)[i], expected.channel(0)[i], 1e-3);
}

TEST_F(Decoded, ManyThreadsKeepTheOrderAndThrowTheError) {
  std::vector<TrackFiles> files;
  for (int i = 0; i < 9; ++i) {
    const std::string name = path(("t" + std::to_string(i) + ".wav").c_str());
    write_audio(name, sine(100, 0.5, 1000 + i));
    files.push_back({{name}, i % 2 ? StemRole::kVocals : StemRole::kInstrumental, i});
  }
  const auto tracks = decode_tracks(files, kRate_hz, 4);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(tracks[i].frames(), 1000 + i);
    EXPECT_EQ(tracks[i].song, i);
    EXPECT_EQ(tracks[i].role, files[i].role);
  }
  files[5].paths = {path("missing.wav")};
  EXPECT_THROW(decode_tracks(files, kRate_hz, 4), Error);
}

TEST_F(Decoded, SameAudioInBothSetsIsALeak) {
  const AudioBuffer song =
      to_audio(to_track(sine(440, 0.5, 9000), StemRole::kVocals));  // 16 bits, as from a CD
  write_audio(path("train.wav"), song);
  write_audio(path("valid.flac"), song, kRate_hz, AudioFormat::kFlac24);  // another name, another container
  write_audio(path("other.wav"), sine(441, 0.5, 9000));
  write_audio(path("silence1.wav"), AudioBuffer(2, 9000));
  write_audio(path("silence2.wav"), AudioBuffer(2, 9000));
  const auto decode = [&](std::vector<std::string> names) {
    std::vector<DecodedTrack> tracks;
    for (const auto& name : names) tracks.push_back(decode_track({{path(name.c_str())}}, kRate_hz));
    return tracks;
  };
  EXPECT_NO_THROW(
      check_no_leak(decode({"train.wav", "silence1.wav"}), decode({"other.wav", "silence2.wav"})));
  try {
    check_no_leak(decode({"other.wav", "train.wav"}), decode({"valid.flac"}));
    FAIL() << "the leak was not found";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kSettings);
    EXPECT_NE(std::string(error.what()).find("train.wav"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("valid.flac"), std::string::npos);
  }
}

}  // namespace
}  // namespace bsm
