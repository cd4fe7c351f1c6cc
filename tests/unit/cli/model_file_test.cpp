// `bsmamba2 convert` and `bsmamba2 info`.
#include <filesystem>
#include <fstream>

#include "cli/registry.h"
#include "cli_fixture.h"
#include "io/safetensors.h"

namespace bsm::test {
namespace {

namespace fs = std::filesystem;

class ModelFileTest : public ProgramTest {
 protected:
  nlohmann::json info(const std::string& file) {
    const Result result = run_program({"info", file, "--json"});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.json();
  }
  void convert(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"convert"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Result result = run_program(all);
    ASSERT_EQ(result.status, 0) << result.err;
  }
};

TEST_F(ModelFileTest, InfoStatesWhatTheFileHolds) {
  const auto summary = info(tiny_model());
  const Checkpoint checkpoint = Checkpoint::open(tiny_model());
  int64_t elements = 0;
  for (const TensorEntry& tensor : checkpoint.tensors()) elements += tensor.elements();
  EXPECT_EQ(summary["parameters"], elements);
  EXPECT_EQ(summary["tensors"], checkpoint.tensors().size());
  EXPECT_EQ(summary["tensor_bytes"]["F32"], elements * 4);
  EXPECT_EQ(summary["bytes"], fs::file_size(tiny_model()));
  EXPECT_EQ(summary["layout"], layout_name(CheckpointLayout::kSafetensors));
  EXPECT_EQ(summary["config"]["dim"], 16);
  EXPECT_EQ(summary["config"]["mamba2"]["state"], 8);
  EXPECT_TRUE(summary["config_stored"]);
  EXPECT_TRUE(summary["fits"]);
  EXPECT_TRUE(summary["known"].is_null());
  const Result text = run_program({"info", tiny_model()});
  EXPECT_EQ(text.status, 0);
  EXPECT_NE(text.out.find(summary["sha256"].get<std::string>()), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("width 16, depth 1"), std::string::npos) << text.out;
}

TEST_F(ModelFileTest, RandomWeightsDependOnTheSeedAlone) {
  write_text(path("tiny.json"), tiny_config());
  write_text(path("training.json"), "{\"model\": " + tiny_config() + ", \"training\": {}}");
  convert({"--random", path("tiny.json"), path("a.safetensors"), "--seed", "5"});
  convert({"--random", path("training.json"), path("b.safetensors"), "--seed", "5"});
  convert({"--random", path("tiny.json"), path("c.safetensors"), "--seed", "6"});
  EXPECT_EQ(info(path("a.safetensors"))["sha256"], info(path("b.safetensors"))["sha256"]);
  EXPECT_NE(info(path("a.safetensors"))["sha256"], info(path("c.safetensors"))["sha256"]);
}

TEST_F(ModelFileTest, ConvertRoundsToTheFormatAndKeepsIt) {
  convert({tiny_model(), path("half.safetensors"), "--dtype", "f16"});
  convert({path("half.safetensors"), path("again.safetensors")});
  convert({tiny_model(), path("brain.safetensors"), "--dtype", "bf16"});
  const auto whole = info(tiny_model());
  const auto half = info(path("half.safetensors"));
  EXPECT_EQ(half["config"], whole["config"]);
  EXPECT_EQ(half["metadata"], whole["metadata"]);
  EXPECT_EQ(half["tensor_bytes"]["F16"].get<int64_t>() * 2, whole["tensor_bytes"]["F32"].get<int64_t>());
  EXPECT_EQ(info(path("again.safetensors"))["sha256"], half["sha256"]);
  EXPECT_TRUE(info(path("brain.safetensors"))["tensor_bytes"].contains("BF16"));

  const Checkpoint from = Checkpoint::open(tiny_model());
  const Checkpoint to = Checkpoint::open(path("half.safetensors"));
  for (const TensorEntry& tensor : from.tensors()) {
    const TensorEntry* converted = to.find(tensor.name);
    ASSERT_NE(converted, nullptr) << tensor.name;
    const std::vector<float> values = tensor.to_float();
    const auto expected = encode_floats(values.data(), values.size(), DType::kF16);
    ASSERT_EQ(converted->bytes, expected.size());
    EXPECT_EQ(std::memcmp(converted->data, expected.data(), expected.size()), 0) << tensor.name;
  }
}

/// The tiny model with one tensor changed.
void write_changed(const std::string& path, const std::string& name, bool keep, float value) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_model());
  std::vector<TensorEntry> tensors;
  std::vector<std::byte> changed;
  for (TensorEntry tensor : checkpoint.tensors()) {
    if (tensor.name == name) {
      if (!keep) continue;
      std::vector<float> values = tensor.to_float();
      values[0] = value;
      changed = encode_floats(values.data(), values.size(), DType::kF32);
      tensor.data = changed.data();
    }
    tensors.push_back(tensor);
  }
  write_safetensors(path, tensors, checkpoint.metadata());
}

TEST_F(ModelFileTest, HalfPrecisionThatWouldOverflowIsRefused) {
  write_changed(path("large.safetensors"), "final_norm.gamma", true, 1e6f);
  const Result result =
      run_program({"convert", path("large.safetensors"), path("half.safetensors"), "--dtype", "f16"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("final_norm.gamma"), std::string::npos) << result.err;
  EXPECT_FALSE(exists("half.safetensors"));
  convert({path("large.safetensors"), path("brain.safetensors"), "--dtype", "bf16"});
}

TEST_F(ModelFileTest, WeightsThatDoNotFitAreListed) {
  write_changed(path("lacking.safetensors"), "final_norm.gamma", false, 0);
  const Result result = run_program({"info", path("lacking.safetensors"), "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_FALSE(result.json()["fits"]);
  EXPECT_NE(result.json()["mismatch"].get<std::string>().find("final_norm.gamma"), std::string::npos);
  EXPECT_EQ(run_program({"convert", path("lacking.safetensors"), path("out.safetensors")}).status, 1);
  EXPECT_FALSE(exists("out.safetensors"));
}

TEST_F(ModelFileTest, OtherFilesAreErrors) {
  write_text(path("text.safetensors"), "this is no model file, but it is longer than eight bytes");
  for (const std::string& name : {path("text.safetensors"), path("missing.safetensors")}) {
    const Result result = run_program({"info", name});
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
  }
  write_text(path("wrong.json"), "{\"dim\": -3}");
  const Result config = run_program({"convert", "--random", path("wrong.json"), path("out.safetensors")});
  EXPECT_EQ(config.status, 1);
  EXPECT_NE(config.err.find("dim"), std::string::npos) << config.err;
}

TEST_F(ModelFileTest, RegistryKnowsPublicCheckpointsByContent) {
  const auto authors =
      find_known_checkpoint("b1fcf93fdd6f7bc79e5410b1330b3d0fd5a6ca6ea23a94730c684629c71cd5ca");
  EXPECT_EQ(authors["bytes"], 770628060);
  EXPECT_EQ(authors["licence"], "none stated");
  const auto community =
      find_known_checkpoint("fceb733b41742abb8df563092f4cb5bbc9243c6c03e7f34dc44c14e60732c72f");
  EXPECT_EQ(community["bytes"], 192610602);
  EXPECT_TRUE(find_known_checkpoint(std::string(64, '0')).is_null());
}

}  // namespace
}  // namespace bsm::test
