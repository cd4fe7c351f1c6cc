// `bsmamba2 separate` when the disk is full and when it is killed: no half file under a final name.
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "cli_fixture.h"
#include "io/audio_file.h"

namespace bsm::test {
namespace {

class SeparateFaults : public ProgramTest {};

TEST_F(SeparateFaults, FullDiskLeavesNothingBehind) {
  write_wav(path("song.wav"), AudioBuffer(2, 200'000));
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);  // writing past the limit then fails, as on a full disk
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{100'000, limit.rlim_max};
  const std::string model = tiny_model();
  setrlimit(RLIMIT_FSIZE, &small);
  const Result result = run_program({"separate", "-o", path("out"), "--model", model, "--device", "cpu",
                                     "--threads", "1", "--format", "wav", path("song.wav")});
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("song"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("space"), std::string::npos) << result.err;
  EXPECT_TRUE(files("out").empty());
}

TEST_F(SeparateFaults, KilledLeavesOnlyPartFiles) {
  AudioWriter writer(path("long.flac"), AudioFormat::kFlac24, 44100, 1);
  const std::vector<float> minute(60 * 44100, 0.0f);
  for (int i = 0; i < 15; ++i) writer.write(minute.data(), static_cast<int64_t>(minute.size()));
  writer.close();
  const int process = start_program({"separate", path("long.flac"), "-o", path("out"), "--model",
                                     tiny_model(), "--device", "cpu", "--progress", "none"});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (files("out").empty() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_FALSE(files("out").empty());
  kill(process, SIGKILL);
  EXPECT_EQ(wait_for(process), -SIGKILL);
  for (const std::string& file : files("out")) EXPECT_TRUE(file.ends_with(".part")) << file;
}

}  // namespace
}  // namespace bsm::test
