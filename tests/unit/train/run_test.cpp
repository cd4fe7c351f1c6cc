// Whole trainings of a tiny network on synthetic folders.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "audio_files.h"
#include "core/error.h"
#include "eval/sdr.h"
#include "io/safetensors.h"
#include "nn/weights.h"
#include "train/config.h"
#include "train/device.h"
#include "train/progress.h"
#include "train/train.h"
#include "train/validation.h"

namespace bsm {
namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kTiny = (fs::path(BSM_CONFIG_DIR) / "tiny.json").string();

/// Voices above 2 kHz, bands below 500 Hz, one song to validate on.
struct Run : testing::Test {
  TemporaryFolder root;
  std::vector<std::string> lines;

  Run() {
    for (int i = 0; i < 3; ++i) {
      const std::string number = std::to_string(i);
      write_audio((root / ("data/vocals/v" + number + ".wav")).string(),
                  sine(2000 + 300 * i, 0.3, 30000 + 1000 * i));
      write_audio((root / ("data/instrumental/i" + number + ".wav")).string(),
                  sine(100 + 130 * i, 0.3, 40000));
    }
    write_audio((root / "data/valid/song/vocals.wav").string(), sine(2500, 0.2, 60000));
    write_audio((root / "data/valid/song/accompaniment.wav").string(), sine(180, 0.3, 60000));
  }

  TrainOptions options(const std::string& out) {
    TrainOptions o;
    o.data_dir = (root / "data").string();
    o.out_dir = (root / out).string();
    o.config_file = kTiny;
    o.device = "cpu";
    o.decode_threads = 2;
    o.report = [this](const std::string& line) { lines.push_back(line); };
    return o;
  }
};

std::vector<std::vector<std::string>> read_csv(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
  }
  return rows;
}

bool same_tensors(const std::string& a, const std::string& b) {
  const Checkpoint first = read_safetensors(a), second = read_safetensors(b);
  if (first.tensors().size() != second.tensors().size()) return false;
  for (const TensorEntry& entry : first.tensors()) {
    const TensorEntry* other = second.find(entry.name);
    if (!other || other->bytes != entry.bytes || std::memcmp(other->data, entry.data, entry.bytes) != 0)
      return false;
  }
  return true;
}

TEST_F(Run, LearnsToTellHighFromLow) {
  TrainOptions o = options("out");
  o.steps = 60;
  const TrainSummary summary = train(o);
  EXPECT_EQ(summary.step, 60);
  EXPECT_FALSE(summary.interrupted);
  const auto rows = read_csv(root / "out/log.csv");
  ASSERT_EQ(rows.size(), 7u);
  EXPECT_EQ(rows[0][1], "loss");
  EXPECT_LT(std::stod(rows.back()[1]), 0.6 * std::stod(rows[1][1]));
  EXPECT_GT(summary.best_usdr_db, 3);  // silence scores 0 dB, the mixture -6 dB
  EXPECT_FALSE(lines.empty());

  // The model files load as any other model and score what the summary says.
  SeparationNetwork network = load_network((root / "out/best.safetensors").string());
  EXPECT_EQ(network->config(), RunConfig::load(kTiny).model);
  const auto tracks =
      decode_tracks({{{(root / "data/valid/song/vocals.wav").string()}, StemRole::kVocals, 0},
                     {{(root / "data/valid/song/accompaniment.wav").string()}, StemRole::kInstrumental, 0}},
                    kRate_hz, 1);
  const Validator validator(make_validation_songs(tracks, kRate_hz, -6), 0.5, 2, torch::kCPU);
  WaveTransform transform(network->config().stft, torch::kCPU);
  EXPECT_NEAR(validator.score(network, transform).vocals_db, summary.best_usdr_db, 0.1);  // half precision
}

/// The configuration tiny.json with other values of "training".
std::string tiny_with(const TemporaryFolder& root, const nlohmann::json& training) {
  nlohmann::json config = nlohmann::json::parse(std::ifstream(kTiny));
  config["training"].update(training);
  const std::string path = (root / "changed.json").string();
  std::ofstream(path) << config;
  return path;
}

struct Resumed : Run, testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Training, Resumed,
                         testing::Values("{}", R"({"batch": 1, "accumulate": 3})",
                                         R"({"accumulate": 2, "recompute": true})"));

