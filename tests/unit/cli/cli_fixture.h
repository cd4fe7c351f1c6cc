// Runs the program on files of a temporary folder: as a function where its output is what matters, as a
// process (which loads LibTorch, half a second) where the process is.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/audio.h"

namespace bsm::test {

struct Result {
  int status = -1;  ///< exit status, or minus the number of the signal that ended it
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

/// Runs `bsmamba2 arguments...` inside the test.
Result run_program(const std::vector<std::string>& arguments);

/// Runs the built program; `environment` is added to that of the test.
Result run_process(const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment = {});

/// Starts the program without waiting; its output goes to the test's, or to a file. Returns its process id.
int start_program(const std::vector<std::string>& arguments, const std::string& output_file = "");

/// Waits for it; status as in Result.
int wait_for(int process);

/// A folder of its own for each test, removed at its end.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest();
  ~ProgramTest() override;

  /// Absolute path of a file in the folder; missing parent folders are made.
  std::string path(const std::string& name) const;
  bool exists(const std::string& name) const;
  /// Names of all files in the folder and below, relative to it, sorted.
  std::vector<std::string> files(const std::string& below = "") const;

 private:
  std::string root_;
};

/// A tiny model with random weights, made once by `bsmamba2 convert --random`.
const std::string& tiny_model();
/// Its configuration as JSON.
std::string tiny_config();

/// Writes a file of the given bytes.
void write_text(const std::string& path, const std::string& text);

/// Seeded noise below `peak`.
AudioBuffer noise(int channels, int64_t frames, unsigned seed, float peak = 0.5f);
/// Writes 32-bit float WAV.
void write_wav(const std::string& path, const AudioBuffer& audio, int sample_rate_hz = 44100);
AudioBuffer read(const std::string& path, int sample_rate_hz = 44100);

/// Every sample of `whole` equals the float sum or difference it was made of: rest == whole - part, bit by
/// bit.
void expect_rest(const AudioBuffer& whole, const AudioBuffer& part, const AudioBuffer& rest);
double largest(const AudioBuffer& audio);
double largest_difference(const AudioBuffer& a, const AudioBuffer& b);

}  // namespace bsm::test
