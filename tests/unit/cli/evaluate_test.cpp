// `bsmamba2 evaluate`: balances and baselines by closed form, the model against `separate` and `score`.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "cli_fixture.h"

namespace bsm::test {
namespace {

constexpr int kRate = 44100;

class EvaluateTest : public ProgramTest {
 protected:
  /// Two songs of two seconds: "even" (the voice 10 dB below the band throughout) and "gaps" (it sounds in
  /// the first second).
  void make_songs() {
    const AudioBuffer band = noise(2, 2 * kRate, 1, 0.3f);
    AudioBuffer voice = noise(2, 2 * kRate, 2, 0.3f);
    const double gain = std::sqrt(energy(band) / energy(voice)) * std::pow(10, -0.5);
    for (float& sample : voice.samples) sample = static_cast<float>(sample * gain);
    write_wav(path("songs/even/vocals.wav"), voice);
    write_wav(path("songs/even/accompaniment.wav"), band);
    for (int c = 0; c < 2; ++c) std::fill(voice.channel(c) + kRate, voice.channel(c) + 2 * kRate, 0.0f);
    write_wav(path("songs/gaps/vocals.wav"), voice);
    write_wav(path("songs/gaps/accompaniment.wav"), band);
  }

  static double energy(const AudioBuffer& audio) {
    double sum = 0;
    for (const float sample : audio.samples) sum += static_cast<double>(sample) * sample;
    return sum;
  }

