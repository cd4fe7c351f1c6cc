// PyTorch archives: what torch.save wrote (tests/fixtures) reads right, and archives made by hand to mislead
// are refused with a sentence.
#include "io/torch_archive.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "archives.h"
#include "core/error.h"
#include "core/log.h"

namespace bsm {
namespace {

using namespace std::string_literals;
using test::as_bytes;
using test::dict;
using test::num;
using test::pickle;
using test::storage;
using test::str;
using test::tensor;
using test::torch_zip;
using test::tuple;

const std::string kFixtures = BSM_FIXTURES_DIR "/";

std::vector<float> counting(size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(i);
  return out;
}

/// Keeps the archive beside what points into it.
struct Read {
  explicit Read(std::string file_)
      : file(std::move(file_)), checkpoint(parse_torch_archive(as_bytes(file), file.size(), "f.ckpt")) {}
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  std::vector<float> values(const std::string& name) const {
    const TensorEntry* entry = checkpoint.find(name);
    return entry ? entry->to_float() : std::vector<float>{-99};
  }
  std::string file;
  Checkpoint checkpoint;
};

std::string refusal(const std::string& file) {
  try {
    parse_torch_archive(as_bytes(file), file.size(), "f.ckpt");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
    EXPECT_NE(std::string(error.what()).find("f.ckpt"), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "was read";
  return {};
}

/// The six floats 0 to 5 of torch_zip under this view.
std::string view(int64_t offset, const std::string& shape, const std::string& strides, int64_t elements = 6,
                 std::string_view type = "FloatStorage") {
  return torch_zip(pickle(dict(str("w"), tensor(storage("0", elements, type), offset, shape, strides))));
}

TEST(TorchArchive, ReadsWhatTorchSaveWrites) {
  for (const char* name : {"torch_plain.pt", "torch_protocol4.pt"}) {
    SCOPED_TRACE(name);
    const Checkpoint read = Checkpoint::open(kFixtures + name);
    EXPECT_EQ(read.layout(), CheckpointLayout::kTorchPlain);
    ASSERT_EQ(read.tensors().size(), 17u);
    EXPECT_EQ(read.tensors().front().name, "f64");
    const std::pair<const char*, DType> types[] = {
        {"f64", DType::kF64},   {"f32", DType::kF32}, {"f16", DType::kF16},
        {"bf16", DType::kBF16}, {"i64", DType::kI64}, {"i32", DType::kI32},
        {"i16", DType::kI16},   {"i8", DType::kI8},   {"u8", DType::kU8}};
    for (const auto& [key, dtype] : types) {
      const TensorEntry* entry = read.find(key);
      ASSERT_TRUE(entry) << key;
      EXPECT_EQ(entry->dtype, dtype);
      EXPECT_EQ(entry->shape, (std::vector<int64_t>{2, 3}));
      EXPECT_EQ(entry->to_float(), counting(6)) << key;
    }
    EXPECT_EQ(read.find("boolean")->to_float(), (std::vector<float>{0, 1, 1}));
    EXPECT_EQ(read.find("scalar")->shape, std::vector<int64_t>{});
    EXPECT_EQ(read.find("scalar")->to_float(), std::vector<float>{7});
    EXPECT_EQ(read.find("empty")->shape, (std::vector<int64_t>{0, 5}));
    EXPECT_EQ(read.find("transposed")->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(read.find("transposed")->to_float(), counting(6));
    // Three views of one storage.
    EXPECT_EQ(read.find("whole")->to_float(), counting(24));
    EXPECT_EQ(read.find("row")->to_float(), (std::vector<float>{6, 7, 8, 9, 10, 11}));
    EXPECT_EQ(read.find("column")->to_float(), (std::vector<float>{2, 8, 14, 20}));
    EXPECT_EQ(read.find("row")->data, read.find("whole")->data + 6 * 4);
    EXPECT_EQ(read.find("permuted")->to_float(), counting(6));
  }
}

TEST(TorchArchive, ReadsParametersWithAttributes) {
  const Checkpoint read = Checkpoint::open(kFixtures + "torch_parameters.pt");
  EXPECT_EQ(read.find("parameter")->to_float(), counting(6));
  EXPECT_EQ(read.find("marked")->to_float(), counting(3));
  EXPECT_EQ(read.find("attribute")->to_float(), counting(2));
}

TEST(TorchArchive, FindsTheModelInALightningCheckpoint) {
  const Checkpoint read = Checkpoint::open(kFixtures + "torch_lightning.ckpt");
  EXPECT_EQ(read.layout(), CheckpointLayout::kTorchLightning);
  ASSERT_EQ(read.tensors().size(), 2u);  // neither the featurizer's window nor the optimizer's moments
  EXPECT_EQ(read.tensors()[0].name, "weight");
  EXPECT_EQ(read.tensors()[0].to_float(), counting(6));
  EXPECT_EQ(read.tensors()[1].name, "bias");
  EXPECT_TRUE(read.metadata().empty());
}

TEST(TorchArchive, StateDictWithoutPrefixKeepsItsNames) {
  const std::string w = tensor(storage("0", 6), 0, tuple(num(6)), tuple(num(1)));
  const Read read(torch_zip(pickle(dict(str("state_dict"), dict(str("modelling.w"), w), str("x"), "K\1"s))));
  EXPECT_EQ(read.checkpoint.layout(), CheckpointLayout::kTorchLightning);
  EXPECT_EQ(read.values("modelling.w"), counting(6));
}

TEST(TorchArchive, RefusesWithASentenceWhatIsNoStateDictionary) {
  const auto expect = [](const std::string& sentence, const char* words) {
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  expect(refusal(test::read_file(kFixtures + "torch_whole_module.pt")), "state_dict()");
  expect(refusal(test::read_file(kFixtures + "torch_no_tensors.pt")), "epoch, optimizer");
  expect(refusal(test::read_file(kFixtures + "torch_complex.pt")), "ComplexFloatStorage");
  expect(refusal(test::read_file(kFixtures + "torch_expanded.pt")), "repeat");
  expect(refusal(torch_zip(pickle("N"))), "state_dict()");
  expect(refusal(torch_zip(pickle(dict(str("state_dict"), "}"s)))), "no tensors");
  expect(refusal(torch_zip(pickle("}"), {{"archive/byteorder", "big"}})), "big-endian");
  expect(refusal(torch_zip(pickle("}"), {{"archive/constants.pkl", ""}})), "TorchScript");
  expect(refusal(torch_zip(pickle("}"), {{"other/data.pkl", ""}})), "more than one");
  expect(refusal(test::make_zip({{"word/document.xml", "<xml/>"}})), "not one that torch.save wrote");
  expect(refusal(test::make_zip({{"a/b/data.pkl", pickle("}")}})), "not one that torch.save wrote");
  // The name of the folder does not matter, nor does a file without one.
  const std::string w = tensor(storage("0", 1), 0, tuple(), tuple());
  const Read flat(
      test::make_zip({{"data.pkl", pickle(dict(str("w"), w))}, {"data/0", std::string(4, '\0')}}));
  EXPECT_EQ(flat.values("w"), std::vector<float>{0});
}

TEST(TorchArchive, ViewsAreReadInRowMajorOrder) {
  EXPECT_EQ(Read(view(1, tuple(num(2), num(2)), tuple(num(3), num(1)))).values("w"),
            (std::vector<float>{1, 2, 4, 5}));
  EXPECT_EQ(Read(view(0, tuple(num(3), num(2)), tuple(num(1), num(3)))).values("w"),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
  // The stride of a dimension of 1 says nothing: such a tensor is contiguous and stays where it is.
  const std::string all = storage("0", 6);
  const Read one(
      test::torch_zip(pickle(dict(str("w"), tensor(all, 5, tuple(num(1), num(1)), tuple(num(77), num(99))),
                                  str("all"), tensor(all, 0, tuple(num(6)), tuple(num(1)))))));
  EXPECT_EQ(one.values("w"), std::vector<float>{5});
  EXPECT_EQ(one.checkpoint.find("w")->data, one.checkpoint.find("all")->data + 5 * sizeof(float));
  EXPECT_EQ(Read(view(2, tuple(num(2), num(2)), tuple(num(0), num(1)))).values("w"),
            (std::vector<float>{2, 3, 2, 3}));
  EXPECT_EQ(Read(view(6, tuple(num(0), num(5)), tuple(num(5), num(1)))).values("w"), std::vector<float>{});
}

TEST(TorchArchive, ViewsMustStayInsideOfTheirStorage) {
  const int64_t huge = int64_t{1} << 62;
  refusal(view(1, tuple(num(6)), tuple(num(1))));                    // one past the end
  refusal(view(-1, tuple(num(2)), tuple(num(1))));                   // before the beginning
  refusal(view(0, tuple(num(-6)), tuple(num(1))));                   // negative size
  refusal(view(0, tuple(num(-2), num(-3)), tuple(num(3), num(1))));  // whose product is positive
  refusal(view(5, tuple(num(6)), tuple(num(-1))));                   // negative stride
  refusal(view(0, tuple(num(2)), tuple(num(6))));
  refusal(view(0, tuple(num(3), num(3)), tuple(num(huge), num(1))));  // sums overflow
  refusal(view(huge, tuple(num(3)), tuple(num(huge))));
  refusal(view(INT64_MAX, tuple(num(2)), tuple(num(1))));
  refusal(view(0, tuple(num(huge), num(4)), tuple(num(0), num(0))));  // elements overflow
  refusal(view(0, tuple(num(huge)), tuple(num(0))));                  // bytes overflow
  refusal(view(0, tuple(num(1 << 30)), tuple(num(0))));               // 4 GB out of 24 bytes
  refusal(view(0, tuple(num(6)), tuple(num(1)), 7));                  // more elements than bytes
  refusal(view(0, tuple(num(1)), tuple(num(1)), huge));
  refusal(view(0, tuple(num(6)), tuple(num(1)), 6, "DoubleStorage"));
  refusal(view(0, tuple(num(6)), tuple(num(1)), 6, "QInt8Storage"));
  refusal(torch_zip(pickle(dict(str("w"), tensor(storage("1", 6), 0, tuple(num(6)), tuple(num(1)))))));
  refusal(
      torch_zip(pickle(dict(str("w"), tensor(storage("../data.pkl", 6), 0, tuple(num(6)), tuple(num(1)))))));
}

TEST(TorchArchive, ManyCopiesOfSharedDataAreRefused) {
  // Each of 10000 transposed views costs a copy of one storage of 40000 bytes.
  const std::string shared = storage("1", 10'000);
  std::string entries;
  for (int i = 0; i < 10'000; ++i)
    entries +=
        str("w" + std::to_string(i)) + tensor("h\1", 0, tuple(num(100), num(100)), tuple(num(1), num(100)));
  const std::string text = "\x80\x02" + shared + "q\1" + "0}(" + entries + "u.";
  EXPECT_NE(refusal(torch_zip(text, {{"archive/data/1", std::string(40'000, '\0')}})).find("repeat"),
            std::string::npos);
}

TEST(TorchArchive, TruncatedAtEvery64thIsRefused) {
  for (const char* name : {"torch_plain.pt", "torch_lightning.ckpt"}) {
    const std::string whole = test::read_file(kFixtures + name);
    ASSERT_FALSE(whole.empty());
    for (size_t part = 0; part < 64; ++part) refusal(whole.substr(0, whole.size() * part / 64));
    refusal(whole.substr(0, whole.size() - 1));
  }
}

TEST(TorchArchive, CommandsInAPickleAreNotRun) {
  const test::TemporaryFolder folder;
  const std::string command = tuple(str("touch " + (folder / "marker"))) + "R";
  const std::string w = tensor(storage("0", 6), 0, tuple(num(6)), tuple(num(1)));
  const std::string evil = test::global("os", "system") + command;
  refusal(torch_zip(pickle(evil)));
  const Read beside(torch_zip(pickle(dict(str("evil"), evil, str("w"), w))));
  EXPECT_EQ(beside.values("w"), counting(6));
  EXPECT_EQ(beside.checkpoint.tensors().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder / "marker"));
}

TEST(TorchArchive, AStateDictionaryThatHoldsItselfIsRefused) {
  refusal(torch_zip("\x80\x02}q\1" + str("state_dict") + "h\1s."));
}

TEST(TorchArchive, WarnsOfAWrongChecksum) {
  std::vector<std::string> warnings;
  set_log_sink(
      [](LogLevel level, const char* message, void* user) {
        if (level == LogLevel::kWarning) static_cast<std::vector<std::string>*>(user)->push_back(message);
      },
      &warnings);
  std::string file = view(0, tuple(num(6)), tuple(num(1)));
  const Read good(file);
  EXPECT_TRUE(warnings.empty());
  const std::string five = test::bytes_of(5.0f);
  file.replace(file.find(test::bytes_of(4.0f) + five) + 4, 4, test::bytes_of(6.0f));
  const Read damaged(file);
  set_log_sink(nullptr, nullptr);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("checksum"), std::string::npos);
  EXPECT_EQ(damaged.values("w").back(), 6.0f);
}

TEST(TorchArchive, AKeyThatStandsTwiceKeepsTheLastValue) {
  const std::string first = tensor(storage("0", 6), 0, tuple(num(2)), tuple(num(1)));
  const std::string last = tensor(storage("0", 6), 2, tuple(num(1)), tuple(num(1)));
  const Read read(torch_zip(pickle(dict(str("w"), first, str("w"), last))));
  ASSERT_EQ(read.checkpoint.tensors().size(), 1u);
  EXPECT_EQ(read.values("w"), std::vector<float>{2});
}

}  // namespace
}  // namespace bsm
