// `bsmamba2 bench`: every mode with a tiny model, the layout of its JSON, and its errors. No times are
// judged.
#include <set>

#include "cli_fixture.h"

namespace bsm::test {
namespace {

class BenchTest : public ProgramTest {
 protected:
  static nlohmann::json bench(std::vector<std::string> options) {
    options.insert(options.begin(), {"bench", "--model", tiny_model(), "--device", "cpu", "--threads", "1",
                                     "--window", "0.25", "--repeats", "2", "--json", "-"});
    const Result result = run_program(options);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.status == 0 ? result.json() : nlohmann::json();
  }

  static std::set<std::string> stages(const nlohmann::json& result) {
    std::set<std::string> names;
    double share = 0;
    for (const auto& stage : result["stages"]) {
      names.insert(stage["name"].get<std::string>());
      share += stage["share"].get<double>();
    }
    EXPECT_NEAR(share, 1, 1e-9);
    return names;
  }

  static bool contains(const std::set<std::string>& all, const std::set<std::string>& part) {
    return std::includes(all.begin(), all.end(), part.begin(), part.end());
  }
};

const std::set<std::string> kNetworkStages = {"band split", "projections", "mixer core", "merge", "masks"};

TEST_F(BenchTest, NetworkReportsCeilingsTimesMemoryBoundAndStages) {
  const auto report = bench({"--batch", "2"});
  EXPECT_EQ(report["mode"], "network");
  EXPECT_EQ(report["device"], "cpu");
  EXPECT_EQ(report["precision"], "fp32");
  EXPECT_EQ(report["threads"], 1);
  EXPECT_EQ(report["batch"], 2);
  EXPECT_FALSE(report["device_name"].get<std::string>().empty());
  EXPECT_EQ(report["program"]["name"], "bsmamba2");
  const double product = report["ceilings"]["product_flop_per_s"],
               copy = report["ceilings"]["copy_bytes_per_s"];
  EXPECT_GT(product, 0);
  EXPECT_GT(copy, 0);
  ASSERT_EQ(report["results"].size(), 1u);
  const auto& result = report["results"][0];
  EXPECT_EQ(result["name"], "BSMamba2");
  const auto& time = result["time_ms"];
  EXPECT_EQ(time["repeats"], 2);
  EXPECT_GT(time["min"], 0);
  EXPECT_LE(time["min"], time["median"]);
  EXPECT_LE(time["median"], time["p95"]);
  EXPECT_LE(time["p95"], time["p99"]);
  const double audio_s = 2 * 86 * 128 / 44100.0;  // whole frames
  EXPECT_NEAR(result["audio_s"], audio_s, 1e-9);
  EXPECT_NEAR(result["real_time_factor"], time["median"].get<double>() / 1000 / audio_s, 1e-9);
  EXPECT_GT(result["peak_bytes"]["resident"], 1 << 20);
  EXPECT_TRUE(result["peak_bytes"]["reserved"].is_null());
  const auto& least = result["least"];
  const double bound_ms =
      1000 * std::max(least["flop"].get<double>() / product, least["bytes"].get<double>() / copy);
  EXPECT_NEAR(least["time_ms"].get<double>() / bound_ms, 1, 1e-9);
  EXPECT_NEAR(result["ratio_to_least"].get<double>() * bound_ms / time["median"].get<double>(), 1, 1e-9);
  EXPECT_EQ(stages(result), kNetworkStages);
}

TEST_F(BenchTest, OfflineAddsSignal) {
  const auto report = bench({"--mode", "offline"});
  EXPECT_EQ(report["mode"], "offline");
  EXPECT_NEAR(report["results"][0]["audio_s"], (86 * 128 - 1) / 44100.0, 1e-9);
  std::set<std::string> expected = kNetworkStages;
  expected.insert({"STFT", "iSTFT"});  // transfers: on a GPU only
  EXPECT_EQ(stages(report["results"][0]), expected);
}

TEST_F(BenchTest, StreamMeasuresOneHop) {
  for (const char* mode : {"carry", "rolling"}) {
    const auto report = bench({"--mode", "stream", "--hop-ms", "50", "--lookahead-ms", "20", "--context-ms",
                               "100", "--streaming-mode", mode});
    EXPECT_EQ(report["streaming"]["mode"], mode);
    EXPECT_FALSE(report.contains("batch"));
    EXPECT_NEAR(report["results"][0]["audio_s"], 18 * 128 / 44100.0, 1e-9);  // rounded up to whole frames
    EXPECT_TRUE(contains(stages(report["results"][0]), {"STFT", "projections", "iSTFT"}));
  }
}

TEST_F(BenchTest, TrainMeasuresAStep) {
  const auto report = bench({"--mode", "train", "--batch", "2"});
  EXPECT_TRUE(contains(stages(report["results"][0]), {"projections", "loss", "backward", "optimizer"}));
  const auto network = bench({"--batch", "2"});
  const double ratio = report["results"][0]["least"]["flop"].get<double>() /
                       network["results"][0]["least"]["flop"].get<double>();
  EXPECT_NEAR(ratio, 3 * 87.0 / 86.0, 1e-9);  // a whole signal has one frame more than hops
}

TEST_F(BenchTest, CompareRunsPlainOperatorsAndTheBaselineBesides) {
  for (const char* mode : {"network", "stream"}) {
    const auto report = bench({"--mode", mode, "--compare", "--hop-ms", "50", "--lookahead-ms", "20"});
    const auto& results = report["results"];
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0]["name"], "BSMamba2");
    EXPECT_EQ(results[1]["name"], "plain operators");
    EXPECT_EQ(results[2]["name"], "BS-RoFormer");
    EXPECT_EQ(results[0]["parameters"], results[1]["parameters"]);
    EXPECT_EQ(results[0]["least"], results[1]["least"]);
    EXPECT_TRUE(contains(stages(results[1]), {"convolution + scan", "gate + norm"})) << mode;
    EXPECT_FALSE(stages(results[1]).count("mixer core"));
    EXPECT_TRUE(contains(stages(results[2]), {"attention", "feed-forward"})) << mode;
    EXPECT_EQ(results[2]["note"], std::string(mode) == "stream" ? "rolling" : "");
  }
}

