// The engine as the plugin sees it: opened with dlopen(), used through the C table alone.
#include "engine/engine.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "../separate/separate_test_util.h"
#include "separate/streaming.h"

namespace bsm::test {
namespace {

const BsmEngineApi* load_engine(uint32_t version) {
  static void* library = dlopen(BSM_ENGINE_PATH, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    ADD_FAILURE() << dlerror();
    return nullptr;
  }
  const auto entry = reinterpret_cast<BsmEngineApiFunc>(dlsym(library, BSM_ENGINE_SYMBOL));
  return entry != nullptr ? entry(version) : nullptr;
}

class Engine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelConfig config = small_config();
    config.stems = {"vocals", "drums"};
    file() = write_model_file(config, "bsm-engine-test.safetensors");
  }
  static void TearDownTestSuite() { std::remove(file().c_str()); }
  static std::string& file() {
    static std::string path;
    return path;
  }

  Engine() : api_(load_engine(BSM_ENGINE_ABI_VERSION)) {}
  ~Engine() override {
    if (api_ == nullptr) return;
    api_->stream_close(stream_);
    api_->model_close(model_);
  }
  void SetUp() override { ASSERT_NE(api_, nullptr); }

  void open_model() {
    const BsmModelOptions options = {file().c_str(), "/no/such/gpu/model", "cpu", BSM_PRECISION_AUTO, 1, 0};
    ASSERT_EQ(api_->model_open(&options, nullptr, nullptr, &model_, &error_), BSM_OK) << error_.message;
  }
  void open_stream(const BsmStreamOptions& options) {
    ASSERT_EQ(api_->stream_open(model_, &options, &stream_, nullptr, &error_), BSM_OK) << error_.message;
  }

  const BsmEngineApi* api_;
  BsmModel* model_ = nullptr;
  BsmStream* stream_ = nullptr;
  BsmError error_ = {};
};

TEST_F(Engine, ServesItsVersionOnly) {
  EXPECT_EQ(load_engine(BSM_ENGINE_ABI_VERSION + 1), nullptr);
  EXPECT_EQ(load_engine(0), nullptr);
  EXPECT_EQ(api_->abi_version, uint32_t{BSM_ENGINE_ABI_VERSION});
  EXPECT_NE(std::strstr(api_->version, "(LibTorch "), nullptr) << api_->version;
}

TEST_F(Engine, TellsWhatTheModelIs) {
  open_model();
  BsmModelInfo info;
  api_->model_info(model_, &info);
  EXPECT_EQ(info.sample_rate_hz, 8000);
  ASSERT_EQ(info.stems, 2);
  EXPECT_STREQ(info.stem_names[0], "vocals");
  EXPECT_STREQ(info.stem_names[1], "drums");
  EXPECT_EQ(info.frame_hop_samples, 60);
  EXPECT_EQ(info.tail_samples, 196);
  EXPECT_STREQ(info.device, "cpu");
  EXPECT_EQ(info.model_file, file());  // on a CPU the file for GPUs is not even looked at
  EXPECT_EQ(info.precision, BSM_PRECISION_FP32);
  EXPECT_GT(info.parameters, 1000);
  BsmDeviceMemory memory = {1, 1};
  api_->model_memory(model_, &memory);
  EXPECT_EQ(memory.held_bytes, 0u) << "no GPU, no memory of it";
  EXPECT_EQ(memory.held_bytes_peak, 0u);
}

