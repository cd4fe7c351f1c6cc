// `bsmamba2 train`: its options reach the training, whose result the other commands load.
#include "cli_fixture.h"

namespace bsm::test {
namespace {

class TrainTest : public ProgramTest {
 protected:
  void make_data() {
    write_wav(path("data/train/vocals/a.wav"), noise(1, 44100, 1));
    write_wav(path("data/train/instrumental/b.wav"), noise(2, 44100, 2));
    write_wav(path("data/valid/song/vocals.wav"), noise(2, 22050, 3));
    write_wav(path("data/valid/song/accompaniment.wav"), noise(2, 22050, 4));
    write_text(path("config.json"),
               "{\"model\": " + tiny_config() +
                   R"(, "training": {"batch": 1, "segment_s": 0.2, "warmup_steps": 1, "steps": 3,
                                            "report_every_steps": 1, "validate_every_steps": 3,
                                            "validate_window_s": 0.5}})");
  }
  Result train(std::vector<std::string> options) {
    options.insert(options.begin(), {"train", "--data", path("data"), "--config", path("config.json"),
                                     "--out", path("run"), "--device", "cpu"});
    return run_program(options);
  }
};

TEST_F(TrainTest, TrainedModelSeparates) {
  make_data();
  const Result trained = train({});
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(trained.out.find("Finished after step 3"), std::string::npos) << trained.out;
  EXPECT_NE(trained.out.find("validation uSDR"), std::string::npos) << trained.out;
  write_wav(path("song.wav"), noise(2, 5000, 5));
  for (const char* model : {"run/last.safetensors", "run/best.safetensors"}) {
    const Result separated = run_program(
        {"separate", path("song.wav"), "-o", path("out"), "--model", path(model), "--threads", "1"});
    EXPECT_EQ(separated.status, 0) << separated.err;
  }
  const Result info = run_program({"info", path("run/last.safetensors"), "--json"});
  EXPECT_EQ(info.json()["config"]["dim"], 16);
}

TEST_F(TrainTest, ResumeContinuesAndRefusesAnInitialModel) {
  make_data();
  ASSERT_EQ(train({"--steps", "2"}).status, 0);
  const Result resumed = train({"--steps", "4", "--resume"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.out.find("from step 2"), std::string::npos) << resumed.out;
  EXPECT_NE(resumed.out.find("Finished after step 4"), std::string::npos) << resumed.out;
  EXPECT_EQ(train({"--resume", "--init", tiny_model()}).status, 2);
}

TEST_F(TrainTest, MistakesAreNamed) {
  make_data();
  write_text(path("config.json"), R"({"model": {}, "training": {"no_such_key": 1}})");
  const Result config = train({});
  EXPECT_EQ(config.status, 1);
  EXPECT_NE(config.err.find("no_such_key"), std::string::npos) << config.err;
}

}  // namespace
}  // namespace bsm::test
