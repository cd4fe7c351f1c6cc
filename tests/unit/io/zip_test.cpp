// The zip directory: every form that PyTorch and common tools write, and the ways in which a file can lie
// about itself.
#include "io/zip.h"

#include <gtest/gtest.h>

#include "archives.h"
#include "core/error.h"

namespace bsm {
namespace {

using test::as_bytes;
using test::make_zip;
using test::ZipItem;

std::string content(const ZipArchive& zip, std::string_view name) {
  const ZipArchive::Entry* entry = zip.find(name);
  if (!entry) return "absent";
  const Bytes bytes = zip.read(*entry);
  return {reinterpret_cast<const char*>(bytes.data.get()), bytes.size};
}

ZipArchive open(const std::string& file) {
  return ZipArchive(ByteSource::of_memory(as_bytes(file), file.size(), "file.ckpt"));
}

bool checksum_matches(const ZipArchive& zip, std::string_view name) {
  const ZipArchive::Entry& entry = *zip.find(name);
  return ZipArchive::checksum_matches(entry, zip.read(entry));
}

std::string refusal(const std::string& file) {
  try {
    open(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
    EXPECT_NE(std::string(error.what()).find("file.ckpt"), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "was read";
  return {};
}

const std::vector<ZipItem> kItems = {
    {"a/data.pkl", "pickle"}, {"a/data/0", std::string("\0\1\2", 3)}, {"a/version", ""}};

void expect_items(const std::string& file) {
  const ZipArchive zip = open(file);
  EXPECT_EQ(zip.entries().size(), kItems.size());
  for (const ZipItem& item : kItems) {
    EXPECT_EQ(content(zip, item.name), item.data);
    EXPECT_TRUE(checksum_matches(zip, item.name));
  }
}

TEST(Zip, ReadsEveryFormOfDirectory) {
  expect_items(make_zip(kItems));
  expect_items(make_zip(kItems, {.zip64 = true}));
  expect_items(make_zip(
      kItems, {.comment = "a comment with PK\x05\x06 inside and enough after it to look like an end"}));
  expect_items(make_zip(kItems, {.comment = std::string(65535, 'x')}));
  std::vector<ZipItem> zip64 = kItems, described = kItems;
  for (ZipItem& item : zip64) item.zip64 = true;
  for (ZipItem& item : described) item.descriptor = true;
  expect_items(make_zip(zip64, {.zip64 = true}));
  expect_items(make_zip(described));
  EXPECT_EQ(open(make_zip({})).entries().size(), 0u);
}

TEST(Zip, FindsAWrongChecksum) {
  const std::string file = make_zip({{.name = "a", .data = "text", .checksum_error = 1}});
  EXPECT_FALSE(checksum_matches(open(file), "a"));
}

TEST(Zip, TruncatedAnywhereIsRefused) {
  const std::string file = make_zip(kItems);
  for (size_t size = 0; size < file.size(); ++size) refusal(file.substr(0, size));
}

TEST(Zip, EntriesMustBeStoredWhereTheyAreSaidToBe) {
  EXPECT_NE(refusal(make_zip({{.name = "a", .data = "text", .method = 8}})).find("compress"),
            std::string::npos);
  EXPECT_NE(refusal(make_zip({{.name = "a", .data = "text", .flags = 1}})).find("encrypted"),
            std::string::npos);
  EXPECT_NE(refusal(make_zip({{"a", "1"}, {"a", "2"}})).find("two entries"), std::string::npos);
  refusal(make_zip({{.name = "a", .data = "text", .size_error = 1000}}));
  refusal(make_zip({{.name = "a", .data = "text", .zip64 = true, .size_error = -5}}));  // almost 2^64 bytes
  refusal(make_zip({{.name = "a", .data = "text", .offset_error = 1}}));
  refusal(make_zip({{.name = "a", .data = "text", .offset_error = 1000}}));
  refusal(make_zip({{.name = "a", .data = "text", .zip64 = true, .offset_error = -1}}));  // 2^64 - 1
}

TEST(Zip, EntriesMustNotOverlap) {
  // Both names point to one entry, as in zip bombs.
  const ZipItem first{.name = "a", .data = "text"};
  const auto size = static_cast<int64_t>(make_zip({first}).size() - make_zip({}).size() - 46 - 1);
  EXPECT_NE(refusal(make_zip({first, {.name = "b", .data = "text", .offset_error = -size}})).find("overlap"),
            std::string::npos);
  // The first claims the bytes of the second as well.
  EXPECT_NE(
      refusal(make_zip({{.name = "a", .data = "text", .size_error = 20}, {"b", "text"}})).find("overlap"),
      std::string::npos);
}

TEST(Zip, DirectoriesMustFitTheFile) {
  for (const bool zip64 : {false, true}) {
    refusal(make_zip(kItems, {.zip64 = zip64, .directory_offset_error = 1}));
    refusal(make_zip(kItems, {.zip64 = zip64, .directory_offset_error = 1 << 20}));
    refusal(make_zip(kItems, {.zip64 = zip64, .directory_size_error = 1000}));
    refusal(make_zip(kItems, {.zip64 = zip64, .directory_size_error = -1}));
    refusal(make_zip(kItems, {.zip64 = zip64, .entries_error = 1}));
  }
  refusal(make_zip(kItems, {.zip64 = true, .directory_offset_error = -(int64_t{1} << 62)}));
  refusal(make_zip(kItems, {.zip64 = true, .directory_size_error = -(int64_t{1} << 62)}));
  refusal(make_zip(kItems, {.zip64 = true, .entries_error = -4}));  // almost 2^64 entries
}

TEST(Zip, AZip64LocatorMustPointIntoTheFile) {
  std::string file = make_zip(kItems, {.zip64 = true});
  const size_t locator = file.size() - 22 - 20;
  for (const uint64_t at : {uint64_t{0}, uint64_t{file.size()}, ~uint64_t{0}, ~uint64_t{0} - 40}) {
    file.replace(locator + 8, 8, test::bytes_of(at));
    refusal(file);
  }
}

}  // namespace
}  // namespace bsm