TEST_F(Engine, FailuresAreStatusesAndSentences) {
  const auto open = [&](BsmModelOptions options, BsmProgressFunc progress = nullptr) {
    model_ = reinterpret_cast<BsmModel*>(1);
    const BsmStatus status = api_->model_open(&options, progress, nullptr, &model_, &error_);
    EXPECT_EQ(model_, nullptr);
    EXPECT_EQ(error_.status, status);
    EXPECT_GT(std::strlen(error_.message), 10u);
    EXPECT_EQ(api_->model_open(&options, progress, nullptr, &model_, nullptr), status);
    return status;
  };
  const char* path = file().c_str();
  EXPECT_EQ(open({path, nullptr, "abacus", BSM_PRECISION_AUTO, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(open({path, nullptr, "cuda:99", BSM_PRECISION_AUTO, 0, 0}), BSM_ERROR_NOT_FOUND);
  EXPECT_EQ(open({path, nullptr, "cpu", BSM_PRECISION_FP16, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(open({path, nullptr, "cpu", static_cast<BsmPrecision>(9), 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(open({path, nullptr, "cpu", BSM_PRECISION_AUTO, 4'000'000'000u, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(open({nullptr, nullptr, "cpu", BSM_PRECISION_AUTO, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(open({"/no/such/model", nullptr, "cpu", BSM_PRECISION_AUTO, 0, 0}), BSM_ERROR_NOT_FOUND);
  EXPECT_NE(std::strstr(error_.message, "/no/such/model"), nullptr) << error_.message;
  EXPECT_EQ(open({BSM_ENGINE_PATH, nullptr, "cpu", BSM_PRECISION_AUTO, 0, 0}), BSM_ERROR_WRONG_TYPE);
  EXPECT_EQ(
      open({path, nullptr, "cpu", BSM_PRECISION_AUTO, 0, 0}, [](const char*, double, void*) { return 0; }),
      BSM_ERROR_CANCELLED);
  EXPECT_EQ(api_->model_open(nullptr, nullptr, nullptr, &model_, &error_), BSM_ERROR_SETTINGS);
  api_->model_close(nullptr);
  api_->stream_close(nullptr);
}

TEST_F(Engine, LongMessagesAreCutBetweenCharacters) {
  for (const std::string prefix : {"", "x"}) {  // one of the two would be cut within a character
    std::string device = prefix;
    for (int i = 0; i < 1000; ++i) device += "\xC3\xA4";
    const BsmModelOptions options = {file().c_str(), nullptr, device.c_str(), BSM_PRECISION_AUTO, 0, 0};
    ASSERT_EQ(api_->model_open(&options, nullptr, nullptr, &model_, &error_), BSM_ERROR_SETTINGS);
    const size_t length = std::strlen(error_.message);
    EXPECT_GE(length, sizeof(error_.message) - 2);
    EXPECT_EQ(static_cast<unsigned char>(error_.message[length - 1]), 0xA4);
  }
}

TEST_F(Engine, SharedModelsAreOne) {
  const auto device_of = [&](int32_t share, BsmModel** model) {
    const BsmModelOptions options = {file().c_str(), nullptr, "cpu", BSM_PRECISION_AUTO, 1, share};
    EXPECT_EQ(api_->model_open(&options, nullptr, nullptr, model, &error_), BSM_OK) << error_.message;
    BsmModelInfo info;
    api_->model_info(*model, &info);
    return info.device;  // owned by the model
  };
  BsmModel *first = nullptr, *second = nullptr, *own = nullptr;
  const char* device = device_of(1, &first);
  EXPECT_EQ(device_of(1, &second), device);
  EXPECT_NE(device_of(0, &own), device);
  api_->model_close(first);
  const BsmStreamOptions options = {2, BSM_STREAMING_CARRY, 60, 0, 0};
  EXPECT_EQ(api_->stream_open(second, &options, &stream_, nullptr, &error_), BSM_OK)
      << "the other still has it";
  api_->stream_close(std::exchange(stream_, nullptr));
  api_->model_close(second);
  api_->model_close(own);
}

TEST_F(Engine, StreamSizesAreRoundedUpToFrames) {
  open_model();
  const BsmStreamOptions options = {2, BSM_STREAMING_ROLLING, 61, 1, 120};
  int64_t warm_up_ns = 0;
  ASSERT_EQ(api_->stream_open(model_, &options, &stream_, &warm_up_ns, &error_), BSM_OK) << error_.message;
  EXPECT_GT(warm_up_ns, 0);
  BsmStreamInfo info;
  api_->stream_info(stream_, &info);
  EXPECT_EQ(info.hop_samples, 120);
  EXPECT_EQ(info.lookahead_samples, 60);
  EXPECT_EQ(info.context_samples, 120);
  EXPECT_EQ(info.delay_samples, 120 + 60 + 196);

  const BsmStreamOptions least = {1, BSM_STREAMING_CARRY, 0, 0, 5000};
  BsmStream* second = nullptr;
  ASSERT_EQ(api_->stream_open(model_, &least, &second, nullptr, &error_), BSM_OK) << error_.message;
  api_->stream_info(second, &info);
  EXPECT_EQ(info.hop_samples, 60);
  EXPECT_EQ(info.context_samples, 0);  // carry has all of the past
  api_->stream_close(second);
}

TEST_F(Engine, StreamsThatCannotWorkAreRefused) {
  open_model();
  const auto refused = [&](const BsmStreamOptions& options) {
    BsmStream* stream = nullptr;
    const BsmStatus status = api_->stream_open(model_, &options, &stream, nullptr, &error_);
    EXPECT_EQ(stream, nullptr);
    return status;
  };
  EXPECT_EQ(refused({3, BSM_STREAMING_CARRY, 60, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(refused({2, BSM_STREAMING_CARRY, -1, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(refused({2, BSM_STREAMING_CARRY, INT64_MAX, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(refused({2, static_cast<BsmStreamingMode>(7), 60, 0, 0}), BSM_ERROR_SETTINGS);
  EXPECT_EQ(api_->stream_open(nullptr, nullptr, &stream_, nullptr, nullptr), BSM_ERROR_SETTINGS);
}

TEST_F(Engine, StreamEqualsTheSeparatorBehindIt) {
  open_model();
  open_stream({2, BSM_STREAMING_CARRY, 240, 120, 0});
  const AudioBuffer noise = random_mixture(1, 2 * 3000);  // taken as interleaved stereo
  const int64_t frames = 3000;

  ModelOptions options;
  options.model_file = file();
  options.device = "cpu";
  options.threads = 1;
  StreamingOptions streaming;
  streaming.hop_frames = 4;
  streaming.lookahead_frames = 2;
  StreamingSeparator direct(Model::load(options), streaming);
  direct.push(noise.channel(0), frames);
  direct.finish();
  std::vector<float> expected[3];
  std::vector<float*> expected_pointers;
  for (auto& samples : expected) {
    samples.resize(static_cast<size_t>(2 * frames));
    expected_pointers.push_back(samples.data());
  }
  ASSERT_EQ(direct.pull(expected_pointers.data(), frames), frames);

  for (int round = 0; round < 2; ++round) {  // the second after a reset in the middle of a signal
    std::vector<float> vocals(static_cast<size_t>(2 * frames));
    std::vector<float> rest(vocals.size());
    int64_t pulled = 0;
    const auto pull = [&] {
      const int64_t available = api_->stream_available(stream_);
      float* outputs[] = {vocals.data() + 2 * pulled, nullptr, rest.data() + 2 * pulled};
      EXPECT_EQ(api_->stream_pull(stream_, outputs, frames - pulled), available);
      pulled += available;
    };
    for (int64_t at = 0; at < frames; at += 500) {
      ASSERT_EQ(api_->stream_push(stream_, noise.channel(0) + 2 * at, 500, &error_), BSM_OK)
          << error_.message;
      pull();
    }
    ASSERT_EQ(api_->stream_finish(stream_, &error_), BSM_OK) << error_.message;
    pull();
    EXPECT_EQ(pulled, frames);
    EXPECT_EQ(vocals, expected[0]);
    EXPECT_EQ(rest, expected[2]);
    EXPECT_EQ(api_->stream_push(stream_, noise.channel(0), 1, &error_), BSM_ERROR_SETTINGS);  // after the end
    EXPECT_GT(std::strlen(error_.message), 10u);

    api_->stream_reset(stream_);
    ASSERT_EQ(api_->stream_push(stream_, noise.channel(0) + 1000, 700, &error_), BSM_OK);
    api_->stream_reset(stream_);
  }
}

}  // namespace
}  // namespace bsm::test
