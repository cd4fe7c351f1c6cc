// A process ends in the middle of what the worker does: it ends well, and soon. The worker must have ended
// before the destructors of libraries run: those of LibTorch took away the operators under a model that was
// being loaded.
#include <gst/gst.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <tuple>

namespace bsm::test {
namespace {

/// Where the worker is; whether the pipeline was stopped before, and who exits.
class ExitDuring : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(ExitDuring, EndsWell) {
  const auto [moment, stop] = GetParam();
  for (const int delay_us : {0, 3000, 30000}) {
    const std::string delay = std::to_string(delay_us);
    const char* argv[] = {BSM_EXIT_AT, moment, stop, delay.c_str(), nullptr};
    gchar* errors = nullptr;
    gint status = -1;
    GError* error = nullptr;
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(g_spawn_sync(nullptr, const_cast<gchar**>(argv), nullptr, G_SPAWN_DEFAULT, nullptr, nullptr,
                             nullptr, &errors, &status, &error))
        << error->message;
    EXPECT_TRUE(g_spawn_check_wait_status(status, &error))
        << "after " << delay_us << " us: " << error->message << "\n"
        << errors;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
    g_clear_error(&error);
    g_free(errors);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExitDuring,
                         testing::Combine(testing::Values("loading", "warm-up", "inference"),
                                          testing::Values("run", "stop", "thread")),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param);
                           std::erase(name, '-');
                           return name + "_" + std::get<1>(info.param);
                         });

}  // namespace
}  // namespace bsm::test
