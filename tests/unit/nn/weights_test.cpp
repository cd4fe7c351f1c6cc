#include "nn/weights.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "io/safetensors.h"
#include "nn_test_util.h"

namespace bsm {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

/// Named float32 tensors as a file, with or without metadata.
using TensorMap = std::map<std::string, Tensor>;

TensorMap tensors_of(const SeparationNetwork& network) {
  TensorMap tensors;
  for (const auto& item : network->named_parameters()) tensors[item.key()] = item.value().detach().clone();
  for (const auto& item : network->named_buffers()) tensors[item.key()] = item.value().clone();
  return tensors;
}

struct Weights : testing::Test {
  Weights() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::path(testing::TempDir()) / (std::string("bsm_weights_") + test->name());
    fs::create_directories(folder);
  }
  ~Weights() override { fs::remove_all(folder); }

  std::string write(const TensorMap& tensors, const std::map<std::string, std::string>& metadata = {},
                    const std::string& prefix = "") const {
    std::vector<TensorEntry> entries;
    for (const auto& [name, tensor] : tensors) {
      TensorEntry entry;
      entry.name = prefix + name;
      entry.shape = tensor.sizes().vec();
      entry.data = static_cast<const std::byte*>(tensor.data_ptr());
      entry.bytes = tensor.nbytes();
      entries.push_back(entry);
    }
    const std::string path = folder / "model.safetensors";
    write_safetensors(path, entries, metadata);
    return path;
  }

  static std::string load_error(const std::string& path) {
    try {
      load_network(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kWrongType);
      return error.what();
    }
    return "";
  }

  fs::path folder;
};

void expect_same_values(const SeparationNetwork& a, const SeparationNetwork& b) {
  const TensorMap x = tensors_of(a), y = tensors_of(b);
  ASSERT_EQ(x.size(), y.size());
  for (const auto& [name, tensor] : x) EXPECT_TRUE(torch::equal(tensor, y.at(name))) << name;
}

TEST_F(Weights, SavedNetworkLoadsEqual) {
  for (const BlockKind kind : {BlockKind::kMamba2, BlockKind::kTransformer}) {
    const SeparationNetwork network = perturbed_network(small_config(kind), 41);
    const std::string path = folder / "saved.safetensors";
    save_network(path, network, DType::kF32, {{"note", "kept"}});
    const SeparationNetwork loaded = load_network(path);
    EXPECT_EQ(loaded->config(), network->config());
    EXPECT_FALSE(loaded->is_training());
    expect_same_values(loaded, network);
    EXPECT_EQ(Checkpoint::open(path).metadata().at("note"), "kept");
  }
}

/// A line of /proc/self/status, in bytes.
int64_t memory_of_process(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  return -1;
}

TEST_F(Weights, LoadingNeedsTheFileAndTheNetworkAndNoThirdCopy) {
  ModelConfig config;
  config.dim = 256;
  config.depth = 4;
  const std::string path = folder / "model.safetensors";
  save_network(path, make_random_network(config, 1), DType::kF32);
  const auto file_bytes = static_cast<double>(fs::file_size(path));
  ASSERT_GT(file_bytes, 32e6) << "too small to be seen beside everything else";

  std::ofstream("/proc/self/clear_refs") << 5 << std::flush;  // the peak starts again
  const int64_t before = memory_of_process("VmRSS");
  if (memory_of_process("VmHWM") > before + (int64_t{4} << 20))
    GTEST_SKIP() << "the kernel does not start the peak again";
  const SeparationNetwork network = load_network(path);
  EXPECT_LT(static_cast<double>(memory_of_process("VmHWM") - before), 2.3 * file_bytes);
}

TEST_F(Weights, HalfPrecisionRoundsOnce) {
  const SeparationNetwork network = perturbed_network(small_config(), 42);
  for (const auto& [dtype, torch_dtype] :
       {std::pair{DType::kF16, torch::kFloat16}, std::pair{DType::kBF16, torch::kBFloat16}}) {
    const std::string path = folder / "half.safetensors";
    save_network(path, network, dtype);
    const TensorMap loaded = tensors_of(load_network(path));
    for (const auto& [name, tensor] : tensors_of(network))
      EXPECT_TRUE(torch::equal(loaded.at(name), tensor.to(torch_dtype).to(torch::kFloat32))) << name;
  }
}