TEST_P(Resumed, EqualsNotStopping) {
  const std::string config = tiny_with(root, nlohmann::json::parse(GetParam()));
  TrainOptions o = options("whole");
  o.config_file = config;
  o.stop_after_steps = 6;
  train(o);
  o = options("parts");
  o.config_file = config;
  o.stop_after_steps = 3;
  const TrainSummary first = train(o);
  EXPECT_EQ(first.step, 3);
  o.stop_after_steps = 6;
  o.resume = true;
  const TrainSummary second = train(o);
  EXPECT_EQ(second.step, 6);
  EXPECT_GT(second.trained_s, first.trained_s);
  EXPECT_TRUE(
      same_tensors((root / "whole/state.safetensors").string(), (root / "parts/state.safetensors").string()));
  EXPECT_TRUE(
      same_tensors((root / "whole/last.safetensors").string(), (root / "parts/last.safetensors").string()));
  o.stop_after_steps = 7;
  train(o);
  EXPECT_FALSE(
      same_tensors((root / "whole/state.safetensors").string(), (root / "parts/state.safetensors").string()));
}

TEST_F(Run, RecomputingChangesNothing) {
  TrainOptions o = options("kept");
  o.stop_after_steps = 3;
  train(o);
  o.out_dir = (root / "again").string();
  o.recompute = true;
  train(o);
  EXPECT_TRUE(
      same_tensors((root / "kept/state.safetensors").string(), (root / "again/state.safetensors").string()));
}

TEST_F(Run, ModelsHoldTheMovingAverage) {
  TrainOptions o = options("out");
  o.stop_after_steps = 20;
  train(o);
  const Checkpoint state = read_safetensors((root / "out/state.safetensors").string());
  const auto norm_of = [&](const char* vector) {
    const TensorEntry* entry = state.find(vector);
    return torch::from_blob(const_cast<std::byte*>(entry->data), {entry->elements()}, torch::kFloat)
        .norm()
        .item<double>();
  };
  double squares = 0;
  SeparationNetwork network = load_network((root / "out/last.safetensors").string());
  for (const torch::Tensor& parameter : network->parameters())
    squares += parameter.square().sum().item<double>();
  EXPECT_NEAR(std::sqrt(squares) / norm_of("average"), 1, 1e-4);  // half precision
  EXPECT_GT(std::abs(std::sqrt(squares) / norm_of("weights") - 1), 1e-3);
}

TEST_F(Run, StopsOnASignalAndSaves) {
  TrainOptions o = options("out");
  o.report = [](const std::string& line) {
    if (line.starts_with("step 10/")) std::raise(SIGTERM);
  };
  const TrainSummary summary = train(o);
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.step, 11);
  EXPECT_TRUE(fs::exists(root / "out/state.safetensors"));
  EXPECT_TRUE(fs::exists(root / "out/last.safetensors"));
}

/// A clock that takes 10 ms from one look to the next.
std::function<double()> even_clock() {
  return [time = std::make_shared<double>(0)] { return *time += 0.01; };
}

TEST_F(Run, KeepsTheTimeLimit) {
  TrainOptions o = options("out");
  o.steps = 1000000;
  o.minutes = 3.0 / 60;
  o.clock = even_clock();
  const TrainSummary summary = train(o);
  EXPECT_TRUE(summary.interrupted);
  EXPECT_GT(summary.trained_s, 1.5);
  EXPECT_LE(summary.trained_s, 3);
  EXPECT_GT(std::stod(read_csv(root / "out/log.csv").back()[3]),
            0.99 * RunConfig::load(kTiny).training.learning_rate)
      << "a schedule over a million steps has hardly begun";
  EXPECT_TRUE(fs::exists(root / "out/state.safetensors"));
}

TEST_F(Run, LearningRateFollowsTheTimeLimit) {
  TrainOptions o = options("out");
  o.minutes = 3.0 / 60;
  o.clock = even_clock();
  const TrainSummary summary = train(o);
  EXPECT_FALSE(summary.interrupted) << "the schedule ends with the time";
  EXPECT_LE(summary.trained_s, 3);
  const auto rows = read_csv(root / "out/log.csv");
  const auto rate = [&](size_t row) { return std::stod(rows[row][3]); };
  const double peak = RunConfig::load(kTiny).training.learning_rate;
  ASSERT_GT(rows.size(), 3u);
  EXPECT_GT(rate(1), 0.7 * peak);
  for (size_t row = 2; row < rows.size(); ++row) EXPECT_LT(rate(row), rate(row - 1));
  EXPECT_LT(rate(rows.size() - 1), 0.05 * peak);
}

TEST_F(Run, TimedScheduleGoesOnInTheNextRun) {
  TrainOptions o = options("out");
  o.clock = even_clock();
  o.minutes = 2.5 / 60;
  o.schedule_minutes = 4.0 / 60;
  EXPECT_TRUE(train(o).interrupted);
  const double peak = RunConfig::load(kTiny).training.learning_rate;
  const auto rate = [&] { return std::stod(read_csv(root / "out/log.csv").back()[3]); };
  EXPECT_LT(rate(), 0.9 * peak);
  EXPECT_GT(rate(), 0.4 * peak);
  const double before = rate();
  o.resume = true;
  o.schedule_minutes = 5.0 / 60;
  EXPECT_TRUE(train(o).interrupted);
  EXPECT_LT(rate(), 0.9 * before);
  EXPECT_GT(rate(), 0.1 * before);
  o.schedule_minutes = 0;
  EXPECT_FALSE(train(o).interrupted);
  EXPECT_LT(rate(), 0.05 * peak);
}

