#include "cli_fixture.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "cli/program.h"
#include "io/audio_file.h"

namespace bsm::test {

namespace fs = std::filesystem;

namespace {

std::vector<gchar*> argument_vector(const std::vector<std::string>& arguments) {
  static const std::string program = BSM_PROGRAM;
  std::vector<gchar*> vector = {const_cast<gchar*>(program.c_str())};
  for (const std::string& argument : arguments) vector.push_back(const_cast<gchar*>(argument.c_str()));
  vector.push_back(nullptr);
  return vector;
}

/// Test runners in the background hand down ignored signals.
void restore_signals(gpointer) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

/// Likewise, with the output in the file descriptor that `output` points to.
void restore_signals_redirect(gpointer output) {
  restore_signals(nullptr);
  dup2(*static_cast<int*>(output), STDOUT_FILENO);
  dup2(*static_cast<int*>(output), STDERR_FILENO);
}

int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status);
}

}  // namespace

Result run_program(const std::vector<std::string>& arguments) {
  const auto vector = argument_vector(arguments);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Result result;
  result.status = bsm::run_program(static_cast<int>(vector.size()) - 1, vector.data());
  result.err = testing::internal::GetCapturedStderr();
  result.out = testing::internal::GetCapturedStdout();
  return result;
}

Result run_process(const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment) {
  gchar** variables = g_get_environ();
  for (const auto& [name, value] : environment) {
    variables = g_environ_setenv(variables, name.c_str(), value.c_str(), TRUE);
  }
  gchar* out = nullptr;
  gchar* err = nullptr;
  gint wait_status = 0;
  GError* error = nullptr;
  auto vector = argument_vector(arguments);
  g_spawn_sync(nullptr, vector.data(), variables, G_SPAWN_DEFAULT, restore_signals, nullptr, &out, &err,
               &wait_status, &error);
  g_strfreev(variables);
  if (error != nullptr) throw std::runtime_error(error->message);
  Result result{exit_status(wait_status), out, err};
  g_free(out);
  g_free(err);
  return result;
}

int start_program(const std::vector<std::string>& arguments, const std::string& output_file) {
  GPid process = 0;
  GError* error = nullptr;
  auto vector = argument_vector(arguments);
  int output =
      output_file.empty() ? -1 : open(output_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_spawn_async(nullptr, vector.data(), nullptr, G_SPAWN_DO_NOT_REAP_CHILD,
                output < 0 ? restore_signals : restore_signals_redirect, &output, &process, &error);
  if (output >= 0) close(output);
  if (error != nullptr) throw std::runtime_error(error->message);
  return process;
}

int wait_for(int process) {
  int wait_status = 0;
  waitpid(process, &wait_status, 0);
  return exit_status(wait_status);
}

ProgramTest::ProgramTest() {
  gchar* folder = g_dir_make_tmp("bsmamba2-cli-XXXXXX", nullptr);
  root_ = folder;
  g_free(folder);
}

ProgramTest::~ProgramTest() { fs::remove_all(root_); }

std::string ProgramTest::path(const std::string& name) const {
  const fs::path full = fs::path(root_) / name;
  fs::create_directories(full.parent_path());
  return full.string();
}

bool ProgramTest::exists(const std::string& name) const { return fs::exists(fs::path(root_) / name); }

std::vector<std::string> ProgramTest::files(const std::string& below) const {
  std::vector<std::string> names;
  const fs::path folder = fs::path(root_) / below;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string tiny_config() {
  return R"({"dim": 16, "depth": 1, "mask_expand": 2, "stft": {"n_fft": 512, "win": 512, "hop": 128},
             "band_bins": [32, 32, 64, 129],
             "mamba2": {"expand": 2, "state": 8, "head_dim": 16, "conv_width": 4}})";
}

const std::string& tiny_model() {
  struct Maker {
    std::string folder;
    std::string model;
    Maker() {
      gchar* made = g_dir_make_tmp("bsmamba2-model-XXXXXX", nullptr);
      folder = made;
      g_free(made);
      model = folder + "/tiny.safetensors";
      write_text(folder + "/tiny.json", tiny_config());
      const Result result = run_program({"convert", "--random", folder + "/tiny.json", model, "--seed", "1"});
      if (result.status != 0) throw std::runtime_error("convert --random failed: " + result.err);
    }
    ~Maker() { fs::remove_all(folder); }
  };
  static const Maker maker;
  return maker.model;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

AudioBuffer noise(int channels, int64_t frames, unsigned seed, float peak) {
  AudioBuffer audio(channels, frames);
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-peak, peak);
  for (float& sample : audio.samples) sample = uniform(generator);
  return audio;
}

void write_wav(const std::string& path, const AudioBuffer& audio, int sample_rate_hz) {
  std::vector<float> interleaved(audio.samples.size());
  for (int64_t i = 0; i < audio.frames; ++i) {
    for (int c = 0; c < audio.channels; ++c) {
      interleaved[static_cast<size_t>(i * audio.channels + c)] = audio.channel(c)[i];
    }
  }
  AudioWriter writer(path, AudioFormat::kWavFloat32, sample_rate_hz, audio.channels);
  writer.write(interleaved.data(), audio.frames);
  writer.close();
}

AudioBuffer read(const std::string& path, int sample_rate_hz) {
  int rate_hz = 0;
  AudioBuffer audio = read_audio(path, &rate_hz);
  EXPECT_EQ(rate_hz, sample_rate_hz) << path;
  return audio;
}

void expect_rest(const AudioBuffer& whole, const AudioBuffer& part, const AudioBuffer& rest) {
  ASSERT_EQ(part.channels, whole.channels);
  ASSERT_EQ(rest.channels, whole.channels);
  ASSERT_EQ(part.frames, whole.frames);
  ASSERT_EQ(rest.frames, whole.frames);
  for (size_t i = 0; i < whole.samples.size(); ++i) {
    ASSERT_EQ(rest.samples[i], whole.samples[i] - part.samples[i]) << "sample " << i;
  }
}

double largest(const AudioBuffer& audio) {
  double value = 0;
  for (const float sample : audio.samples) value = std::max(value, std::abs(static_cast<double>(sample)));
  return value;
}

double largest_difference(const AudioBuffer& a, const AudioBuffer& b) {
  EXPECT_EQ(a.samples.size(), b.samples.size());
  double value = 0;
  for (size_t i = 0; i < std::min(a.samples.size(), b.samples.size()); ++i) {
    value = std::max(value, std::abs(static_cast<double>(a.samples[i]) - b.samples[i]));
  }
  return value;
}

}  // namespace bsm::test