  nlohmann::json evaluate(std::vector<std::string> options) {
    options.insert(options.begin(), {"evaluate", "--data", path("songs"), "--json", "-"});
    const Result result = run_program(options);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.status == 0 ? result.json() : nlohmann::json();
  }
};

TEST_F(EvaluateTest, MixtureBaselineScoresTheBalance) {
  make_songs();
  const auto report = evaluate({"--baseline", "mixture", "--balance", "-6", "--balance", "3"});
  const auto& balances = report["balances"];
  ASSERT_EQ(balances.size(), 3u);
  EXPECT_TRUE(balances[0]["balance_db"].is_null());
  const double expected[] = {-10, -6, 3};
  for (size_t b = 0; b < 3; ++b) {
    const auto& even = balances[b]["songs"][0];
    EXPECT_EQ(even["name"], "even");
    EXPECT_NEAR(even["vocals"]["uSDR"], expected[b], 1e-3);
    EXPECT_NEAR(even["instrumental"]["uSDR"], -expected[b], 1e-3);
    EXPECT_NEAR(even["vocals"]["cSDR"], expected[b], 0.1);
    EXPECT_TRUE(even["vocals"]["leak_db"].is_null());
    // Balance is measured where the voice sounds: in "gaps" the band has twice the energy of that part in
    // all.
    const auto& gaps = balances[b]["songs"][1];
    EXPECT_NEAR(gaps["vocals"]["uSDR"], expected[b] - 10 * std::log10(2), 0.1);
    EXPECT_NEAR(gaps["vocals"]["cSDR"], expected[b], 0.1);
    EXPECT_NEAR(gaps["vocals"]["leak_db"], 20 * std::log10(0.3 / std::sqrt(3)), 0.1);
    const double mean = (even["vocals"]["uSDR"].get<double>() + gaps["vocals"]["uSDR"].get<double>()) / 2;
    EXPECT_NEAR(balances[b]["mean"]["vocals"]["uSDR"], mean, 1e-9);
  }
}

TEST_F(EvaluateTest, SilenceScoresZeroOnVocalsAndTheBalanceOnTheBand) {
  make_songs();
  const auto report = evaluate({"--baseline", "silence", "--balance=-6"});
  const auto& even = report["balances"][1]["songs"][0];
  EXPECT_NEAR(even["vocals"]["uSDR"], 0, 1e-9);
  EXPECT_TRUE(even["vocals"]["cSDR"].is_null());
  EXPECT_NEAR(even["instrumental"]["uSDR"], 6, 1e-3);
}

TEST_F(EvaluateTest, ModelScoresWhatSeparateWrites) {
  make_songs();
  const std::vector<std::string> model = {"--model", tiny_model(), "--device", "cpu", "--threads", "1"};
  std::vector<std::string> options = {"--balance", "-6", "--write-mixtures", path("mixtures")};
  options.insert(options.end(), model.begin(), model.end());
  const auto by_model = evaluate(options);
  EXPECT_EQ(files("mixtures"),
            (std::vector<std::string>{"even.wav", "even@-6dB.wav", "gaps.wav", "gaps@-6dB.wav"}));

  std::vector<std::string> separate = {"separate", "-o", path("estimates"), "--format", "wav"};
  separate.insert(separate.end(), model.begin(), model.end());
  for (const std::string& name : files("mixtures")) separate.push_back(path("mixtures/" + name));
  ASSERT_EQ(run_program(separate).status, 0);
  const auto by_files = evaluate({"--balance", "-6", "--estimates", path("estimates")});
  std::filesystem::remove(path("estimates/even.vocals.wav"));  // then it is the rest of the mixture
  const auto by_one_file = evaluate({"--balance", "-6", "--estimates", path("estimates")});
  for (size_t balance : {0, 1}) {
    for (size_t song : {0, 1}) {
      for (const char* stem : {"vocals", "instrumental"}) {
        const double score = by_model["balances"][balance]["songs"][song][stem]["uSDR"];
        EXPECT_NEAR(score, by_files["balances"][balance]["songs"][song][stem]["uSDR"], 1e-4);
        EXPECT_NEAR(score, by_one_file["balances"][balance]["songs"][song][stem]["uSDR"], 1e-4);
      }
    }
  }
  const Result info = run_program({"info", tiny_model(), "--json"});
  EXPECT_EQ(by_model["model_sha256"], info.json()["sha256"]);
  EXPECT_EQ(by_model["parameters"], info.json()["parameters"]);
  EXPECT_EQ(by_model["device"], "cpu");
  EXPECT_GT(by_model["real_time_factor"], 0);
  EXPECT_NEAR(by_model["audio_seconds"], 8, 1e-9);
}

TEST_F(EvaluateTest, StreamWithTheWholeSongAsLookaheadEqualsOffline) {
  make_songs();
  const auto offline = evaluate({"--model", tiny_model(), "--device", "cpu", "--threads", "1"});
  const auto whole = evaluate({"--model", tiny_model(), "--device", "cpu", "--threads", "1", "--stream",
                               "hop=1s,lookahead=3s,mode=carry"});
  const auto near = evaluate({"--model", tiny_model(), "--device", "cpu", "--threads", "1", "--stream",
                              "hop=200,lookahead=10ms,context=100,mode=rolling"});
  const auto score = [](const nlohmann::json& report) {
    return report["balances"][0]["songs"][0]["vocals"]["uSDR"].get<double>();
  };
  EXPECT_NEAR(score(whole), score(offline), 1e-3);
  EXPECT_NE(score(near), score(offline));
  EXPECT_EQ(near["streaming"]["mode"], "rolling");
  EXPECT_NEAR(near["streaming"]["hop_ms"], 1000.0 * 128 * 69 / kRate, 1e-9);  // rounded up to whole frames
}

TEST_F(EvaluateTest, MusdbLayoutSumsTheParts) {
  const AudioBuffer part = noise(2, kRate, 3, 0.1f);
  AudioBuffer sum(2, kRate);
  for (size_t i = 0; i < sum.samples.size(); ++i) sum.samples[i] = 3 * part.samples[i];
  for (const char* name : {"drums", "bass", "other"})
    write_wav(path(std::string("songs/test/a/") + name + ".wav"), part);
  write_wav(path("songs/test/a/vocals.wav"), sum);
  const auto report = evaluate({"--baseline", "mixture"});
  const auto& song = report["balances"][0]["songs"][0];
  EXPECT_EQ(song["name"], "test.a");
  EXPECT_NEAR(song["vocals"]["uSDR"], 0, 1e-4);
}

TEST_F(EvaluateTest, MistakesAreNamed) {
  make_songs();
  const auto expect_error = [&](std::vector<std::string> options, int status, const std::string& text) {
    options.insert(options.begin(), "evaluate");
    const Result result = run_program(options);
    EXPECT_EQ(result.status, status) << text;
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err;
  };
  expect_error({"--data", path("nowhere"), "--baseline", "mixture"}, 1, "nowhere");
  expect_error({"--data", path("songs/even") + "/..", "--estimates", path("none")}, 1, "even.vocals.wav");
  expect_error({"--data", path("songs"), "--model", tiny_model(), "--stream", "hop=fast"}, 2, "hop=fast");
  expect_error({"--data", path("songs"), "--model", tiny_model(), "--stream", "lookahead=100"}, 2,
               "needs a hop");
  write_wav(path("songs/even/vocals.flac"), noise(2, 100, 4));
  expect_error({"--data", path("songs"), "--baseline", "mixture"}, 1, "several files called vocals");
}

}  // namespace
}  // namespace bsm::test
