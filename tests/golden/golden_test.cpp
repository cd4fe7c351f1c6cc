// Holds the networks to what the authors' published graph computed: every *.safetensors in the folders that
// BSMAMBA2_GOLDEN_DIR names (colon separated), by default the shared golden folder where there is one, else
// the fixture that is committed beside this file. Whatever a fixture holds of spectrograms, activations and
// audio is compared; the .ckpt files beside them must load. Prints each file's name with its largest errors.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "core/error.h"
#include "dsp/stft.h"
#include "nn/weights.h"

namespace bsm {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

// Expected agreement of float32 with the fixtures' float64 computation.
constexpr double kActivationTolerance = 2e-4;  // of the largest absolute value
constexpr double kAudioTolerance = 1e-5;       // absolute
constexpr double kStftTolerance = 1e-5;        // of the largest absolute value

std::vector<fs::path> golden_folders() {
  std::vector<fs::path> folders;
  if (const char* named = std::getenv("BSMAMBA2_GOLDEN_DIR"); named != nullptr && *named != '\0') {
    std::istringstream list(named);
    for (std::string folder; std::getline(list, folder, ':');)
      if (!folder.empty()) folders.emplace_back(folder);
    return folders;
  }
  return {fs::is_directory(BSM_SHARED_GOLDEN) ? BSM_SHARED_GOLDEN : BSM_COMMITTED_GOLDEN};
}

std::vector<fs::path> golden_files(const std::vector<std::string>& extensions) {
  std::vector<fs::path> files;
  for (const fs::path& folder : golden_folders()) {
    std::error_code error;  // a folder that cannot be read is the failure of FixturesAreThere
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (std::find(extensions.begin(), extensions.end(), entry.path().extension()) != extensions.end())
        files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Test names allow letters, digits and underscores.
std::string test_name(const testing::TestParamInfo<fs::path>& info) {
  std::string name = std::to_string(info.index) + "_" + info.param.stem().string();
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

Tensor to_tensor(const TensorEntry& entry) {
  const std::vector<float> values = entry.to_float();
  return torch::from_blob(const_cast<float*>(values.data()), entry.shape, torch::kFloat32).clone();
}

double largest_error(const Tensor& actual, const Tensor& expected) {
  return (actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>();
}

TEST(Golden, FixturesAreThere) {
  for (const fs::path& folder : golden_folders()) EXPECT_TRUE(fs::is_directory(folder)) << folder;
  EXPECT_FALSE(golden_files({".safetensors"}).empty());
}

/// Spectrogram [T][bins][channels][2] as the fixtures hold it: [channels, bins, T, 2].
Tensor channels_first(const Tensor& frames, int64_t bins, int64_t channels) {
  return frames.reshape({-1, bins, channels, 2}).permute({2, 1, 0, 3});
}

class GoldenNetwork : public testing::TestWithParam<fs::path> {
 protected:
  GoldenNetwork() : checkpoint_(Checkpoint::open(GetParam())), network_(load_network(GetParam())) {}

  /// Compares where the fixture holds `name`; dimensions of size 1 may be missing on either side.
  /// @param tolerance of the largest absolute value when `relative`, else absolute
  void compare(const std::string& name, const Tensor& actual, double tolerance, bool relative) {
    const TensorEntry* entry = checkpoint_.find(name);
    if (entry == nullptr) return;
    const Tensor expected = to_tensor(*entry);
    ASSERT_EQ(actual.numel(), expected.numel())
        << name << ": " << actual.sizes() << " and " << expected.sizes();
    const double scale = relative ? expected.abs().max().item<double>() : 1.0;
    const double error = largest_error(actual.reshape(expected.sizes()), expected) / scale;
    EXPECT_LT(error, tolerance) << name;
    ++compared_;
    for (auto& [group, largest] : errors_)
      if (name.compare(0, group.size(), group) == 0) largest = std::max(largest, error);
  }

  /// Computes what the fixture holds, and compares it.
  void hold_to_fixture();

  void print_errors() const {
    std::cout << GetParam().filename().string() << ":";
    for (const auto& [group, error] : errors_)
      if (error >= 0) std::cout << "  " << group << " " << error;
    std::cout << "  (" << compared_ << " compared)" << std::endl;
  }

  Checkpoint checkpoint_;
  SeparationNetwork network_;
  int compared_ = 0;
  std::vector<std::pair<std::string, double>> errors_ = {
      {"stft.mixture", -1}, {"activations.", -1}, {"stft.estimate", -1}, {"audio.estimate", -1}};
};

void GoldenNetwork::hold_to_fixture() {
  const TensorEntry* mixture_entry = checkpoint_.find("audio.mixture");
  ASSERT_NE(mixture_entry, nullptr) << "a fixture needs its input, audio.mixture [channels, samples]";
  const ModelConfig& config = network_->config();
  const int64_t channels = config.channels, samples = mixture_entry->shape.back(), bins = config.stft.bins();
  const Tensor mixture = to_tensor(*mixture_entry).contiguous();
  ASSERT_EQ(mixture.numel(), channels * samples);

  AudioBuffer audio(static_cast<int>(channels), samples);
  std::copy_n(mixture.data_ptr<float>(), mixture.numel(), audio.samples.begin());
  FrameTransform transform(config.stft);
  Spectrogram spectrogram = stft(audio, transform);
  const int64_t T = spectrogram.frames;
  const Tensor frames = torch::from_blob(spectrogram.values.data(), {1, T, spectrogram.frame_size()}).clone();
  compare("stft.mixture", channels_first(frames, bins, channels), kStftTolerance, true);

  network_->set_activation_hook([&](const std::string& name, const Tensor& x) {  // x [1, T, K, D]
    const bool time = name.size() > 5 && name.compare(name.size() - 5, 5, ".time") == 0;
    compare("activations." + name, time ? x.transpose(1, 2) : x, kActivationTolerance, true);
  });
  torch::InferenceMode inference;
  const Tensor estimates = apply_masks(network_->forward(frames), frames);  // [1, S, T, F]
  network_->set_activation_hook(nullptr);

  const int64_t stems = estimates.size(1);
  std::vector<Tensor> spectra, waves;
  for (int64_t s = 0; s < stems; ++s) {
    const Tensor estimate = estimates[0][s].contiguous();
    spectra.push_back(channels_first(estimate, bins, channels));
    std::copy_n(estimate.data_ptr<float>(), estimate.numel(), spectrogram.values.begin());
    AudioBuffer wave = istft(spectrogram, samples, transform);
    waves.push_back(torch::from_blob(wave.samples.data(), {channels, samples}).clone());
  }
  compare("stft.estimate", torch::stack(spectra), kActivationTolerance, true);
  compare("audio.estimate", torch::stack(waves), kAudioTolerance, false);
  EXPECT_GT(compared_, 0) << "the fixture holds nothing to compare with";
  print_errors();
}

TEST_P(GoldenNetwork, FusedOperatorsComputeWhatTheFixtureHolds) {
  network_->prepare_inference();
  hold_to_fixture();
}

TEST_P(GoldenNetwork, PlainOperatorsComputeWhatTheFixtureHolds) { hold_to_fixture(); }

INSTANTIATE_TEST_SUITE_P(Files, GoldenNetwork, testing::ValuesIn(golden_files({".safetensors"})), test_name);

/// The public checkpoint layouts: the fixtures' weights as PyTorch archives.
class GoldenArchive : public testing::TestWithParam<fs::path> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenArchive);

TEST_P(GoldenArchive, LoadsAsTheNetworkOfTheFixtureBesideIt) {
  const SeparationNetwork archive = load_network(GetParam());
  const auto loaded = archive->named_parameters();
  bool matched = false;
  for (const fs::path& fixture : golden_files({".safetensors"})) {
    if (fixture.parent_path() != GetParam().parent_path()) continue;
    const SeparationNetwork network = load_network(fixture);
    if (!(network->config() == archive->config())) continue;
    matched = true;
    for (const auto& parameter : network->named_parameters())
      EXPECT_TRUE(torch::equal(loaded[parameter.key()], parameter.value())) << parameter.key();
  }
  EXPECT_TRUE(matched) << "no fixture of the same sizes beside " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenArchive, testing::ValuesIn(golden_files({".ckpt", ".pt", ".pth"})),
                         test_name);

}  // namespace
}  // namespace bsm