TEST_F(Weights, ConfigurationIsReadOffTheShapes) {
  std::vector<ModelConfig> configs(4, small_config());
  for (ModelConfig& config : configs) config.stft = {62, 62, 20};
  configs[1].kind = BlockKind::kTransformer;
  configs[2].time_direction = TimeDirection::kForward;
  configs[2].mamba2 = {3, 7, 9, 2};
  configs[2].depth = 1;
  configs[3].stems = {"stem_0", "stem_1", "stem_2"};
  configs[3].mask_expand = 3;
  for (ModelConfig& config : configs) {
    const TensorMap tensors = tensors_of(perturbed_network(config, 43));
    // Sizes of the other kind of block leave no trace.
    if (config.kind == BlockKind::kMamba2)
      config.transformer = {};
    else
      config.mamba2 = {};
    for (const char* prefix : {"", "weights."}) {
      const std::string path = write(tensors, {{"hop_length", "20"}}, prefix);
      EXPECT_EQ(config_of(Checkpoint::open(path)).to_json(), config.to_json());
      expect_same_values(load_network(path), perturbed_network(config, 43));
    }
  }
}

TEST_F(Weights, OtherEntriesBesidePrefixedWeightsAreIgnored) {
  const SeparationNetwork network = perturbed_network(small_config(), 44);
  TensorMap tensors;
  for (const auto& [name, tensor] : tensors_of(network)) tensors["weights." + name] = tensor;
  tensors["audio.mixture"] = torch::zeros({2, 5});
  expect_same_values(load_network(write(tensors, {{"hop_length", "20"}})), network);
}

TEST_F(Weights, MismatchesAreListedWithShapes) {
  const SeparationNetwork network = perturbed_network(small_config(), 45);
  TensorMap tensors = tensors_of(network);
  tensors.erase("layers.1.1.linear.bias");
  tensors["surprise"] = torch::zeros({3, 1});
  tensors["layers.1.0.linear.weight"] = torch::zeros({24, 13, 1});
  const std::string path = write(tensors, {{"config", network->config().to_json()}});
  const std::string message = load_error(path);
  for (const char* part :
       {"missing (1):\n  layers.1.1.linear.bias [12]", "unexpected (1):\n  surprise [3, 1]",
        "layers.1.0.linear.weight: expected [24, 12, 1], found [24, 13, 1]"})
    EXPECT_NE(message.find(part), std::string::npos) << "no \"" << part << "\" in: " << message;

  // A partial load takes what fits and says the same.
  SeparationNetwork target(small_config());
  const Tensor kept = target->named_parameters()["layers.1.1.linear.bias"].detach().clone();
  const std::string report = load_weights(target, Checkpoint::open(path), /*partial=*/true);
  EXPECT_NE(report.find("layers.1.1.linear.bias"), std::string::npos);
  const auto loaded = target->named_parameters();
  EXPECT_TRUE(torch::equal(loaded["layers.1.1.linear.bias"], kept));
  EXPECT_TRUE(torch::equal(loaded["final_norm.gamma"], network->named_parameters()["final_norm.gamma"]));
}

TEST_F(Weights, LongListsAreCut) {
  const ModelConfig config = small_config();
  const std::string message =
      load_error(write({{"final_norm.gamma", torch::ones({12})}}, {{"config", config.to_json()}}));
  EXPECT_NE(message.find("more"), std::string::npos);
  EXPECT_LT(message.size(), 2000u);
}

TEST_F(Weights, ValuesThatAreNoNumbersAreRefused) {
  const SeparationNetwork network = perturbed_network(small_config(), 46);
  TensorMap tensors = tensors_of(network);
  tensors["layers.0.1.linear.bias"][3] = NAN;
  const std::string message = load_error(write(tensors, {{"config", network->config().to_json()}}));
  EXPECT_NE(message.find("layers.0.1.linear.bias: holds NaN"), std::string::npos) << message;
}

TEST_F(Weights, ForeignFilesAreNamed) {
  EXPECT_NE(load_error(write({{"conv.weight", torch::ones({3})}})).find("final_norm.gamma"),
            std::string::npos);
  EXPECT_NE(load_error(write({{"final_norm.gamma", torch::ones({3, 3})}})).find("dimensions"),
            std::string::npos);
  EXPECT_NE(load_error(write({{"final_norm.gamma", torch::ones({3})}}, {{"config", "{\"dim\": true}"}}))
                .find("dim"),
            std::string::npos);
}

TEST_F(Weights, ConfigurationsFarLargerThanTheFileAreNotBuilt) {
  const std::string huge = R"({"dim": 4096, "depth": 128, "mamba2": {"expand": 16}})";
  const std::string message =
      load_error(write({{"final_norm.gamma", torch::ones({4096})}}, {{"config", huge}}));
  EXPECT_NE(message.find("holds 4096 values"), std::string::npos) << message;
}

TEST_F(Weights, FailedLoadChangesNothing) {
  SeparationNetwork network = perturbed_network(small_config(), 47);
  const TensorMap before = tensors_of(network);
  TensorMap tensors = tensors_of(perturbed_network(small_config(), 48));
  tensors.erase("final_norm.gamma");
  tensors["weightsfinal_norm.gamma"] = torch::ones({12});
  EXPECT_THROW(load_weights(network, Checkpoint::open(write(tensors))), Error);
  for (const auto& [name, tensor] : tensors_of(network))
    EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
}

}  // namespace
}  // namespace bsm
