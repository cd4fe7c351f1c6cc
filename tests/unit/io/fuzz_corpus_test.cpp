// Replays the corpus of the fuzz targets (tests/fuzz): seeds, and what fuzzing once found. Names say what
// must happen.
#include <gtest/gtest.h>

#include <algorithm>

#include "archives.h"
#include "core/error.h"
#include "io/safetensors.h"
#include "io/torch_archive.h"

namespace bsm {
namespace {

using Parser = Checkpoint (*)(const std::byte*, size_t, const std::string&);

void replay(const std::string& folder, Parser parse) {
  int good = 0, bad = 0;
  for (const auto& file : std::filesystem::directory_iterator(BSM_FUZZ_CORPUS_DIR "/" + folder)) {
    SCOPED_TRACE(file.path().string());
    std::string name = file.path().filename(), content = test::read_file(file.path());
    if (name.starts_with("pickle-")) {
      name.erase(0, 7);
      content = test::torch_zip(content);
    }
    ASSERT_TRUE(name.starts_with("good-") || name.starts_with("bad-"));
    try {
      const Checkpoint checkpoint = parse(test::as_bytes(content), content.size(), name);
      for (const TensorEntry& tensor : checkpoint.tensors())
        EXPECT_EQ(tensor.to_float().size(), static_cast<size_t>(tensor.elements()));
      EXPECT_TRUE(name.starts_with("good-"));
      ++good;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kWrongType);
      EXPECT_TRUE(name.starts_with("bad-")) << error.what();
      ++bad;
    }
  }
  EXPECT_GE(good, 2);
  EXPECT_GE(bad, 2);
}

TEST(FuzzCorpus, Safetensors) { replay("safetensors", parse_safetensors); }
TEST(FuzzCorpus, TorchArchive) { replay("torch_archive", parse_torch_archive); }

}  // namespace
}  // namespace bsm
