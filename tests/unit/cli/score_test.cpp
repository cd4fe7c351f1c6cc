// `bsmamba2 score` against closed forms and against BSSEval v4.
#include <cmath>
#include <fstream>

#include "cli_fixture.h"

namespace bsm::test {
namespace {

constexpr int kRate = 44100;

class ScoreTest : public ProgramTest {};

/// signal * (1 + error): its SDR is -20 log10(|error|).
AudioBuffer scaled(AudioBuffer audio, float gain) {
  for (float& sample : audio.samples) sample *= gain;
  return audio;
}

void silence(AudioBuffer& audio, int64_t begin, int64_t end) {
  for (int c = 0; c < audio.channels; ++c) std::fill(audio.channel(c) + begin, audio.channel(c) + end, 0.0f);
}

TEST_F(ScoreTest, VocalsAloneByClosedForm) {
  AudioBuffer reference = noise(2, 3 * kRate + 100, 1);
  silence(reference, kRate, 2 * kRate);
  AudioBuffer estimate = scaled(reference, 1.125f);
  const AudioBuffer hiss = noise(2, kRate, 2, 0.01f);
  for (int c = 0; c < 2; ++c)
    std::copy(hiss.channel(c), hiss.channel(c) + kRate, estimate.channel(c) + kRate);
  write_wav(path("r.wav"), reference);
  write_wav(path("e.wav"), estimate);
  const Result result =
      run_program({"score", "--reference", path("r.wav"), "--estimate", path("e.wav"), "--json", "-"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto vocals = result.json()["vocals"];
  const double expected = -20 * std::log10(0.125);
  ASSERT_EQ(vocals["sdr_per_window"].size(), 3u);
  EXPECT_NEAR(vocals["sdr_per_window"][0], expected, 1e-3);
  EXPECT_TRUE(vocals["sdr_per_window"][1].is_null());
  EXPECT_NEAR(vocals["cSDR"], expected, 1e-3);
  EXPECT_LT(vocals["uSDR"], expected);
  EXPECT_NEAR(vocals["leak_db"], 20 * std::log10(0.01 / std::sqrt(3)), 0.1);  // RMS of uniform noise
}

TEST_F(ScoreTest, TwoStemsCountTheWindowsInWhichBothSound) {
  AudioBuffer vocals = noise(2, 4 * kRate, 3);
  AudioBuffer band = noise(2, 4 * kRate, 4);
  silence(vocals, kRate, 2 * kRate);
  silence(band, 3 * kRate, 4 * kRate);
  write_wav(path("v.wav"), vocals);
  write_wav(path("b.wav"), band);
  write_wav(path("ve.wav"), scaled(vocals, 1.25f));
  write_wav(path("be.wav"), scaled(band, 1.5f));
  const Result result =
      run_program({"score", "--reference", path("v.wav"), "--estimate", path("ve.wav"), "--accompaniment",
                   path("b.wav"), "--accompaniment-estimate", path("be.wav"), "--json", path("scores.json")});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("accompaniment"), std::string::npos) << result.out;
  std::ifstream report(path("scores.json"));
  const auto scores = nlohmann::json::parse(report);
  for (const auto& [stem, error] : {std::pair("vocals", 0.25), std::pair("accompaniment", 0.5)}) {
    const auto& windows = scores[stem]["sdr_per_window"];
    ASSERT_EQ(windows.size(), 4u);
    for (size_t i : {0, 2}) EXPECT_NEAR(windows[i], -20 * std::log10(error), 1e-4);
    for (size_t i : {1, 3}) EXPECT_TRUE(windows[i].is_null()) << stem << i;
    EXPECT_NEAR(scores[stem]["cSDR"], -20 * std::log10(error), 1e-4);
  }
}

TEST_F(ScoreTest, WindowsEqualBssEval) {
  const std::string folder = std::string(BSM_GOLDEN_DIR) + "/metrics/short_";
  const Result result = run_program({"score", "--reference", folder + "reference_vocals.flac", "--estimate",
                                     folder + "estimate_vocals.flac", "--json", "-"});
  ASSERT_EQ(result.status, 0) << result.err;
  std::ifstream file(folder + "scores.json");
  const auto expected = nlohmann::json::parse(file)["protocol_vocals_only"]["sdr_per_window"];
  const auto windows = result.json()["vocals"]["sdr_per_window"];
  ASSERT_EQ(windows.size(), expected.size());
  for (size_t i = 0; i < windows.size(); ++i) {
    ASSERT_EQ(windows[i].is_null(), expected[i].is_null()) << "window " << i;
    if (!windows[i].is_null()) {
      EXPECT_NEAR(windows[i], expected[i], 1e-6) << "window " << i;
    }
  }
}

TEST_F(ScoreTest, UnequalShapesAreAnError) {
  write_wav(path("r.wav"), noise(2, 1000, 1));
  write_wav(path("short.wav"), noise(2, 999, 1));
  write_wav(path("rate.wav"), noise(2, 1000, 1), 48000);
  for (const char* name : {"short.wav", "rate.wav"}) {
    const Result result = run_program({"score", "--reference", path("r.wav"), "--estimate", path(name)});
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("same shape"), std::string::npos) << result.err;
  }
}

TEST_F(ScoreTest, ReportThatCannotBeWrittenIsAnError) {
  write_wav(path("r.wav"), noise(2, 1000, 1));
  const Result result = run_program({"score", "--reference", path("r.wav"), "--estimate", path("r.wav"),
                                     "--json", path("r.wav") + "/scores.json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("scores.json"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace bsm::test
