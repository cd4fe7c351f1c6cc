// `bsmamba2 train --gpus 2 --device cpu`: two processes that average their gradients through gloo.
#include <glib.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "cli_fixture.h"
#include "io/safetensors.h"

namespace bsm::test {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> weights(const std::string& state_file) {
  const Checkpoint state = read_safetensors(state_file);
  const TensorEntry* entry = state.find("weights");
  std::vector<float> values(entry->bytes / sizeof(float));
  std::memcpy(values.data(), entry->data, entry->bytes);
  return values;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum);
}

class TrainRanksTest : public ProgramTest {
 protected:
  TrainRanksTest() {
    write_wav(path("data/train/vocals/a.wav"), noise(1, 44100, 1));
    write_wav(path("data/train/instrumental/b.wav"), noise(2, 44100, 2));
    write_wav(path("data/valid/song/vocals.wav"), noise(2, 22050, 3));
    write_wav(path("data/valid/song/accompaniment.wav"), noise(2, 22050, 4));
  }
  /// The learning rate is the same throughout, so that runs of different length share their beginning.
  std::vector<std::string> command(const std::string& out, int processes, int batch, int steps,
                                   int accumulate = 1) {
    write_text(path("config.json"), "{\"model\": " + tiny_config() +
                                        R"(, "training": {"segment_s": 0.2, "learning_rate": 1e-3,
                         "final_learning_rate": 1e-3, "warmup_steps": 0, "report_every_steps": 1,
                         "validate_every_steps": 3, "validate_window_s": 0.5}})");
    return {"train",
            "--data",
            path("data"),
            "--config",
            path("config.json"),
            "--out",
            path(out),
            "--device",
            "cpu",
            "--gpus",
            std::to_string(processes),
            "--steps",
            std::to_string(steps),
            "--batch",
            std::to_string(batch),
            "--accumulate",
            std::to_string(accumulate)};
  }
  std::vector<float> trained(const std::string& out, int processes, int batch, int steps, int accumulate = 1,
                             bool resume = false) {
    std::vector<std::string> arguments = command(out, processes, batch, steps, accumulate);
    if (resume) arguments.push_back("--resume");
    last = run_process(arguments);
    EXPECT_EQ(last.status, 0) << last.err;
    return weights(path(out + "/state.safetensors"));
  }
  /// Starts an endless run of two processes; its messages go to the file `messages`. Returns once it has made
  /// steps.
  int start(const std::string& out) {
    std::vector<std::string> arguments = command(out, 2, 1, 1000000);
    const int process = start_program(arguments, path("messages"));
    for (int i = 0; i < 600 && read_text(path(out + "/log.csv")).find("\n2,") == std::string::npos; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return process;
  }
  Result last;
};

TEST_F(TrainRanksTest, TwoProcessesEqualOneWithBothBatches) {
  const std::vector<float> start = trained("start", 1, 2, 1), one = trained("one", 1, 2, 5);
  const std::vector<float> two = trained("two", 2, 1, 5);
  const double way = distance(one, start);
  EXPECT_GT(way, 0.01);
  EXPECT_LT(distance(two, one), 1e-3 * way);
  EXPECT_GT(distance(trained("half", 1, 1, 5), one), 0.1 * way)
      << "half the batch would do, so this test shows nothing";
  EXPECT_NE(last.out.find("Finished after step 5"), std::string::npos) << last.out;
}

TEST_F(TrainRanksTest, AccumulatingEqualsALargerBatch) {
  const std::vector<float> start = trained("start", 1, 2, 1), whole = trained("whole", 1, 4, 4);
  const double way = distance(whole, start);
  EXPECT_LT(distance(trained("alone", 1, 1, 4, 4), whole), 1e-3 * way);
  EXPECT_LT(distance(trained("together", 2, 1, 4, 2), whole), 1e-3 * way);
}

TEST_F(TrainRanksTest, TheFirstAloneWritesAndTells) {
  trained("run", 2, 1, 4);
  const std::string log = read_text(path("run/log.csv"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 5) << log;
  EXPECT_EQ(last.out.find("data:"), last.out.rfind("data:")) << last.out;
  EXPECT_EQ(last.err, "");
  EXPECT_EQ(files("run"), (std::vector<std::string>{"best.safetensors", "last.safetensors", "log.csv",
                                                    "state.safetensors"}));
}

TEST_F(TrainRanksTest, ResumingEqualsNotStopping) {
  const std::vector<float> whole = trained("whole", 2, 1, 5, 2);
  const std::vector<float> part = trained("parts", 2, 1, 2, 2);
  EXPECT_NE(part, whole);
  EXPECT_EQ(trained("parts", 2, 1, 5, 2, /*resume=*/true), whole);
}

TEST_F(TrainRanksTest, AnotherNumberOfProcessesGoesOnWithTheSameMixtures) {
  const std::vector<float> start = trained("start", 1, 2, 1), whole = trained("whole", 1, 2, 4);
  trained("parts", 2, 1, 2);
  EXPECT_LT(distance(trained("parts", 1, 2, 4, 1, /*resume=*/true), whole), 1e-3 * distance(whole, start));
}

TEST_F(TrainRanksTest, InterruptSavesOnceAndStopsAll) {
  const int process = start("run");
  kill(process, SIGINT);
  EXPECT_EQ(wait_for(process), 0) << read_text(path("messages"));
  EXPECT_NE(read_text(path("messages")).find("Stopped after step"), std::string::npos)
      << read_text(path("messages"));
  EXPECT_TRUE(exists("run/state.safetensors"));
}

TEST_F(TrainRanksTest, KilledProcessEndsTheOthers) {
  const int process = start("run");
  const std::string id = std::to_string(process);
  std::istringstream children(read_text("/proc/" + id + "/task/" + id + "/children"));
  int first = 0, second = 0;
  ASSERT_TRUE(children >> first >> second);
  kill(second, SIGKILL);
  EXPECT_EQ(wait_for(process), 1);
  EXPECT_NE(read_text(path("messages")).find("process 2 of 2 was ended by signal 9"), std::string::npos)
      << read_text(path("messages"));
  EXPECT_EQ(kill(first, 0), -1) << "process 1 still runs";
}

TEST_F(TrainRanksTest, MistakesAreToldOnce) {
  std::vector<std::string> arguments = command("run", 2, 1, 5);
  arguments[2] = path("nothing-here");
  const Result result = run_process(arguments);
  EXPECT_EQ(result.status, 1);
  const size_t told = result.err.find("nothing-here");
  EXPECT_NE(told, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
}

}  // namespace
}  // namespace bsm::test
