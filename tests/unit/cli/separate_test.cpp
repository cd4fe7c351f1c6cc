// `bsmamba2 separate`: lengths, rates, channels, sums, batches of files, failures, interruption.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <limits>
#include <sstream>
#include <thread>

#include "cli_fixture.h"
#include "io/audio_file.h"
#include "io/resampler.h"
#include "separate/offline.h"

namespace bsm::test {
namespace {

namespace fs = std::filesystem;

class SeparateTest : public ProgramTest {
 protected:
  /// `separate INPUTS -o out --model tiny --device cpu OPTIONS`.
  Result separate(const std::vector<std::string>& inputs, const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"separate", "-o",  path("out"), "--model", tiny_model(),
                                          "--device", "cpu", "--threads", "1"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), inputs.begin(), inputs.end());
    return run_program(arguments);
  }

  /// Separates to WAV and checks shapes, that the stems sum to the input and that nothing else was left
  /// behind.
  void expect_separates(const AudioBuffer& mixture, int sample_rate_hz) {
    write_wav(path("song.wav"), mixture, sample_rate_hz);
    const Result result = separate({path("song.wav")}, {"--format", "wav"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(files("out"), (std::vector<std::string>{"song.instrumental.wav", "song.vocals.wav"}));
    EXPECT_EQ(result.out, path("out/song.vocals.wav") + "\n" + path("out/song.instrumental.wav") + "\n");
    vocals_ = read(path("out/song.vocals.wav"), sample_rate_hz);
    expect_rest(mixture, vocals_, read(path("out/song.instrumental.wav"), sample_rate_hz));
  }

  AudioBuffer library_vocals(const AudioBuffer& mixture, const OfflineOptions& options = {}) {
    ModelOptions model;
    model.model_file = tiny_model();
    model.device = "cpu";
    model.threads = 1;
    return separate_offline(Model::load(model), mixture, options).front();
  }

  AudioBuffer vocals_;
};

class SeparateLength : public SeparateTest, public testing::WithParamInterface<int64_t> {};

TEST_P(SeparateLength, OutputsAreAsLongAsTheInputAndSumToIt) {
  const AudioBuffer mixture = noise(2, GetParam(), 1);
  expect_separates(mixture, 44100);
  EXPECT_LT(largest_difference(vocals_, library_vocals(mixture)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Frames, SeparateLength, testing::Values(1, 2, 100, 16384, 44100));

TEST_F(SeparateTest, FileWithoutSamplesGivesFilesWithoutSamples) {
  expect_separates(AudioBuffer(2, 0), 44100);
}

TEST_F(SeparateTest, ProcessGivesWhatTheFunctionGives) {
  write_wav(path("song.wav"), noise(2, 3000, 17));
  const Result process = run_process({"separate", path("song.wav"), path("missing.wav"), "-o", path("out"),
                                      "--model", tiny_model(), "--format", "wav"});
  EXPECT_EQ(process.status, 1);
  EXPECT_EQ(process.out, path("out/song.vocals.wav") + "\n" + path("out/song.instrumental.wav") + "\n");
  EXPECT_NE(process.err.find("missing.wav"), std::string::npos) << process.err;
  EXPECT_EQ(files("out").size(), 2u);
}

TEST_F(SeparateTest, VoiceIsNotTrivial) {
  const AudioBuffer mixture = noise(2, 44100, 1);
  expect_separates(mixture, 44100);
  EXPECT_GT(largest(vocals_), 1e-3);
  EXPECT_GT(largest_difference(vocals_, mixture), 1e-3);
}

TEST_F(SeparateTest, MonoStaysMono) {
  const AudioBuffer mixture = noise(1, 20000, 2);
  expect_separates(mixture, 44100);
  EXPECT_LT(largest_difference(vocals_, library_vocals(mixture)), 1e-6);
}

struct RateAndFrames {
  int sample_rate_hz;
  int64_t frames;
};

class SeparateRate : public SeparateTest, public testing::WithParamInterface<RateAndFrames> {};

TEST_P(SeparateRate, OtherRatesKeepRateLengthAndSum) {
  expect_separates(noise(2, GetParam().frames, 3), GetParam().sample_rate_hz);
}

INSTANTIATE_TEST_SUITE_P(Rates, SeparateRate,
                         testing::Values(RateAndFrames{48000, 1}, RateAndFrames{48000, 48001},
                                         RateAndFrames{96000, 50021}, RateAndFrames{22050, 12345},
                                         RateAndFrames{8000, 8191}, RateAndFrames{8000, 2}));

/// Resampled in one piece, planar in and out.
AudioBuffer resampled(const AudioBuffer& audio, int from_hz, int to_hz) {
  std::vector<float> in, out;
  for (int64_t i = 0; i < audio.frames; ++i) {
    for (int c = 0; c < audio.channels; ++c) in.push_back(audio.channel(c)[i]);
  }
  Resampler(from_hz, to_hz, audio.channels).process(in.data(), audio.frames, true, out);
  AudioBuffer result(audio.channels, static_cast<int64_t>(out.size()) / audio.channels);
  for (int64_t i = 0; i < result.frames; ++i) {
    for (int c = 0; c < result.channels; ++c)
      result.channel(c)[i] = out[static_cast<size_t>(i * result.channels + c)];
  }
  return result;
}

TEST_F(SeparateTest, VoiceAtAnotherRateIsTheResampledVoiceOfTheResampledInput) {
  const AudioBuffer mixture = noise(2, 48000, 16);
  expect_separates(mixture, 48000);
  const AudioBuffer expected = resampled(library_vocals(resampled(mixture, 48000, 44100)), 44100, 48000);
  EXPECT_GT(largest(expected), 1e-3);
  EXPECT_LT(largest_difference(vocals_, expected), 1e-5);
}

TEST_F(SeparateTest, PaperModeIsBackToBackWindows) {
  const AudioBuffer mixture = noise(1, 9 * 44100, 4);
  write_wav(path("song.wav"), mixture);
  ASSERT_EQ(separate({path("song.wav")}, {"--format", "wav", "--paper", "--stem", "vocals"}).status, 0);
  const AudioBuffer vocals = read(path("out/song.vocals.wav"));
  const AudioBuffer paper = library_vocals(mixture, OfflineOptions::paper());
  EXPECT_LT(largest_difference(vocals, paper), 1e-6);
  EXPECT_GT(largest_difference(paper, library_vocals(mixture)), 1e-5);
}

TEST_F(SeparateTest, FlacIsTheDefaultAndLosesLessThan24Bits) {
  const AudioBuffer mixture = noise(2, 5000, 5, 0.2f);
  write_wav(path("song.wav"), mixture);
  ASSERT_EQ(separate({path("song.wav")}).status, 0);
  EXPECT_EQ(files("out"), (std::vector<std::string>{"song.instrumental.flac", "song.vocals.flac"}));
  EXPECT_LT(largest_difference(read(path("out/song.vocals.flac")), library_vocals(mixture)), 2.0 / (1 << 23));
}

TEST_F(SeparateTest, FlacClippingIsAWarning) {
  write_wav(path("song.wav"), noise(2, 5000, 6, 3.0f));
  const Result flac = separate({path("song.wav")});
  EXPECT_EQ(flac.status, 0);
  EXPECT_NE(flac.err.find("clipped"), std::string::npos) << flac.err;
  const Result wav = separate({path("song.wav")}, {"--format", "wav"});
  EXPECT_EQ(wav.err.find("clipped"), std::string::npos) << wav.err;
}

TEST_F(SeparateTest, OneStemAloneIsWritten) {
  write_wav(path("song.wav"), noise(2, 1000, 7));
  ASSERT_EQ(separate({path("song.wav")}, {"--stem", "instrumental"}).status, 0);
  EXPECT_EQ(files("out"), std::vector<std::string>{"song.instrumental.flac"});
}

TEST_F(SeparateTest, SamplesThatAreNotFiniteBecomeSilence) {
  AudioBuffer mixture = noise(2, 8000, 8);
  mixture.channel(0)[4000] = std::numeric_limits<float>::quiet_NaN();
  mixture.channel(1)[4001] = std::numeric_limits<float>::infinity();
  write_wav(path("song.wav"), mixture);
  const Result result = separate({path("song.wav")}, {"--format", "wav"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("2 samples are not finite"), std::string::npos) << result.err;
  mixture.channel(0)[4000] = 0;
  mixture.channel(1)[4001] = 0;
  expect_rest(mixture, read(path("out/song.vocals.wav")), read(path("out/song.instrumental.wav")));
}

TEST_F(SeparateTest, SkipExistingSkipsGoodOutputsAlone) {
  for (const char* name : {"a", "b", "c"}) write_wav(path(std::string(name) + ".wav"), noise(2, 500, 9));
  const std::vector<std::string> inputs = {path("a.wav"), path("b.wav"), path("c.wav")};
  ASSERT_EQ(separate(inputs, {"--format", "wav"}).status, 0);
  write_wav(path("out/b.vocals.wav"), AudioBuffer(2, 499));  // of another length
  write_text(path("out/c.instrumental.wav"), "no audio");
  const Result result = separate(inputs, {"--format", "wav", "--skip-existing"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, path("out/b.vocals.wav") + "\n" + path("out/b.instrumental.wav") + "\n" +
                            path("out/c.vocals.wav") + "\n" + path("out/c.instrumental.wav") + "\n");
  EXPECT_NE(result.err.find("a.wav: skipped"), std::string::npos) << result.err;
  EXPECT_EQ(read(path("out/b.vocals.wav")).frames, 500);
  EXPECT_EQ(read(path("out/c.instrumental.wav")).frames, 500);
}

TEST_F(SeparateTest, FailingFileDoesNotStopTheOthers) {
  write_text(path("bad.wav"), "RIFF but no audio");
  write_wav(path("six.wav"), noise(6, 100, 10));
  write_wav(path("good.wav"), noise(2, 100, 10));
  const Result result = separate({path("bad.wav"), path("six.wav"), path("missing.wav"), path("good.wav")});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(files("out"), (std::vector<std::string>{"good.instrumental.flac", "good.vocals.flac"}));
  for (const char* part : {"bad.wav", "six.wav: has 6 channels", "missing.wav", "3 of 4 files failed"}) {
    EXPECT_NE(result.err.find(part), std::string::npos) << part << " in: " << result.err;
  }
}

TEST_F(SeparateTest, InputsThatWriteTheSameFileAreRefusedBeforeAnyWork) {
  write_wav(path("a/song.wav"), noise(2, 100, 11));
  write_wav(path("b/song.wav"), noise(2, 100, 12));
  const Result result = separate({path("a/song.wav"), path("b/song.wav")});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("would both write"), std::string::npos) << result.err;
  EXPECT_TRUE(files("out").empty());
}

TEST_F(SeparateTest, InputIsNeverOverwritten) {
  write_wav(path("out/song.wav"), noise(2, 100, 13));
  const AudioBuffer precious = noise(2, 100, 14);
  write_wav(path("out/song.vocals.wav"), precious);
  const Result result = separate({path("out/song.wav"), path("out/song.vocals.wav")}, {"--format", "wav"});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("would overwrite the input"), std::string::npos) << result.err;
  EXPECT_EQ(largest_difference(read(path("out/song.vocals.wav")), precious), 0);
}

TEST_F(SeparateTest, JsonProgressIsOneObjectPerLine) {
  write_wav(path("good.wav"), noise(2, 22050, 15));
  const Result result = separate({path("good.wav"), path("missing.wav")}, {"--progress", "json"});
  EXPECT_EQ(result.status, 1);
  std::istringstream lines(result.out);
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.front()["event"], "start");
  EXPECT_EQ(events.front()["seconds"], 0.5);
  const nlohmann::json& done = events[events.size() - 2];
  EXPECT_EQ(done["event"], "done");
  EXPECT_EQ(done["seconds"], 0.5);
  EXPECT_EQ(done["outputs"],
            (std::vector<std::string>{path("out/good.vocals.flac"), path("out/good.instrumental.flac")}));
  EXPECT_EQ(events.back()["event"], "failed");
  EXPECT_EQ(events.back()["file"], path("missing.wav"));
}

TEST_F(SeparateTest, InterruptRemovesUnfinishedFiles) {
  // A quarter of an hour of silence: far longer than it takes from the first file to the signal.
  AudioWriter writer(path("long.flac"), AudioFormat::kFlac24, 44100, 1);
  const std::vector<float> minute(60 * 44100, 0.0f);
  for (int i = 0; i < 15; ++i) writer.write(minute.data(), static_cast<int64_t>(minute.size()));
  writer.close();
  const int process = start_program({"separate", path("long.flac"), "-o", path("out"), "--model",
                                     tiny_model(), "--device", "cpu", "--progress", "none"});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (files("out").empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_FALSE(files("out").empty());
  kill(process, SIGINT);
  EXPECT_EQ(wait_for(process), 130);
  EXPECT_TRUE(files("out").empty());
}

}  // namespace
}  // namespace bsm::test
