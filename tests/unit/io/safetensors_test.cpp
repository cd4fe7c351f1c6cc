// The safetensors reader and writer: what is written comes back, and what the format forbids is refused.
#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>
#include <limits>

#include "archives.h"
#include "core/error.h"

namespace bsm {
namespace {

using test::as_bytes;
using test::bytes_of;

std::string with_header(const std::string& json, size_t data_bytes) {
  return bytes_of<uint64_t>(json.size()) + json + std::string(data_bytes, '\1');
}

/// The sentence with which `file` is refused; fails the test when it is read, or refused with another code.
std::string refusal(const std::string& file) {
  try {
    parse_safetensors(as_bytes(file), file.size(), "file.safetensors");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
    return error.what();
  }
  ADD_FAILURE() << "was read: " << file.substr(0, 200);
  return {};
}

std::string refusal(const std::string& json, size_t data_bytes) {
  return refusal(with_header(json, data_bytes));
}

TEST(Safetensors, WhatIsWrittenComesBack) {
  const test::TemporaryFolder folder;
  const std::vector<float> weights = {1, -2, 3.5f, 4, 5, 6};
  const auto halves = encode_floats(weights.data(), 3, DType::kF16);
  const std::vector<TensorEntry> tensors = {
      {"z.first", DType::kF16, {3}, halves.data(), halves.size()},
      {"a.second \"\xc3\xa4\"", DType::kF32, {2, 3}, reinterpret_cast<const std::byte*>(weights.data()), 24},
      {"empty", DType::kI64, {0, 4}, nullptr, 0},
      {"scalar", DType::kF32, {}, reinterpret_cast<const std::byte*>(weights.data() + 2), 4}};
  const std::map<std::string, std::string> metadata = {{"config", "{\"dim\": 32}"}, {"note", "line\nline"}};
  write_safetensors(folder / "m.safetensors", tensors, metadata);

  EXPECT_FALSE(std::filesystem::exists(folder / "m.safetensors.part"));
  const Checkpoint read = Checkpoint::open(folder / "m.safetensors");
  EXPECT_EQ(read.layout(), CheckpointLayout::kSafetensors);
  EXPECT_EQ(read.metadata(), metadata);
  EXPECT_EQ(read.path(), folder / "m.safetensors");
  ASSERT_EQ(read.tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(read.tensors()[i].name, tensors[i].name);
    EXPECT_EQ(read.tensors()[i].dtype, tensors[i].dtype);
    EXPECT_EQ(read.tensors()[i].shape, tensors[i].shape);
    EXPECT_EQ(read.tensors()[i].to_float(), tensors[i].to_float());
  }
  EXPECT_EQ(read.find("scalar")->to_float(), std::vector<float>{3.5f});
  EXPECT_EQ(read.find("absent"), nullptr);
  // Aligned for readers that map the file.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(read.tensors()[0].data) % 8, 0u);
}

TEST(Safetensors, ReadsTheExampleOfTheFormatsDescription) {
  const std::string file = with_header(
      R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]},"__metadata__":{"foo":"bar"}}   )", 16);
  const Checkpoint read = parse_safetensors(as_bytes(file), file.size(), "name");
  EXPECT_EQ(read.tensors().at(0).shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(read.tensors().at(0).to_float(), std::vector<float>(4, 0x01010101));
  EXPECT_EQ(read.metadata().at("foo"), "bar");
}

TEST(Safetensors, DataLiveAsLongAsTheCheckpoint) {
  const test::TemporaryFolder folder;
  const std::vector<float> values(1000, 2.0f);
  write_safetensors(folder / "m",
                    {{"w", DType::kF32, {1000}, reinterpret_cast<const std::byte*>(values.data()), 4000}},
                    {});
  Checkpoint moved = [&] { return read_safetensors(folder / "m"); }();
  std::filesystem::remove(folder / "m");
  const Checkpoint copy = moved;
  moved = Checkpoint();
  EXPECT_EQ(copy.find("w")->to_float(), values);
}

TEST(Safetensors, TruncatedAnywhereIsRefused) {
  const std::string file = with_header(R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}})", 32);
  ASSERT_EQ(parse_safetensors(as_bytes(file), file.size(), "whole").tensors().size(), 1u);
  for (size_t size = 0; size < file.size(); ++size) refusal(file.substr(0, size));
  refusal(file + "x");
}

TEST(Safetensors, HeaderLengthIsCheckedBeforeUse) {
  EXPECT_NE(refusal(bytes_of(std::numeric_limits<uint64_t>::max()) + "{}").find("18446744073709551615"),
            std::string::npos);
  refusal(bytes_of<uint64_t>(3) + "{}");
  refusal(bytes_of<uint64_t>(0));
  // Longer than the format's limit, though the file has the bytes.
  std::string long_header = "{}";
  long_header.resize(100'000'001, ' ');
  EXPECT_NE(refusal(long_header, 0).find("100000000"), std::string::npos);
}

