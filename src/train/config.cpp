#include "train/config.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "train/object_reader.h"

namespace bsm {
namespace {

AugmentConfig read_augment(const Json& json, const std::string& where) {
  AugmentConfig a;
  ObjectReader reader(json, where);
  reader.read("balance_levels", a.balance_levels);
  reader.read("separate_stems", a.separate_stems);
  reader.read("source_activity", a.source_activity);
  reader.read_range("level_db", a.level_db, -80, 0);
  reader.read_range("balance_db", a.balance_db, -60, 60);
  reader.read_range("gain", a.gain, 0, 100);
  reader.read_probability("silence_p", a.silence_p);
  reader.read_probability("swap_p", a.swap_p);
  reader.read_probability("polarity_p", a.polarity_p);
  reader.read_probability("speed_p", a.speed_p);
  reader.read_range("speed", a.speed, 0.5, 2);
  reader.read_probability("eq_p", a.eq_p);
  reader.read("eq_db", a.eq_db);
  check(a.eq_db >= 0 && a.eq_db <= 40, where + ".eq_db must lie between 0 and 40.");
  reader.read_probability("width_p", a.width_p);
  reader.read_range("width", a.width, 0, 4);
  reader.read_probability("stack_instrumental_p", a.stack_instrumental_p);
  reader.read_probability("stack_vocals_p", a.stack_vocals_p);
  reader.read_range("stack_db", a.stack_db, -60, 60);
  reader.read_probability("reverb_p", a.reverb_p);
  reader.read_range("reverb_s", a.reverb_s, 0.01, 20);
  reader.read_range("reverb_db", a.reverb_db, -60, 20);
  reader.read_probability("fade_p", a.fade_p);
  reader.read_probability("mono_p", a.mono_p);
  reader.read_probability("compress_p", a.compress_p);
  reader.read_range("compress_db", a.compress_db, 0, 60);
  reader.read_range("compress_ratio", a.compress_ratio, 1, 100);
  reader.read_range("compress_release_s", a.compress_release_s, 0.001, 10);
  reader.read_probability("clip_p", a.clip_p);
  reader.read_range("clip_db", a.clip_db, 0, 40);
  reader.read_probability("band_limit_p", a.band_limit_p);
  reader.read_range("band_limit_hz", a.band_limit_hz, 1000, 22050);
  reader.read_probability("active_share", a.active_share);
  reader.read_probability("active_fraction", a.active_fraction);
  reader.read_probability("same_song_p", a.same_song_p);
  check(!a.separate_stems || (!a.balance_levels && a.same_song_p == 0 && a.stack_instrumental_p == 0),
        where + ".separate_stems needs balance_levels false, same_song_p 0 and stack_instrumental_p 0.");
  Json effects = Json::object();
  reader.read("effects", effects);
  a.effects = read_effects(effects, where + ".effects");
  reader.finish();
  return a;
}

TrainingConfig read_training(const Json& json, const std::string& where) {
  TrainingConfig t;
  ObjectReader reader(json, where);
  const auto positive = [&](const char* key, auto& value) {
    reader.read(key, value);
    check(value > 0, where + "." + key + " must be above 0.");
  };
  const auto not_negative = [&](const char* key, auto& value) {
    reader.read(key, value);
    check(value >= 0, where + "." + key + " must not be negative.");
  };
  reader.read("seed", t.seed);
  positive("batch", t.batch);
  positive("accumulate", t.accumulate);
  reader.read("recompute", t.recompute);
  positive("segment_s", t.segment_s);
  positive("steps", t.steps);
  positive("learning_rate", t.learning_rate);
  not_negative("final_learning_rate", t.final_learning_rate);
  not_negative("warmup_steps", t.warmup_steps);
  not_negative("weight_decay", t.weight_decay);
  reader.read("betas", t.betas);
  for (const double beta : t.betas) check(beta >= 0 && beta < 1, where + ".betas must lie in [0, 1).");
  positive("clip", t.clip);
  reader.read("ema", t.ema);
  check(t.ema >= 0 && t.ema < 1, where + ".ema must lie in [0, 1).");
  reader.read("dtype", t.dtype);
  check(t.dtype == "bf16" || t.dtype == "fp32",
        where + ".dtype must be bf16 or fp32, not \"" + t.dtype + "\".");
  positive("report_every_steps", t.report_every_steps);
  positive("validate_every_steps", t.validate_every_steps);
  positive("validate_window_s", t.validate_window_s);
  reader.read("validate_balance_db", t.validate_balance_db);
  positive("save_every_minutes", t.save_every_minutes);
  Json augment = Json::object();
  reader.read("augment", augment);
  t.augment = read_augment(augment, where + ".augment");
  reader.finish();
  return t;
}

}  // namespace

RunConfig RunConfig::from_json(const std::string& text, const std::string& name) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kWrongType, "The configuration " + name + " is not JSON: " + error.what());
  }
  RunConfig config;
  ObjectReader reader(json, "The configuration " + name);
  Json model = Json::object();
  Json training = Json::object();
  reader.read("model", model);
  reader.read("training", training);
  reader.finish();
  config.model = ModelConfig::from_json(model.dump());
  config.model.validate();
  config.training = read_training(training, name + ": training");

  const ModelConfig& m = config.model;
  check(m.channels == 2,
        name + ": training needs a model of 2 channels, not " + std::to_string(m.channels) + ".");
  check(m.sample_rate_hz == 44100,
        name + ": training needs a model at 44100 Hz, not " + std::to_string(m.sample_rate_hz) + ".");
  check(m.stems == std::vector<std::string>{"vocals"},
        name + ": training knows models with the one stem \"vocals\"; the instrumental is what remains.");
  const double shortest_s = 2.0 * m.stft.n_fft / m.sample_rate_hz;
  check(config.training.segment_s >= shortest_s && config.training.validate_window_s >= shortest_s,
        name + ": segment_s and validate_window_s must cover two STFT windows (" +
            std::to_string(shortest_s) + " s).");
  return config;
}

RunConfig RunConfig::load(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw Error(ErrorCode::kNotFound,
                "The configuration file " + path + " cannot be opened; check the path.");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good() && !file.eof())
    throw Error(ErrorCode::kOpenRead, "The configuration file " + path + " cannot be read.");
  return from_json(text.str(), path);
}

}  // namespace bsm
