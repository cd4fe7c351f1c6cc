// Loading a model: devices, precisions, errors; and what a run of the network does to the thread it runs in.
#include "separate/model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "separate/cpu_threads.h"
#include "separate/libtorch_info.h"
#include "separate/offline.h"
#include "separate_test_util.h"

namespace bsm::test {
namespace {

class ModelFile : public testing::Test {
 protected:
  ModelFile() : path_(write_model_file(small_config(), unique_name())) { options_.model_file = path_; }
  ~ModelFile() override { std::remove(path_.c_str()); }

  static std::string unique_name() {
    return std::string("bsm-") + testing::UnitTest::GetInstance()->current_test_info()->name() + "-" +
           std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())) + ".safetensors";
  }

  void expect_error(ErrorCode code, const std::string& part, const LoadProgress& progress = {}) {
    try {
      Model::load(options_, progress);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  std::string path_;
  ModelOptions options_;
};

TEST_F(ModelFile, LoadsOnTheCpuAndReportsSteps) {
  options_.device = "cpu";
  std::vector<double> fractions;
  const auto model = Model::load(options_, [&](const char* step, double fraction) {
    EXPECT_FALSE(std::string(step).empty());
    fractions.push_back(fraction);
    return true;
  });
  EXPECT_EQ(model->config(), small_config());
  EXPECT_EQ(model->device_name(), "cpu");
  EXPECT_FALSE(model->on_gpu());
  EXPECT_EQ(model->precision(), Precision::kFp32);
  EXPECT_GT(model->parameters(), 1000);
  ASSERT_GE(fractions.size(), 3u);
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.front(), 0.0);
  EXPECT_EQ(fractions.back(), 1.0);
}

TEST_F(ModelFile, EveryStepCanBeCancelled) {
  options_.device = "cpu";
  int steps = 0;
  Model::load(options_, [&](const char*, double) { return ++steps > 0; });
  ASSERT_GE(steps, 4);
  for (int step = 0; step < steps; ++step) {
    int calls = 0;
    expect_error(ErrorCode::kCancelled, "cancelled", [&](const char*, double) { return calls++ < step; });
  }
}

TEST_F(ModelFile, DevicesThatAreNotThere) {
  options_.device = "tpu";
  expect_error(ErrorCode::kSettings, "\"tpu\"");
  options_.device = "cuda:";
  expect_error(ErrorCode::kSettings, "cuda:N");
  options_.device = "cuda:1x";
  expect_error(ErrorCode::kSettings, "cuda:N");
  options_.device = "cuda:99";
  expect_error(ErrorCode::kNotFound, "found: cpu");
}

TEST_F(ModelFile, HalfPrecisionOnACpuIsRefused) {
  options_.device = "cpu";
  options_.precision = Precision::kBf16;
  expect_error(ErrorCode::kSettings, "bf16 needs a GPU");
  options_.precision = Precision::kFp16;
  expect_error(ErrorCode::kSettings, "fp16 needs a GPU");
}

TEST_F(ModelFile, BadFilesAndSettings) {
  options_.threads = -1;
  expect_error(ErrorCode::kSettings, "threads");
  options_.threads = 0;
  options_.device = "cpu";
  options_.model_file = path_ + ".missing";
  expect_error(ErrorCode::kNotFound, path_ + ".missing");
  options_.model_file = write_model_file(small_config(), unique_name() + ".nan", true);
  expect_error(ErrorCode::kWrongType, "final_norm.gamma");
  std::remove(options_.model_file.c_str());
}

// volatile: the compiler must not do the arithmetic itself.
bool flushes_denormals() {
  volatile float smallest_normal = 1.17549435e-38f;
  volatile float result = smallest_normal * 0.5f;
  return result == 0.0f;
}

TEST(ModelRun, DenormalsAreFlushedInsideOnly) {
  const auto model = random_model(small_config());
  bool inside = false;
  set_run_hook(*model, [&](int64_t) { inside = flushes_denormals(); });
  ASSERT_FALSE(flushes_denormals());
  separate_offline(model, random_mixture(2, 500));
  EXPECT_TRUE(inside);
  EXPECT_FALSE(flushes_denormals());
}

TEST(ModelRun, StreamsTakeTurns) {
  const auto model = random_model(small_config());
  const AudioBuffer mixture = random_mixture(2, 3000);
  const auto expected = separate_offline(model, mixture);
  std::vector<double> distances(4, 1.0);
  std::vector<std::thread> threads;
  for (double& result : distances)
    threads.emplace_back([&] { result = distance(separate_offline(model, mixture), expected); });
  for (std::thread& thread : threads) thread.join();
  for (const double result : distances) EXPECT_EQ(result, 0.0);
}

TEST(Machine, PhysicalCoresAreAtMostHardwareThreads) {
  EXPECT_GE(physical_cores(), 1);
  EXPECT_LE(physical_cores(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

TEST(Machine, LibrariesAreNamed) {
  const BlasLibrary& blas = blas_library();
  EXPECT_EQ(describe_libtorch().rfind("LibTorch ", 0), 0u) << describe_libtorch();
  EXPECT_NE(describe_libtorch().find(", " + blas.name), std::string::npos) << describe_libtorch();
  EXPECT_EQ(blas_is_generic(), blas.name == "reference BLAS");
  if (!blas.path.empty()) {  // the library found is one that is loaded
    std::stringstream maps;
    maps << std::ifstream("/proc/self/maps").rdbuf();
    EXPECT_NE(maps.str().find(blas.path), std::string::npos) << blas.path;
  }
}

}  // namespace
}  // namespace bsm::test