TEST_F(Run, ResumingDropsLogRowsBeyondTheState) {
  TrainOptions o = options("out");
  o.stop_after_steps = 10;
  train(o);
  // As a run that was killed at step 20, after its last save at step 10.
  std::ofstream(root / "out/log.csv", std::ios::app) << "20,9,9,9,9,0,,,9\n3";
  o.resume = true;
  o.stop_after_steps = 20;
  train(o);
  const auto rows = read_csv(root / "out/log.csv");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1][0], "10");
  EXPECT_EQ(rows[2][0], "20");
  EXPECT_NE(rows[2][1], "9");
}

TEST_F(Run, NamesWeightsThatDoNotFit) {
  TrainOptions o = options("first");
  o.stop_after_steps = 1;
  train(o);
  std::ifstream file(kTiny);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  text.replace(text.find("\"mask_expand\": 2"), 16, "\"mask_expand\": 3");
  std::ofstream(root / "wider.json") << text;
  o = options("second");
  o.stop_after_steps = 1;
  o.config_file = (root / "wider.json").string();
  o.init_file = (root / "first/last.safetensors").string();
  lines.clear();
  train(o);
  const auto told = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find("not used") != std::string::npos;
  });
  ASSERT_NE(told, lines.end());
  EXPECT_NE(told->find("mask_estimators.0.to_freqs.0.0.0.weight"), std::string::npos) << *told;
  EXPECT_EQ(told->find("layers."), std::string::npos) << *told;
}

TEST_F(Run, StartsFromOtherWeights) {
  TrainOptions o = options("first");
  o.stop_after_steps = 3;
  train(o);
  o = options("second");
  o.stop_after_steps = 1;
  o.init_file = (root / "first/last.safetensors").string();
  train(o);
  const auto distance = [&](const char* a, const char* b) {
    const SeparationNetwork first = load_network((root / a).string()),
                            second = load_network((root / b).string());
    double sum = 0;
    for (const auto& item : first->named_parameters())
      sum += (item.value() - second->named_parameters()[item.key()]).norm().item<double>();
    return sum;
  };
  o = options("random");
  o.stop_after_steps = 1;
  train(o);
  EXPECT_LT(distance("first/last.safetensors", "second/last.safetensors"),
            0.7 * distance("first/last.safetensors", "random/last.safetensors"));
}

TEST_F(Run, SongFoldersTrainWithTheSameCommand) {
  fs::remove_all(root / "data");
  for (int i = 0; i < 2; ++i) {
    const std::string song = (root / "data/train").string() + "/Artist - Song " + std::to_string(i) + "/";
    write_audio(song + "vocals.wav", sine(2000 + 100 * i, 0.3, 30000));
    write_audio(song + "drums.wav", sine(60, 0.2, 30000));
    write_audio(song + "bass.wav", sine(120, 0.2, 30000));
    write_audio(song + "other.wav", sine(300, 0.2, 30000));
    write_audio(song + "mixture.wav", sine(5000, 0.9, 30000));
  }
  TrainOptions o = options("out");
  o.stop_after_steps = 2;
  const TrainSummary summary = train(o);
  EXPECT_EQ(summary.step, 2);
  EXPECT_TRUE(std::isnan(summary.best_usdr_db));
  EXPECT_TRUE(fs::exists(root / "out/last.safetensors"));
  EXPECT_FALSE(fs::exists(root / "out/best.safetensors"));
  EXPECT_NE(lines.at(0).find("2 songs with both"), std::string::npos) << lines.at(0);
}

TEST_F(Run, Musdb18TrainsByThePaperWithOneCommand) {
  fs::remove_all(root / "data");
  for (const char* name : {"train/A Classic Education - NightOwl", "train/Aimee Norwich - Child",
                           "train/Triviul - Angelsaint", "test/AM Contra - Heart Peripheral"}) {
    const std::string song = (root / "data").string() + "/" + name + "/";
    const double hz = 2000 + 10.0 * static_cast<double>(std::string(name).size());  // no two songs alike
    for (const char* stem : {"vocals", "drums", "bass", "other", "mixture"})
      write_audio(song + stem + ".wav", sine(stem[0] == 'v' ? hz : hz / (10 + stem[1] % 7), 0.3, 30000));
  }
  // The paper's training on a network of toy size.
  nlohmann::json training =
      nlohmann::json::parse(std::ifstream((fs::path(BSM_CONFIG_DIR) / "paper.json").string()))["training"];
  training.update({{"batch", 2}, {"accumulate", 2}, {"segment_s", 0.25}, {"validate_window_s", 0.5}});
  TrainOptions o = options("out");
  o.config_file = tiny_with(root, training);
  o.stop_after_steps = 2;
  const TrainSummary summary = train(o);
  EXPECT_EQ(summary.step, 2);
  EXPECT_NE(lines.at(0).find("2 songs with both; 1 validation songs"), std::string::npos) << lines.at(0);
  EXPECT_FALSE(std::isnan(summary.best_usdr_db));
  EXPECT_TRUE(fs::exists(root / "out/best.safetensors"));
}

