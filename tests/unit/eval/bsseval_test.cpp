// Scores against those of BSSEval v4 (see tests/golden/metrics/README.md).
#include <gtest/gtest.h>
#include <sndfile.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "eval/sdr.h"

namespace bsm::test {
namespace {

namespace fs = std::filesystem;

AudioBuffer read(const fs::path& stem, int* sample_rate_hz) {
  for (const char* extension : {".wav", ".flac"}) {
    SF_INFO info = {};
    const std::string path = stem.string() + extension;
    SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
    if (file == nullptr) continue;
    std::vector<float> interleaved(static_cast<size_t>(info.frames * info.channels));
    EXPECT_EQ(sf_readf_float(file, interleaved.data(), info.frames), info.frames) << path;
    sf_close(file);
    AudioBuffer audio(info.channels, info.frames);
    for (int c = 0; c < audio.channels; ++c)
      for (int64_t i = 0; i < audio.frames; ++i)
        audio.channel(c)[i] = interleaved[static_cast<size_t>(i * audio.channels + c)];
    *sample_rate_hz = info.samplerate;
    return audio;
  }
  ADD_FAILURE() << "no audio at " << stem;
  return {};
}

std::vector<fs::path> score_files() {
  std::vector<fs::path> folders = {BSM_GOLDEN_DIR};
  const char* more = std::getenv("BSMAMBA2_GOLDEN_DIR");
  std::istringstream list(more != nullptr ? more : "");
  for (std::string folder; std::getline(list, folder, ':');) folders.emplace_back(folder);
  std::vector<fs::path> files;
  for (const fs::path& folder : folders) {
    if (!fs::is_directory(folder / "metrics")) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder / "metrics"))
      if (entry.path().filename().string().ends_with("_scores.json")) files.push_back(entry.path());
  }
  return files;
}

TEST(Sdr, EqualsBssEvalV4) {
  const std::vector<fs::path> files = score_files();
  ASSERT_FALSE(files.empty());
  for (const fs::path& path : files) {
    SCOPED_TRACE(path);
    const auto expected = nlohmann::json::parse(std::ifstream(path)).at("protocol_vocals_only");
    std::string stem = path.string();
    stem.resize(stem.size() - std::string("scores.json").size());
    int rate_hz = 0;
    const AudioBuffer reference = read(stem + "reference_vocals", &rate_hz);
    const AudioBuffer estimate = read(stem + "estimate_vocals", &rate_hz);

    const auto windows = window_sdr_db(reference, estimate, rate_hz);
    const auto& expected_windows = expected.at("sdr_per_window");
    ASSERT_EQ(windows.size(), expected_windows.size());
    for (size_t i = 0; i < windows.size(); ++i) {
      ASSERT_EQ(windows[i].has_value(), !expected_windows[i].is_null()) << "window " << i;
      if (windows[i]) {
        EXPECT_NEAR(*windows[i], expected_windows[i].get<double>(), 1e-6) << "window " << i;
      }
    }
    if (expected.contains("cSDR")) {
      EXPECT_NEAR(chunk_sdr_db(reference, estimate, rate_hz).value(), expected["cSDR"].get<double>(), 1e-6);
    }
    if (expected.contains("uSDR")) {
      EXPECT_NEAR(utterance_sdr_db(reference, estimate), expected["uSDR"].get<double>(), 1e-6);
    }
  }
}

}  // namespace
}  // namespace bsm::test
