// Model files by content, not by name; the shared fixtures of the published layouts; SHA-256.
#include "io/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "archives.h"
#include "core/error.h"
#include "io/safetensors.h"
#include "io/sha256.h"

namespace bsm {
namespace {

using test::TemporaryFolder;
using test::write_file;

std::string refusal(const std::string& path, ErrorCode code) {
  try {
    Checkpoint::open(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << path << " was read";
  return {};
}

TEST(Checkpoint, KnowsFilesByContent) {
  const TemporaryFolder folder;
  const float value = 2;
  write_safetensors(folder / "a.ckpt",
                    {{"w", DType::kF32, {1}, reinterpret_cast<const std::byte*>(&value), 4}}, {});
  EXPECT_EQ(Checkpoint::open(folder / "a.ckpt").layout(), CheckpointLayout::kSafetensors);
  const std::string plain = BSM_FIXTURES_DIR "/torch_plain.pt";
  std::filesystem::copy(plain, folder / "b.safetensors");
  EXPECT_EQ(Checkpoint::open(folder / "b.safetensors").layout(), CheckpointLayout::kTorchPlain);
  EXPECT_STREQ(layout_name(CheckpointLayout::kSafetensors), "safetensors");
}

TEST(Checkpoint, SaysWhatAForeignFileIs) {
  const TemporaryFolder folder;
  const auto expect = [&](std::string_view content, const char* words) {
    write_file(folder / "m", content);
    const std::string sentence = refusal(folder / "m", ErrorCode::kWrongType);
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  expect("", "empty");
  expect("x", "neither");
  expect("<!DOCTYPE html><html>", "web page");
  expect("version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull");
  expect(test::read_file(BSM_FIXTURES_DIR "/torch_legacy.pt"), "1.6");
  expect("RIFF....WAVEfmt ", "neither");
  expect("PK\x03\x04", "cut off");
  expect(std::string(8, '\0') + "{", "safetensors");
}

TEST(Checkpoint, SaysWhyAPathCannotBeRead) {
  const TemporaryFolder folder;
  refusal(folder / "absent", ErrorCode::kNotFound);
  std::filesystem::create_directory(folder / "d");
  refusal(folder / "d", ErrorCode::kOpenRead);
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  refusal(folder / "fifo", ErrorCode::kOpenRead);  // and does not wait for a writer
  refusal("/dev/null", ErrorCode::kOpenRead);
}

/// The first folder of BSMAMBA2_GOLDEN_DIR that holds the public layouts, "" when there is none.
std::string golden_folder() {
  const char* folders = std::getenv("BSMAMBA2_GOLDEN_DIR");
  std::string rest = folders ? folders : "";
  while (!rest.empty()) {
    const std::string folder = rest.substr(0, rest.find(':'));
    rest = rest.size() > folder.size() ? rest.substr(folder.size() + 1) : "";
    if (std::filesystem::exists(folder + "/plain_state_dict.ckpt")) return folder;
  }
  return {};
}

class PublicLayouts : public testing::TestWithParam<const char*> {};

TEST_P(PublicLayouts, HoldTheWeightsOfTheFixture) {
  const Checkpoint checkpoint = Checkpoint::open(golden_folder() + "/" + GetParam());
  const Checkpoint fixture = Checkpoint::open(golden_folder() + "/bsmamba2_dim32_depth2.safetensors");
  const std::string prefix = "weights.";
  size_t weights = 0;
  for (const TensorEntry& expected : fixture.tensors()) {
    if (!expected.name.starts_with(prefix)) continue;
    ++weights;
    const TensorEntry* found = checkpoint.find(expected.name.substr(prefix.size()));
    ASSERT_TRUE(found) << expected.name;
    EXPECT_EQ(found->shape, expected.shape) << expected.name;
    EXPECT_EQ(found->to_float(), expected.to_float()) << expected.name;
  }
  EXPECT_GT(weights, 500u);
  EXPECT_EQ(checkpoint.tensors().size(), weights);
}

// A clean clone has no shared fixtures: the tests exist where the files do. tests/fixtures covers both
// layouts always.
INSTANTIATE_TEST_SUITE_P(Golden, PublicLayouts,
                         testing::ValuesIn(golden_folder().empty()
                                               ? std::vector<const char*>{}
                                               : std::vector<const char*>{"plain_state_dict.ckpt",
                                                                          "lightning_full.ckpt"}));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PublicLayouts);

TEST(Sha256, GivesThePublishedExamples) {
  const TemporaryFolder folder;  // FIPS 180-4 examples, and the empty message
  write_file(folder / "abc", "abc");
  EXPECT_EQ(sha256_file(folder / "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write_file(folder / "empty", "");
  EXPECT_EQ(sha256_file(folder / "empty"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  write_file(folder / "a", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_file(folder / "a"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_THROW(sha256_file(folder / "absent"), Error);
}

}  // namespace
}  // namespace bsm
