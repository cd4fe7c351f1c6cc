#include "nn/config.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"

namespace bsm {
namespace {

TEST(Config, DefaultBandsCoverThe1025Bins) {
  const auto bins = ModelConfig::default_band_bins();
  EXPECT_EQ(bins.size(), 62u);
  EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), 0), 1025);
  EXPECT_EQ(bins[23], 2);
  EXPECT_EQ(bins[24], 4);
  EXPECT_EQ(bins[61], 129);
}

TEST(Config, EmptyObjectIsThePublishedNetwork) { EXPECT_EQ(ModelConfig::from_json("{}"), ModelConfig{}); }

TEST(Config, EveryFieldSurvivesJson) {
  ModelConfig config;
  config.dim = 48;
  config.depth = 3;
  config.mask_expand = 2;
  config.channels = 1;
  config.sample_rate_hz = 48000;
  config.time_direction = TimeDirection::kForward;
  config.stft = {512, 400, 160};
  config.band_bins = {100, 157};
  config.stems = {"vocals", "drums"};
  config.mamba2 = {2, 16, 32, 3};
  config.transformer = {6, 8, 2};
  EXPECT_EQ(ModelConfig::from_json(config.to_json()), config);
  config.kind = BlockKind::kTransformer;
  config.time_direction = TimeDirection::kBoth;
  EXPECT_EQ(ModelConfig::from_json(config.to_json()), config);
}

TEST(Config, NestedObjectsKeepTheirOtherDefaults) {
  const ModelConfig config = ModelConfig::from_json(R"({"mamba2": {"expand": 2}, "stft": {"hop": 512}})");
  EXPECT_EQ(config.mamba2, (Mamba2Sizes{2, 128, 64, 4}));
  EXPECT_EQ(config.stft.hop, 512);
  EXPECT_EQ(config.stft.n_fft, 2048);
}

struct BadCase {
  const char* json;
  const char* mentions;  // what the message must name
};

void PrintTo(const BadCase& bad, std::ostream* out) { *out << bad.json; }

class BadConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, IsRefusedByName) {
  try {
    ModelConfig::from_json(GetParam().json);
    FAIL() << "accepted " << GetParam().json;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
    EXPECT_NE(std::string(error.what()).find(GetParam().mentions), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadConfig,
    testing::Values(
        BadCase{"", "not valid JSON"}, BadCase{"[1]", "config must be a JSON object"},
        BadCase{R"({"dmi": 3})", "dmi"}, BadCase{R"({"mamba2": {"sate": 3}})", "sate"},
        BadCase{R"({"dim": "64"})", "config.dim"}, BadCase{R"({"dim": 64.5})", "config.dim"},
        BadCase{R"({"dim": null})", "config.dim"}, BadCase{R"({"dim": 0})", "dim"},
        BadCase{R"({"dim": 99999999999})", "dim"}, BadCase{R"({"depth": -1})", "depth"},
        BadCase{R"({"kind": "mamba"})", "bsroformer"}, BadCase{R"({"kind": ""})", "bsroformer"},
        BadCase{R"({"channels": 3})", "channels"}, BadCase{R"({"stft": 5})", "config.stft"},
        BadCase{R"({"stft": {"hop": 0}})", "stft.hop"}, BadCase{R"({"stft": {"n_fft": 2047}})", "n_fft"},
        BadCase{R"({"stft": {"win": 4096}})", "stft.win"}, BadCase{R"({"band_bins": [1024]})", "1025"},
        BadCase{R"({"band_bins": []})", "band_bins"}, BadCase{R"({"band_bins": [1026, -1]})", "band_bins"},
        BadCase{R"({"band_bins": [1.5]})", "band_bins[0]"}, BadCase{R"({"stems": []})", "stems"},
        BadCase{R"({"stems": ["a", "a"]})", "twice"}, BadCase{R"({"stems": [""]})", "stems[0]"},
        BadCase{R"({"mamba2": {"head_dim": 100}})", "head_dim"},
        BadCase{R"({"kind": "bsroformer", "time_direction": "forward"})", "time_direction"},
        BadCase{R"({"kind": "bsroformer", "transformer": {"head_dim": 5}})", "transformer.head_dim"}));

}  // namespace
}  // namespace bsm
