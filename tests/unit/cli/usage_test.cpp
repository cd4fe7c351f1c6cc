// The command line as a whole: help, version, usage errors, the default model.
#include <filesystem>

#include "cli_fixture.h"

namespace bsm::test {
namespace {

class UsageTest : public ProgramTest {};

TEST_F(UsageTest, HelpListsEveryCommandAndExitsWithZero) {
  const Result result = run_program({"--help"});
  EXPECT_EQ(result.status, 0);
  for (const char* command : {"separate", "evaluate", "score", "train", "bench", "convert", "info"}) {
    EXPECT_NE(result.out.find(command), std::string::npos) << command;
    const Result help = run_program({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("Usage: "), std::string::npos) << help.out;
  }
}

TEST_F(UsageTest, VersionNamesProgramAndLibraries) {
  const Result result = run_process({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.rfind("bsmamba2 ", 0), 0u) << result.out;
  EXPECT_NE(result.out.find("LibTorch"), std::string::npos) << result.out;
}

class WrongUsage : public ProgramTest, public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(WrongUsage, ExitsWithTwoAndSaysWhy) {
  const Result result = run_program(GetParam());
  EXPECT_EQ(result.status, 2);
  EXPECT_FALSE(result.err.empty());
  EXPECT_TRUE(result.out.empty()) << result.out;
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, WrongUsage,
    testing::Values(std::vector<std::string>{}, std::vector<std::string>{"no-such-command"},
                    std::vector<std::string>{"separate"},
                    std::vector<std::string>{"separate", "a.wav", "--format", "mp3"},
                    std::vector<std::string>{"separate", "a.wav", "--no-such-option"},
                    std::vector<std::string>{"score", "--reference", "a.wav"},
                    std::vector<std::string>{"score", "--reference", "a.wav", "--estimate", "b.wav",
                                             "--accompaniment", "c.wav"},
                    std::vector<std::string>{"evaluate", "--data", "d", "--baseline", "mixture",
                                             "--estimates", "e"},
                    std::vector<std::string>{"train", "--data", "d"},
                    std::vector<std::string>{"convert", "a.safetensors", "b.safetensors", "--seed", "1"},
                    std::vector<std::string>{"info"}));

TEST_F(UsageTest, DefaultModelIsFoundInTheNamedFolder) {
  std::filesystem::copy(tiny_model(), path("models/bsmamba2-live.safetensors"));
  write_wav(path("song.wav"), noise(2, 100, 1));
  const Result result = run_process({"separate", path("song.wav"), "-o", path("out"), "--device", "cpu"},
                                    {{"BSMAMBA2_MODEL_DIR", path("models")}});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(exists("out/song.vocals.flac"));
}

TEST_F(UsageTest, MissingDefaultModelIsNamed) {
  write_wav(path("song.wav"), noise(2, 100, 1));
  const Result result = run_process({"separate", path("song.wav"), "-o", path("out")},
                                    {{"BSMAMBA2_MODEL_DIR", path("nowhere")}});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find(path("nowhere") + "/bsmamba2-live.safetensors"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("--model"), std::string::npos) << result.err;
  EXPECT_TRUE(files("out").empty());
}

TEST_F(UsageTest, BadModelAndBadDeviceAreErrors) {
  write_wav(path("song.wav"), noise(2, 100, 1));
  write_text(path("broken.safetensors"), "this is no model");
  const Result model =
      run_program({"separate", path("song.wav"), "-o", path("out"), "--model", path("broken.safetensors")});
  EXPECT_EQ(model.status, 1);
  EXPECT_NE(model.err.find("broken.safetensors"), std::string::npos) << model.err;
  const Result device = run_program(
      {"separate", path("song.wav"), "-o", path("out"), "--model", tiny_model(), "--device", "cuda:99"});
  EXPECT_EQ(device.status, 1);
  EXPECT_NE(device.err.find("cuda:99"), std::string::npos) << device.err;
  EXPECT_TRUE(files("out").empty());
}

TEST_F(UsageTest, UnwritableFolderIsAnError) {
  write_wav(path("song.wav"), noise(2, 100, 1));
  write_text(path("file"), "");
  const Result result =
      run_program({"separate", path("song.wav"), "-o", path("file") + "/below", "--model", tiny_model()});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.err.find("file/below"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace bsm::test
