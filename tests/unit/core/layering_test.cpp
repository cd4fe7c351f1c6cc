// The directions in which folders may include each other, and which folders may see which library, checked on
// the include lines of the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

using Folders = std::set<std::string>;

/// Folders of src/ (and gst/), each with the folders whose headers it may include.
const std::map<std::string, Folders> kMayInclude = {
    {"core", {"core"}},
    {"dsp", {"core", "dsp"}},
    {"io", {"core", "io"}},
    {"nn", {"core", "dsp", "io", "nn"}},
    {"separate", {"core", "dsp", "io", "nn", "separate"}},
    {"engine", {"core", "dsp", "io", "nn", "separate", "engine"}},
    {"eval", {"core", "eval"}},
    {"train", {"core", "dsp", "io", "nn", "separate", "eval", "train"}},
    {"bench", {"core", "dsp", "io", "nn", "separate", "train", "bench"}},
    {"cli", {"core", "dsp", "io", "nn", "separate", "engine", "eval", "train", "bench", "cli"}},
    {"pch", {}},
    {"gst", {"engine/engine.h"}},
};

struct Library {
  std::string name;
  std::vector<std::string> headers;  ///< beginnings of include names
  Folders users;
};

const std::vector<Library> kLibraries = {
    {"LibTorch", {"torch/", "ATen/", "c10/", "caffe2/"}, {"nn", "separate", "engine", "train", "bench", "cli", "pch"}},
    {"FFTW", {"fftw3"}, {"dsp"}},
    {"libsndfile", {"sndfile"}, {"io"}},
    {"libsoxr", {"soxr"}, {"io"}},
    {"zlib", {"zlib.h"}, {"io"}},
    {"GStreamer", {"gst/"}, {"gst"}},
    {"CLI11", {"CLI/"}, {"cli"}},
    {"CUDA", {"cuda"}, {"nn", "bench"}},
};

/// The include lines of `text` that a file at `path` (src/FOLDER/... or gst/...) may not have, one sentence
/// each.
std::vector<std::string> violations(const fs::path& path, const std::string& text) {
  const auto part = [&](int n) { return std::next(path.begin(), n)->string(); };
  const std::string folder = part(0) == "gst" ? "gst" : part(1);
  const auto rule = kMayInclude.find(folder);
  if (rule == kMayInclude.end())
    return {path.string() + ": the folder " + folder + " has no rule in this test"};

  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t'; }),
               line.end());
    if (!line.starts_with("#include\"") && !line.starts_with("#include<")) continue;
    const bool own = line[8] == '"';
    const std::string name = line.substr(9, line.find_first_of(">\"", 9) - 9);
    bool allowed = true;
    if (own && name.find("..") != std::string::npos) {
      allowed = false;  // would go around the rules
    } else if (own && name.find('/') != std::string::npos) {
      allowed = rule->second.count(name.substr(0, name.find('/'))) || rule->second.count(name);
    } else if (!own) {
      for (const Library& library : kLibraries)
        for (const std::string& header : library.headers)
          if (name.starts_with(header) && !library.users.count(folder)) allowed = false;
      // Kernels are compiled by nvcc alone, which must not meet LibTorch's headers.
      if (path.extension() == ".cu" && (name.starts_with("torch/") || name.starts_with("ATen/")))
        allowed = false;
    }
    if (!allowed) out.push_back(path.string() + " includes " + name);
  }
  return out;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Layering, EveryIncludeOfTheSourcesIsAllowed) {
  const fs::path root = BSM_SOURCE_ROOT;
  const Folders extensions = {".h", ".cpp", ".cu", ".cuh"};
  std::set<std::string> folders;
  int files = 0;
  for (const char* top : {"src", "gst"})
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (!extensions.count(entry.path().extension())) continue;
      const fs::path path = fs::relative(entry.path(), root);
      for (const std::string& violation : violations(path, read(entry.path()))) ADD_FAILURE() << violation;
      folders.insert(*std::next(path.begin(), top == std::string("gst") ? 0 : 1));
      ++files;
    }
  // The walk saw the sources: every folder that has a rule is there.
  EXPECT_EQ(folders.size(), kMayInclude.size());
  EXPECT_GT(files, 50);
}

TEST(Layering, TheCheckFindsWhatIsForbidden) {
  const auto count = [](const char* path, const char* line) { return violations(path, line).size(); };
  EXPECT_EQ(count("src/io/a.cpp", "#include \"core/error.h\"\n#include <vector>\n#include \"io/zip.h\""), 0u);
  EXPECT_EQ(count("src/nn/cuda/a.cpp", "#include \"nn/mixer.h\"\n#include <torch/types.h>"), 0u);
  EXPECT_EQ(count("gst/a.cpp", "#include \"engine/engine.h\"\n#include \"worker.h\"\n#include <gst/gst.h>"),
            0u);
  EXPECT_EQ(count("src/core/a.h", "#include \"io/zip.h\""), 1u);
  EXPECT_EQ(count("src/dsp/a.cpp", "  #  include \"io/zip.h\""), 1u);
  EXPECT_EQ(count("src/io/a.cpp", "#include \"../nn/config.h\""), 1u);
  EXPECT_EQ(count("src/io/a.cpp", "#include <torch/torch.h>\n#include <fftw3.h>"), 2u);
  EXPECT_EQ(count("src/eval/a.cpp", "#include \"dsp/stft.h\""), 1u);
  EXPECT_EQ(count("src/train/a.cpp", "#include \"engine/engine.h\""), 1u);
  EXPECT_EQ(count("src/nn/cuda/a.cu", "#include <ATen/ATen.h>"), 1u);
  EXPECT_EQ(
      count("gst/a.cpp", "#include \"engine/other.h\"\n#include \"core/log.h\"\n#include <torch/torch.h>"),
      3u);
  EXPECT_EQ(count("src/engine/a.cpp", "#include <gst/gst.h>"), 1u);
  EXPECT_EQ(count("src/elsewhere/a.cpp", ""), 1u);
}

}  // namespace
