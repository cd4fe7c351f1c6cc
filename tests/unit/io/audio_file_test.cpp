// Audio files: what is written comes back, sample for sample, and failures are sentences.
#include "io/audio_file.h"

#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <random>

#include "archives.h"
#include "core/error.h"

namespace bsm {
namespace {

using test::TemporaryFolder;

std::vector<float> noise(size_t count) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1.0f, 0.99f);
  std::vector<float> out(count);
  for (float& v : out) v = 0.7f * uniform(random);  // not on the grid of 24 bits
  return out;
}

std::vector<float> read_all(const std::string& path, int64_t block) {
  AudioReader reader(path);
  std::vector<float> out, part(static_cast<size_t>(block * reader.channels()));
  while (const int64_t got = reader.read(part.data(), block))
    out.insert(out.end(), part.begin(), part.begin() + got * reader.channels());
  return out;
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kFailed;
}

TEST(AudioFile, FloatWavIsExact) {
  const TemporaryFolder folder;
  std::vector<float> samples = noise(2 * 10'000);
  samples[0] = 3.5f;  // above full scale is legal
  samples[1] = -1e-30f;
  AudioWriter writer(folder / "a.wav", AudioFormat::kWavFloat32, 48000, 2);
  writer.write(samples.data(), 1);
  writer.write(samples.data() + 2, 9'999);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.wav"));
  writer.close();
  EXPECT_FALSE(std::filesystem::exists(folder / "a.wav.part"));
  EXPECT_EQ(writer.clipped_samples(), 0);

  const AudioReader reader(folder / "a.wav");
  EXPECT_EQ(reader.sample_rate_hz(), 48000);
  EXPECT_EQ(reader.channels(), 2);
  EXPECT_EQ(reader.frames(), 10'000);
  EXPECT_EQ(read_all(folder / "a.wav", 777), samples);
  // A plain WAV that every program reads, not RF64, whose header is for more than 4 GB.
  EXPECT_EQ(test::read_file(folder / "a.wav").substr(0, 4), "RIFF");
}

TEST(AudioFile, TheSameAudioMakesTheSameFile) {
  const TemporaryFolder folder;  // libsndfile's PEAK chunk would hold the time of day
  const std::vector<float> samples = noise(1000);
  const auto write = [&](AudioFormat format) {
    AudioWriter writer(folder / "x", format, 44100, 1);
    writer.write(samples.data(), 1000);
    writer.close();
    return test::read_file(folder / "x");
  };
  for (const auto format : {AudioFormat::kFlac24, AudioFormat::kWavFloat32}) {
    const std::string first = write(format);
    EXPECT_EQ(first.find("PEAK"), std::string::npos);
    EXPECT_TRUE(first == write(format));
  }
}

TEST(AudioFile, FlacKeeps24Bits) {
  const TemporaryFolder folder;
  const std::vector<float> samples = noise(2 * 100'000);
  AudioWriter writer(folder / "a.flac", AudioFormat::kFlac24, 44100, 2);
  writer.write(samples.data(), 100'000);
  writer.close();
  EXPECT_EQ(writer.clipped_samples(), 0);
  std::vector<float> read = read_all(folder / "a.flac", 4096);
  ASSERT_EQ(read.size(), samples.size());
  for (size_t i = 0; i < read.size(); ++i) ASSERT_LE(std::fabs(read[i] - samples[i]), 0.5f / 8388608) << i;
  // What has been rounded once stays as it is.
  AudioWriter again(folder / "b.flac", AudioFormat::kFlac24, 44100, 2);
  again.write(read.data(), 100'000);
  again.close();
  EXPECT_EQ(read_all(folder / "b.flac", 4096), read);
  SF_INFO info{};
  sf_close(sf_open((folder / "a.flac").c_str(), SFM_READ, &info));
  EXPECT_EQ(info.format, SF_FORMAT_FLAC | SF_FORMAT_PCM_24);
}

TEST(AudioFile, FlacClipsAndCounts) {
  const TemporaryFolder folder;
  constexpr float kStep = 1.0f / 8388608;
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> samples = {1.0f,          1.5f,      infinity,      -1.0f,
                                      -1.0f - kStep, -infinity, std::nanf(""), 1.0f - kStep};
  AudioWriter writer(folder / "a.flac", AudioFormat::kFlac24, 44100, 1);
  writer.write(samples.data(), 8);
  writer.close();
  EXPECT_EQ(writer.clipped_samples(), 6);  // all but -1 and the largest value
  EXPECT_EQ(read_all(folder / "a.flac", 100),
            (std::vector<float>{1 - kStep, 1 - kStep, 1 - kStep, -1, -1, -1, 0, 1 - kStep}));
}

TEST(AudioFile, AnyNumberOfFramesIsKept) {
  const TemporaryFolder folder;
  for (const auto format : {AudioFormat::kFlac24, AudioFormat::kWavFloat32})
    for (const int64_t frames : {0, 1, 2, 65535, 65536, 65537}) {
      const std::vector<float> samples(static_cast<size_t>(frames), 0.5f);
      AudioWriter writer(folder / "x", format, 44100, 1);
      writer.write(samples.data(), frames);
      writer.close();
      int rate_hz = 0;
      const AudioBuffer read = read_audio(folder / "x", &rate_hz);
      EXPECT_EQ(rate_hz, 44100);
      EXPECT_EQ(read.frames, frames);
      EXPECT_EQ(read.samples, samples);
    }
}

TEST(AudioFile, ReadAudioIsPlanar) {
  const TemporaryFolder folder;
  const std::vector<float> samples = {1, -1, 2, -2, 3, -3};
  AudioWriter writer(folder / "a.wav", AudioFormat::kWavFloat32, 22050, 2);
  writer.write(samples.data(), 3);
  writer.close();
  const AudioBuffer read = read_audio(folder / "a.wav", nullptr);
  EXPECT_EQ(read.channels, 2);
  EXPECT_EQ(read.samples, (std::vector<float>{1, 2, 3, -1, -2, -3}));
}

TEST(AudioFile, AWriterWithoutCloseLeavesNothing) {
  const TemporaryFolder folder;
  test::write_file(folder / "a.wav", "old");
  {
    AudioWriter writer(folder / "a.wav", AudioFormat::kWavFloat32, 44100, 1);
    writer.write(noise(100).data(), 100);
    EXPECT_TRUE(std::filesystem::exists(folder / "a.wav.part"));
    const AudioWriter moved = std::move(writer);
    EXPECT_TRUE(std::filesystem::exists(folder / "a.wav.part"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.wav.part"));
  EXPECT_EQ(test::read_file(folder / "a.wav"), "old");
}

TEST(AudioFile, FailuresHaveTheirCodes) {
  const TemporaryFolder folder;
  test::write_file(folder / "text.wav", "this is no audio");
  test::write_file(folder / "empty.wav", "");
  EXPECT_EQ(code_of([&] { AudioReader(folder / "absent.wav"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { AudioReader(folder / ""); }), ErrorCode::kOpenRead);
  EXPECT_EQ(code_of([&] { AudioReader(folder / "text.wav"); }), ErrorCode::kWrongType);
  EXPECT_EQ(code_of([&] { AudioReader(folder / "empty.wav"); }), ErrorCode::kWrongType);
  EXPECT_EQ(code_of([&] { AudioWriter(folder / "no/a.wav", AudioFormat::kWavFloat32, 44100, 2); }),
            ErrorCode::kOpenWrite);
  EXPECT_EQ(code_of([&] { AudioWriter(folder / "a.flac", AudioFormat::kFlac24, 44100, 9); }),
            ErrorCode::kOpenWrite);
}

TEST(AudioFile, ADamagedFlacIsAnErrorNotAShortFile) {
  const TemporaryFolder folder;
  const std::vector<float> samples = noise(200'000);
  AudioWriter writer(folder / "a.flac", AudioFormat::kFlac24, 44100, 1);
  writer.write(samples.data(), 200'000);
  writer.close();
  const std::string whole = test::read_file(folder / "a.flac");
  test::write_file(folder / "cut.flac", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(code_of([&] { read_all(folder / "cut.flac", 4096); }), ErrorCode::kWrongType);
}

TEST(AudioFile, AFullDiskIsAnError) {
  const TemporaryFolder folder;
  const std::vector<float> samples = noise(1'000'000);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);  // writing past the limit then fails with EFBIG
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{200'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  for (const auto format : {AudioFormat::kFlac24, AudioFormat::kWavFloat32})
    EXPECT_EQ(code_of([&] {
                AudioWriter writer(folder / "a", format, 44100, 1);
                writer.write(samples.data(), 1'000'000);
                writer.close();
              }),
              ErrorCode::kOpenWrite);
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

}  // namespace
}  // namespace bsm