TEST(Safetensors, OffsetsMustFillTheDataExactly) {
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)") + a +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}";
  };
  const std::string good = with_header(two("[4,8]", "[0,4]"), 8);
  ASSERT_EQ(parse_safetensors(as_bytes(good), good.size(), "any order").tensors().size(), 2u);
  refusal(two("[0,4]", "[0,4]"), 4);    // the same bytes twice
  refusal(two("[0,4]", "[2,6]"), 6);    // overlap
  refusal(two("[0,4]", "[8,12]"), 12);  // hole
  refusal(two("[4,8]", "[8,12]"), 12);  // hole at the beginning
  refusal(two("[0,4]", "[4,8]"), 12);   // rest at the end
  refusal(two("[0,4]", "[4,8]"), 4);    // past the end
  refusal(two("[0,4]", "[8,4]"), 8);    // backwards
  refusal(two("[0,4]", "[4,18446744073709551615]"), 8);
}

TEST(Safetensors, ShapesMustFitTheBytes) {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& end) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,)" + end + "]}}";
  };
  EXPECT_NE(refusal(one("F32", "[3]", "8"), 8).find("tensor a"), std::string::npos);
  refusal(one("F32", "[-2]", "8"), 8);
  refusal(one("F32", "[2.0]", "8"), 8);
  refusal(one("F32", "[4611686018427387904]", "0"), 0);      // times 4 bytes is 0 in 64 bits
  refusal(one("F32", "[4294967296,4294967296]", "0"), 0);    // elements are 0 in 64 bits
  refusal(one("F32", "[9223372036854775808]", "0"), 0);      // above int64
  refusal(one("F32", "[99999999999999999999999]", "0"), 0);  // above uint64
  EXPECT_NE(refusal(one("F8_E4M3", "[8]", "8"), 8).find("F8_E4M3"), std::string::npos);
  std::string many = "[1";
  for (int i = 0; i < 100; ++i) many += ",1";
  refusal(one("F32", many + "]", "4"), 4);
}

TEST(Safetensors, HeadersOfAnotherFormAreRefused) {
  const std::string fields = R"("dtype":"U8","shape":[1],"data_offsets":[0,1])";
  for (const std::string& json : {std::string("[]"),
                                  std::string("{"),
                                  std::string("{} {}"),
                                  std::string(" {}"),
                                  std::string("\xef\xbb\xbf{}"),
                                  std::string("{\"a\":1}"),
                                  std::string("{\"a\":null}"),
                                  std::string("{\"a\":[]}"),
                                  std::string("{\"a\":{}}"),
                                  std::string("{\"\xff\":{}}"),
                                  std::string("{'a':{}}"),
                                  std::string("nonsense"),
                                  "{\"a\":{" + fields + ",}}",                  // JSON allows no last comma
                                  "{\"a\":{" + fields + ",\"extra\":1}}",       // unknown field
                                  "{\"a\":{" + fields + ",\"dtype\":\"U8\"}}",  // field twice
                                  "{\"a\":{" + fields + "},\"a\":{" + fields + "}}",  // name twice
                                  std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})"),
                                  std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})"),
                                  std::string(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})"),
                                  std::string(R"({"a":{"dtype":{},"shape":[1],"data_offsets":[0,1]}})"),
                                  std::string(R"({"a":{"dtype":"U8","shape":[1]}})"),
                                  std::string(R"({"__metadata__":{"a":1}})"),
                                  std::string(R"({"__metadata__":"a"})"),
                                  std::string(R"({"__metadata__":{"a":{}}})"),
                                  std::string(R"({"__metadata__":{"a":"b","a":"b"}})"),
                                  std::string(R"({"__metadata__":{},"__metadata__":{}})"),
                                  "{\"a\":" + std::string(1'000'000, '['),
                                  "{\"a\":" + std::string(1'000'000, '{')}) {
    SCOPED_TRACE(json.substr(0, 80));
    EXPECT_NE(refusal(json, json.find("[0,1]") == std::string::npos ? 0 : 1).find("file.safetensors"),
              std::string::npos);
  }
}

TEST(Safetensors, WriterRefusesWhatNoReaderTakes) {
  const test::TemporaryFolder folder;
  const float value = 1;
  const auto* data = reinterpret_cast<const std::byte*>(&value);
  const TensorEntry good{"w", DType::kF32, {1}, data, 4};
  EXPECT_THROW(write_safetensors(folder / "m", {good, good}, {}), Error);
  EXPECT_THROW(write_safetensors(folder / "m", {{"w", DType::kF32, {2}, data, 4}}, {}), Error);
  EXPECT_THROW(write_safetensors(folder / "m", {{"__metadata__", DType::kF32, {1}, data, 4}}, {}), Error);
  EXPECT_THROW(write_safetensors(folder / "m", {{"\xff", DType::kF32, {1}, data, 4}}, {}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "m"));
}

TEST(Safetensors, AFailedWriteLeavesTheOldFile) {
  const test::TemporaryFolder folder;
  const std::vector<float> values(100'000, 1.0f);
  const std::vector<TensorEntry> tensors = {
      {"w", DType::kF32, {100'000}, reinterpret_cast<const std::byte*>(values.data()), 400'000}};
  test::write_file(folder / "m", "old");
  try {
    write_safetensors(folder / "no-such-folder/m", tensors, {});
    ADD_FAILURE() << "was written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOpenWrite);
  }
  // A full disk, as far as a test can make one: writing past the limit fails with EFBIG.
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{100'000, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(write_safetensors(folder / "m", tensors, {}), Error);
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(test::read_file(folder / "m"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder / "m.part"));
  write_safetensors(folder / "m", tensors, {});
  EXPECT_EQ(read_safetensors(folder / "m").find("w")->to_float(), values);
}

}  // namespace
}  // namespace bsm