TEST_F(BenchTest, TablesNameWhatTheJsonHolds) {
  write_text(path("config.json"), R"({"model": )" + tiny_config() + "}");
  const Result result = run_program({"bench", "--config", path("config.json"), "--device", "cpu", "--threads",
                                     "1", "--window", "0.1", "--repeats", "1", "--json", path("bench.json")});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(exists("bench.json"));
  for (const char* word : {"ceilings", "GFLOP/s", "GB/s", "median", "p99", "peak MiB", "least ms", "BSMamba2",
                           "band split", "all stages"})
    EXPECT_NE(result.out.find(word), std::string::npos) << word << "\n" << result.out;
}

TEST_F(BenchTest, MistakesAreNamed) {
  const auto expect_error = [](std::vector<std::string> options, int status, const std::string& text) {
    options.insert(options.begin(), "bench");
    const Result result = run_program(options);
    EXPECT_EQ(result.status, status) << text;
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err;
    EXPECT_TRUE(result.out.empty());
  };
  expect_error({"--mode", "fast"}, 2, "fast");
  expect_error({"--batch", "0"}, 2, "--batch");
  expect_error({"--window", "0"}, 2, "--window");
  expect_error({"--hop-ms", "0"}, 2, "--hop-ms");
  expect_error({"--repeats", "-1"}, 2, "--repeats");
  expect_error({"--paper", "--model", tiny_model()}, 2, "--paper");
  expect_error({"--paper", "--config", "c.json"}, 2, "--paper");
  expect_error({"--config", path("none.json")}, 1, "none.json");
  expect_error({"--model", path("none.safetensors")}, 1, "none.safetensors");
  expect_error({"--model", tiny_model(), "--precision", "bf16", "--device", "cpu"}, 1, "precision");
  expect_error({"--model", tiny_model(), "--mode", "train", "--window", "0.01", "--device", "cpu"}, 1,
               "too short for the loss");
}

}  // namespace
}  // namespace bsm::test
