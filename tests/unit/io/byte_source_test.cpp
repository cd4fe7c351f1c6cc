// Files that are shortened or overwritten while they are read: an error or the old values, never a signal.
#include "io/byte_source.h"

#include <gtest/gtest.h>

#include <functional>

#include "archives.h"
#include "core/error.h"
#include "io/safetensors.h"
#include "io/torch_archive.h"

namespace bsm {
namespace {

using test::read_file;
using test::TemporaryFolder;
using test::write_file;

constexpr const char* kTorchFile = BSM_FIXTURES_DIR "/torch_plain.pt";

/// More than a page, so that a mapping of the file would lose pages with its end.
const std::vector<float> kValues(100'000, 0.5f);

void write_model(const std::string& path) {
  write_safetensors(path,
                    {{"w",
                      DType::kF32,
                      {static_cast<int64_t>(kValues.size())},
                      reinterpret_cast<const std::byte*>(kValues.data()),
                      kValues.size() * sizeof(float)}},
                    {});
}

void expect_shorter(const std::string& path, const std::function<void()>& read) {
  try {
    read();
    ADD_FAILURE() << path << " was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOpenRead);
    EXPECT_NE(std::string(error.what()).find(path + " became shorter"), std::string::npos) << error.what();
  }
}

TEST(ByteSource, CopiesRanges) {
  const TemporaryFolder folder;
  write_file(folder / "f", "0123456789");
  const std::string memory = "0123456789";
  for (const ByteSource& source :
       {ByteSource::open(folder / "f"), ByteSource::of_memory(test::as_bytes(memory), 10, "f")}) {
    EXPECT_EQ(source.size(), 10u);
    const Bytes some = source.read(3, 4);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(some.data.get()), some.size), "3456");
    EXPECT_EQ(source.read(10, 0).size, 0u);
    EXPECT_THROW(source.read(7, 4), Error);
    EXPECT_THROW(source.read(~uint64_t{0}, 1), Error);
  }
}

TEST(ByteSource, ReadsNoMoreThanAModelCanHave) {
  const TemporaryFolder folder;
  write_file(folder / "huge", "");
  std::filesystem::resize_file(folder / "huge", uintmax_t{17} << 30);  // a hole, which needs no disk
  const ByteSource huge = ByteSource::open(folder / "huge");
  try {
    huge.read(0, huge.size());
    ADD_FAILURE() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
  }
}

TEST(ByteSource, TruncatedBetweenOpenAndReadIsAnError) {
  const TemporaryFolder folder;
  const std::string model = folder / "m.safetensors", archive = folder / "m.pt";
  write_model(model);
  write_file(archive, read_file(kTorchFile));
  const ByteSource open_model = ByteSource::open(model), open_archive = ByteSource::open(archive);
  for (const uintmax_t left : {uintmax_t{5000}, uintmax_t{20}, uintmax_t{0}}) {
    std::filesystem::resize_file(model, left);
    expect_shorter(model, [&] { read_safetensors(open_model); });
  }
  std::filesystem::resize_file(archive, std::filesystem::file_size(archive) / 2);
  expect_shorter(archive, [&] { read_torch_archive(open_archive); });
}

TEST(ByteSource, ACheckpointOutlivesItsFile) {
  const TemporaryFolder folder;
  const std::string model = folder / "m.safetensors", archive = folder / "m.pt";
  write_model(model);
  write_file(archive, read_file(kTorchFile));
  const Checkpoint from_model = Checkpoint::open(model), from_archive = Checkpoint::open(archive);
  const std::vector<float> whole = from_archive.find("whole")->to_float();
  write_file(archive, std::string(std::filesystem::file_size(archive), 'x'));  // in place: the same inode
  EXPECT_EQ(from_archive.find("whole")->to_float(), whole);
  write_file(model, "");
  EXPECT_EQ(from_model.find("w")->to_float(), kValues);
}

}  // namespace
}  // namespace bsm
