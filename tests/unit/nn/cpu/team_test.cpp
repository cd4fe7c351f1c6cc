#include "nn/cpu/team.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace bsm {
namespace {

class Team : public ::testing::Test {
 protected:
  void SetUp() override { threads_before_ = at::get_num_threads(); }
  void TearDown() override { at::set_num_threads(threads_before_); }

 private:
  int threads_before_ = 1;
};

TEST_F(Team, CallsEachOnceWhateverTheThreads) {
  for (int threads : {1, 2, 5, 3}) {
    at::set_num_threads(threads);
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(count));
      for_each_on_team(count, [&](int64_t i) { ++calls[static_cast<size_t>(i)]; });
      for (const auto& each : calls) EXPECT_EQ(each, 1);
    }
  }
}

TEST_F(Team, NeverTakesMoreThreadsThanAreSet) {
  at::set_num_threads(4);
  for_each_on_team(100, [](int64_t) {});  // a larger team than the next call may use
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  for_each_on_team(200, [&](int64_t) {
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  EXPECT_LE(seen.size(), 2u);
}

TEST_F(Team, HandsOnWhatABodyThrowsWhenAllHaveEnded) {
  at::set_num_threads(3);
  std::atomic<int> calls = 0;
  EXPECT_THROW(for_each_on_team(50,
                                [&](int64_t i) {
                                  ++calls;
                                  if (i == 7) throw std::runtime_error("seven");
                                }),
               std::runtime_error);
  EXPECT_EQ(calls, 50);
}

TEST_F(Team, ServesSeveralCallersAtATime) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum = 0;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      at::set_num_threads(3);
      for (int round = 0; round < 50; ++round) for_each_on_team(20, [&](int64_t i) { sum += i; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 50 * 190);
}

}  // namespace
}  // namespace bsm
