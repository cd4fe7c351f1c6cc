#include "train/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "train/schedule.h"

namespace bsm {
namespace {

std::string config_path(const char* name) { return (std::filesystem::path(BSM_CONFIG_DIR) / name).string(); }

TEST(TrainConfig, ShippedFilesLoad) {
  for (const char* name :
       {"base.json", "fine-bands.json", "live.json", "live-finetune.json", "paper.json", "tiny.json"})
    EXPECT_NO_THROW(RunConfig::load(config_path(name))) << name;
}

TEST(TrainConfig, PaperFileIsThePublishedModel) {
  const RunConfig config = RunConfig::load(config_path("paper.json"));
  EXPECT_EQ(config.model, ModelConfig());
  EXPECT_EQ(config.training.batch * config.training.accumulate, 60);
  EXPECT_EQ(config.training.learning_rate, 5e-4);
  EXPECT_EQ(config.training.clip, 3);
  EXPECT_EQ(config.training.ema, 0.999);
  EXPECT_EQ(learning_rate_at(0, 0, config.training), 5e-4) << "no schedule";
  EXPECT_EQ(learning_rate_at(150000, 0.75, config.training), 5e-4);
  EXPECT_EQ(config.training.segment_s, 8);
  EXPECT_FALSE(config.training.validate_balance_db);
  const AugmentConfig& augment = config.training.augment;
  EXPECT_FALSE(augment.balance_levels);
  EXPECT_TRUE(augment.separate_stems);
  EXPECT_TRUE(augment.source_activity);
  EXPECT_EQ(augment.gain, (Range{0.5, 1.5}));
  EXPECT_EQ(augment.silence_p, 0.1);
  for (const double other :
       {augment.swap_p, augment.polarity_p, augment.speed_p, augment.eq_p, augment.width_p,
        augment.stack_instrumental_p, augment.stack_vocals_p, augment.reverb_p, augment.fade_p,
        augment.mono_p, augment.compress_p, augment.clip_p, augment.band_limit_p, augment.same_song_p})
    EXPECT_EQ(other, 0);
}

TEST(TrainConfig, ShippedModelsFitInHalfPrecision) {
  constexpr int64_t kLargestFile = 16'000'000;
  constexpr int64_t kHeader = 150'000;  // names, shapes, configuration
  for (const char* name : {"base.json", "live.json"})
    EXPECT_LE(2 * RunConfig::load(config_path(name)).model.parameter_count() + kHeader, kLargestFile) << name;
  EXPECT_EQ(RunConfig::load(config_path("live-finetune.json")).model,
            RunConfig::load(config_path("live.json")).model);
}

TEST(TrainConfig, ValuesAreRead) {
  const RunConfig config = RunConfig::from_json(
      R"({"training": {"seed": 7, "batch": 3, "segment_s": 2.5, "betas": [0.8, 0.95],
          "augment": {"speed": [0.9, 1.1], "eq_p": 0.25, "effects": {"voice_p": 0.5, "echo_s": [0.2, 0.3]}}}})",
      "test");
  EXPECT_EQ(config.training.seed, 7u);
  EXPECT_EQ(config.training.batch, 3);
  EXPECT_EQ(config.training.segment_s, 2.5);
  EXPECT_EQ(config.training.betas[1], 0.95);
  EXPECT_EQ(config.training.augment.speed, (Range{0.9, 1.1}));
  EXPECT_EQ(config.training.augment.eq_p, 0.25);
  EXPECT_EQ(config.training.augment.silence_p, AugmentConfig().silence_p);
  EXPECT_EQ(config.training.augment.effects.voice_p, 0.5);
  EXPECT_EQ(config.training.augment.effects.echo_s, (Range{0.2, 0.3}));
  EXPECT_EQ(config.training.augment.effects.gate_p, EffectConfig().gate_p);
}

TEST(TrainConfig, MistakesAreNamed) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      RunConfig::from_json(text, "test");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kWrongType);
      return error.what();
    }
    return "accepted";
  };
  const auto names = [&](const std::string& text, const std::string& word) {
    const std::string found = message(text);
    EXPECT_NE(found.find(word), std::string::npos) << text << " -> " << found;
  };
  names("{", "not JSON");
  names(R"({"modle": {}})", "modle");
  names(R"({"training": {"augment": {"eq": 1}}})", "\"eq\"");
  names(R"({"training": {"batch": "four"}})", "batch");
  names(R"({"training": {"batch": 1.5}})", "batch");
  names(R"({"training": {"seed": -1}})", "seed");
  names(R"({"training": {"batch": 0}})", "batch");
  names(R"({"training": {"dtype": "int8"}})", "int8");
  names(R"({"training": {"segment_s": 0.01}})", "segment_s");
  names(R"({"training": {"augment": {"silence_p": 1.5}}})", "silence_p");
  names(R"({"training": {"augment": {"speed": [1.2, 0.8]}}})", "speed");
  names(R"({"training": {"augment": {"speed": [0.8]}}})", "speed");
  names(R"({"training": {"augment": {"separate_stems": true}}})", "balance_levels");
  names(R"({"training": {"augment": {"effects": {"eco_p": 0.1}}}})", "eco_p");
  names(R"({"training": {"augment": {"effects": {"gate_hz": [0, 4]}}}})", "effects.gate_hz");
  names(R"({"model": {"stems": ["vocals", "drums"]}})", "vocals");
  names(R"({"model": {"channels": 1}})", "2 channels");
}

TEST(TrainConfig, MissingFile) {
  try {
    RunConfig::load("/nonexistent/config.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

TEST(Schedule, WarmsUpThenFallsAlongACosine) {
  TrainingConfig t;
  t.learning_rate = 1;
  t.final_learning_rate = 0.1;
  t.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(learning_rate_at(0, 0, t), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate_at(9, 0, t), 1);
  EXPECT_DOUBLE_EQ(learning_rate_at(10, 0, t), 1);
  EXPECT_NEAR(learning_rate_at(60, 0.5, t), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate_at(110, 1, t), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate_at(500, 1, t), 0.1, 1e-12);
}

TEST(Schedule, AdvancesEvenlyOverStepsAndOverWhatIsLeft) {
  double done = 0;
  for (int step = 0; step < 50; ++step) {
    EXPECT_NEAR(done, step / 100.0, 1e-12);
    done = advance_schedule(done, 1, 100 - step);
  }
  // Resumed with 25 steps' worth of time: the remaining half is spread over these.
  for (int step = 0; step < 25; ++step) {
    EXPECT_NEAR(done, 0.5 + 0.5 * step / 25.0, 1e-12);
    done = advance_schedule(done, 0.4, 0.4 * (25 - step));
  }
  EXPECT_NEAR(done, 1, 1e-12);
  EXPECT_EQ(advance_schedule(0.3, 2, 1), 1) << "a step that took longer than what was left";
  EXPECT_EQ(advance_schedule(0.3, 1, -1), 1);
}

}  // namespace
}  // namespace bsm