TEST_F(Run, RefusesWhatCannotWork) {
  const auto code = [](const TrainOptions& o) {
    try {
      train(o);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kCancelled;  // no error
  };
  TrainOptions o = options("a");
  o.resume = true;
  EXPECT_EQ(code(o), ErrorCode::kNotFound);
  o = options("b");
  o.device = "tpu0";
  EXPECT_EQ(code(o), ErrorCode::kSettings);
  o = options("c");
  o.data_dir = (root / "nothing").string();
  EXPECT_EQ(code(o), ErrorCode::kNotFound);
  o = options("d");
  o.stop_after_steps = 1;
  EXPECT_EQ(code(o), ErrorCode::kCancelled);
  EXPECT_EQ(code(o), ErrorCode::kSettings) << "a training must not be overwritten";
  o.resume = true;
  std::ofstream(root / "seed2.json") << R"({"training": {"seed": 2}})";
  o.config_file = (root / "seed2.json").string();
  EXPECT_EQ(code(o), ErrorCode::kSettings) << "the state of another model must not be resumed";
  fs::copy_file(root / "data/valid/song/vocals.wav", root / "data/vocals/renamed.wav");
  EXPECT_EQ(code(options("e")), ErrorCode::kSettings) << "training on validation audio must be refused";
}

TEST(Device, SeveralProcessesNeedAGpuEach) {
  const auto code = [](const char* name, int rank, int count) {
    try {
      choose_device(name, rank, count);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kCancelled;  // no error
  };
  EXPECT_EQ(code("cpu", 1, 2), ErrorCode::kCancelled);
  EXPECT_EQ(code("cuda:0", 0, 2), ErrorCode::kSettings);
  EXPECT_EQ(code("cuda", 0, 1000), ErrorCode::kNotFound) << "the first process sees what the last would lack";
}

TEST(Validation, WindowsJoinWithoutSeams) {
  // Every mask made 0.5: a lost, doubled or shifted window would show.
  SeparationNetwork network(RunConfig::load(kTiny).model);
  network->eval();
  {
    const torch::NoGradGuard no_grad;
    for (auto& item : network->named_parameters()) {
      torch::Tensor values = item.value();
      if (item.key().find("mask_estimators") == std::string::npos) continue;
      if (item.key().ends_with(".0.2.weight")) values.zero_();
      if (item.key().ends_with(".0.2.bias")) {  // [value (re, im) ..., gate ...], sigmoid(0) = 0.5
        const int64_t half = values.size(0) / 2;
        values.copy_(torch::cat({torch::tensor({1.f, 0.f}).repeat({half / 2}), torch::zeros({half})}));
      }
    }
  }
  network->prepare_inference();
  WaveTransform transform(network->config().stft, torch::kCPU);
  torch::manual_seed(1);
  const torch::Tensor mixture = torch::randn({2, 50000}) * 0.1;
  const torch::Tensor parts = Validator({}, 0.5, 2, torch::kCPU).separate(network, transform, mixture);
  ASSERT_EQ(parts.sizes(), mixture.sizes());
  EXPECT_LT((parts - 0.5 * mixture).abs().max().item<double>(), 1e-5);
}

TEST(Progress, LineNamesWhatMatters) {
  ProgressRow row{.step = 1200,
                  .steps = 10000,
                  .loss = 0.0321,
                  .learning_rate = 9.8e-4,
                  .audio_s_per_s = 310,
                  .vocals_usdr_db = 4.214,
                  .left_s = 725};
  EXPECT_EQ(progress_line(row),
            "step 1200/10000  loss 0.0321  lr 9.80e-04  310 s/s  uSDR 4.21 dB  12 min left");
  row.vocals_usdr_db = std::nan("");
  row.skipped_steps = 3;
  row.left_s = 100;
  EXPECT_EQ(progress_line(row),
            "step 1200/10000  loss 0.0321  lr 9.80e-04  310 s/s  3 gradients not finite  100 s left");
}

}  // namespace
}  // namespace bsm
