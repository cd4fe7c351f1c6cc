// One set of weights for all who want the same file, device and precision; turns on a device in the order of
// asking.
#include "separate/shared_model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "core/error.h"
#include "separate/device_turn.h"
#include "separate_test_util.h"

namespace bsm::test {
namespace {

class SharedModel : public testing::Test {
 protected:
  SharedModel() : path_(write_model_file(small_config(), "bsm-shared-model.safetensors")) {
    options_.model_file = path_;
    options_.device = "cpu";
  }
  ~SharedModel() override { std::remove(path_.c_str()); }

  std::string path_;
  ModelOptions options_;
};

TEST_F(SharedModel, IsLoadedOnceWhileItIsUsed) {
  const auto first = load_shared_model(options_);
  ModelOptions other = options_;
  other.precision = Precision::kFp32;  // what auto is on a CPU
  other.threads = 7;
  EXPECT_EQ(load_shared_model(other), first);
  EXPECT_NE(Model::load(options_), first);
}

TEST_F(SharedModel, GoesWithItsLastUser) {
  std::weak_ptr<const Model> seen = load_shared_model(options_);
  EXPECT_TRUE(seen.expired());
  EXPECT_TRUE(load_shared_model(options_));
}

TEST_F(SharedModel, ReplacedFileIsAnotherModel) {
  const auto before = load_shared_model(options_);
  std::remove(path_.c_str());
  ModelConfig config = small_config();
  config.stems = {"vocals", "drums"};
  write_model_file(config, "bsm-shared-model.safetensors");
  const auto after = load_shared_model(options_);
  EXPECT_NE(after, before);
  EXPECT_EQ(after->config().stems.size(), 2u);
  EXPECT_EQ(before->config().stems.size(), 1u) << "who has the old one keeps it";
}

// As copying tools do that restore times: the same inode, size and time of the contents.
TEST_F(SharedModel, FileOverwrittenUnderItsOldTimeIsAnotherModel) {
  const auto time = std::filesystem::last_write_time(path_);
  const auto size = std::filesystem::file_size(path_);
  const auto before = load_shared_model(options_);
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    const float weight = 0.5F;
    file.write(reinterpret_cast<const char*>(&weight), sizeof weight);
  }
  std::filesystem::last_write_time(path_, time);
  ASSERT_EQ(std::filesystem::file_size(path_), size);
  ASSERT_EQ(std::filesystem::last_write_time(path_), time);
  EXPECT_NE(load_shared_model(options_), before);
}

TEST_F(SharedModel, ConcurrentLoadsAreOne) {
  std::vector<std::shared_ptr<const Model>> models(4);
  std::vector<std::thread> threads;
  for (auto& model : models) threads.emplace_back([&] { model = load_shared_model(options_); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& model : models) EXPECT_EQ(model, models.front());
}

TEST_F(SharedModel, WaitingForAnotherLoadCanBeCancelled) {
  std::atomic<bool> loading = false, release = false;
  std::thread slow([&] {
    load_shared_model(options_, [&](const char*, double) {
      loading = true;
      while (!release) std::this_thread::yield();
      return true;
    });
  });
  while (!loading) std::this_thread::yield();
  try {
    load_shared_model(options_, [](const char*, double) { return false; });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  release = true;
  slow.join();
}

TEST_F(SharedModel, FailedLoadLeavesNothingBehind) {
  EXPECT_THROW(load_shared_model(options_, [](const char*, double) { return false; }), Error);
  EXPECT_TRUE(load_shared_model(options_));
  options_.model_file = "/no/such/model";
  EXPECT_THROW(load_shared_model(options_), Error);
}

TEST(DeviceTurn, IsTakenInTheOrderOfAsking) {
  FairMutex turn;
  turn.lock();
  std::vector<int> order;
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      const std::lock_guard<FairMutex> lock(turn);
      order.push_back(i);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until it has asked
  }
  turn.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(DeviceTurn, IsOnePerDevice) {
  EXPECT_EQ(&device_turn("cpu"), &device_turn("cpu"));
  EXPECT_NE(&device_turn("cpu"), &device_turn("cuda:0"));
}

}  // namespace
}  // namespace bsm::test
