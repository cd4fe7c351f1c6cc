// The pickle machine: builds what PyTorch writes, runs nothing, and stays within bounds whatever it is fed.
#include "io/pickle.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "archives.h"
#include "core/error.h"

namespace bsm {
namespace {

using namespace std::string_literals;
using Kind = PickleGraph::Kind;
using test::dict;
using test::global;
using test::num;
using test::pickle;
using test::storage;
using test::str;
using test::tensor;
using test::tuple;

/// The pickle is a view that the graph keeps, so it must outlive it.
PickleGraph read(const std::string& text) { return read_pickle(text, "file.ckpt"); }

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWrongType);
    EXPECT_NE(std::string(error.what()).find("file.ckpt"), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "was read";
  return {};
}

TEST(Pickle, ReadsValuesAndContainers) {
  const std::string text =
      pickle(dict(str("none"), "N"s, str("true"), "\x88"s, str("list"), "](K\1M\2\1J\xff\xff\xff\xffK\4e"s,
                  str("tuple"), "K\1K\2K\3\x87"s, str("float"), "G\x3f\xe0\0\0\0\0\0\0"s, str("bytes"),
                  "C\2ab"s, str("set"), "\x8f(K\1\x90"s, num(7), num(8)));
  const PickleGraph graph = read(text);
  ASSERT_EQ(graph.kind(graph.root()), Kind::kDict);
  EXPECT_EQ(graph.items(graph.root()).size(), 16u);
  const auto at = [&](std::string_view key) { return graph.lookup(graph.root(), key).value(); };
  EXPECT_EQ(graph.kind(at("none")), Kind::kNone);
  EXPECT_EQ(graph.kind(at("true")), Kind::kBool);
  EXPECT_EQ(graph.integer(at("true")), 1);
  EXPECT_EQ(graph.kind(at("float")), Kind::kFloat);
  EXPECT_EQ(graph.string(at("bytes")), "ab");
  EXPECT_EQ(graph.kind(at("set")), Kind::kSet);
  EXPECT_EQ(graph.items(at("tuple")).size(), 3u);
  const auto& list = graph.items(at("list"));
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(graph.integer(list[0]), 1);
  EXPECT_EQ(graph.integer(list[1]), 258);
  EXPECT_EQ(graph.integer(list[2]), -1);
  EXPECT_FALSE(graph.lookup(graph.root(), "absent"));
}

TEST(Pickle, LongNumbersAreTwosComplement) {
  const auto value = [](const std::string& text) {
    const std::string whole = pickle(text);
    const PickleGraph graph = read(whole);
    return graph.kind(graph.root()) == Kind::kInt ? std::to_string(graph.integer(graph.root())) : "opaque";
  };
  EXPECT_EQ(value("\x8a\0"s), "0");
  EXPECT_EQ(value("\x8a\1\xff"s), "-1");
  EXPECT_EQ(value("\x8a\2\xff\0"s), "255");
  EXPECT_EQ(value("\x8a\5\0\0\0\0\1"s), "4294967296");
  EXPECT_EQ(value("\x8b\2\0\0\0\0\x80"s), "-32768");
  EXPECT_EQ(value(num(INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(value("\x8a\x09" + std::string(9, '\1')), "opaque");
}

TEST(Pickle, BuildsTensorsAndParameters) {
  const std::string plain =
      tensor(storage("17", 100, "HalfStorage"), 4, tuple(num(2), num(3)), tuple(num(3), num(1)));
  const std::string wrapped =
      global("torch._utils", "_rebuild_parameter") + tuple(plain, "\x88"s, "}"s) + "R";
  for (const std::string& text : {pickle(plain), pickle(wrapped)}) {
    const PickleGraph graph = read(text);
    ASSERT_EQ(graph.kind(graph.root()), Kind::kTensor);
    const PickleGraph::Tensor& made = graph.tensor(graph.root());
    EXPECT_EQ(made.offset, 4);
    EXPECT_EQ(made.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(made.strides, (std::vector<int64_t>{3, 1}));
    EXPECT_EQ(graph.storage(made.storage).key, "17");
    EXPECT_EQ(graph.storage(made.storage).elements, 100);
    EXPECT_EQ(graph.storage(made.storage).dtype, DType::kF16);
  }
}

TEST(Pickle, RunsNothing) {
  const test::TemporaryFolder folder;
  const std::string marker = folder / "marker", command = "touch " + marker;
  for (const char* module : {"os", "posix", "nt", "subprocess", "__builtin__", "builtins", "torch._utils"})
    for (const char* name : {"system", "popen", "exec", "eval", "getattr", "__import__"}) {
      const std::string text = pickle(global(module, name) + tuple(str(command)) + "R");
      const PickleGraph graph = read(text);
      EXPECT_EQ(graph.kind(graph.root()), Kind::kOpaque);
      const std::string stacked = pickle(str(module) + str(name) + "\x93" + tuple(str(command)) + "R");
      const PickleGraph stacked_graph = read(stacked);
      EXPECT_EQ(stacked_graph.kind(stacked_graph.root()), Kind::kOpaque);
    }
  EXPECT_FALSE(std::filesystem::exists(marker));
}

TEST(Pickle, OpaqueObjectsSwallowWhatIsDoneToThem) {
  const std::string made = global("some.where", "Class") + ")\x81";
  for (const std::string& use :
       {made + "K\1a", made + "(K\1K\2e", made + "K\1K\2s", made + "(K\1K\2u", made + "}b", made + "(K\1\x90",
        made + ")R", made + ")\x81", made + ")}\x92", global("a", "b") + ")}\x92"s}) {
    const std::string text = pickle(use);
    const PickleGraph graph = read(text);
    EXPECT_EQ(graph.kind(graph.root()), Kind::kOpaque);
  }
  // The state of a dictionary (torch's _metadata) leaves it as it was.
  const std::string text = pickle(global("collections", "OrderedDict") + ")R(" + str("a") + "K\1u}b");
  EXPECT_EQ(read(text).items(read(text).root()).size(), 2u);
}

TEST(Pickle, CyclesAndSharingAreHarmless) {
  const PickleGraph list = read("\x80\x02]q\0h\0a."s);  // a list that holds itself
  EXPECT_EQ(list.items(list.root()).at(0), list.root());
  const PickleGraph dictionary = read("\x80\x02}q\0K\1h\0s."s);
  EXPECT_EQ(dictionary.items(dictionary.root()).at(1), dictionary.root());
  // A tensor call whose arguments are a tuple that refers to itself through a list.
  refusal("\x80\x02" + global("torch._utils", "_rebuild_tensor_v2") + "(]q\0K\0h\0h\0tq\1h\0h\1a0R."s);
  const std::string self = global("torch._tensor", "_rebuild_from_type_v2");
  const std::string nested = "\x80\x02" + self + "q\0(h\0NNNtq\1R."s;
  const PickleGraph graph = read(nested);
  EXPECT_EQ(graph.kind(graph.root()), Kind::kOpaque);
}

TEST(Pickle, DeepNestingNeedsNoStack) {
  std::string lists = "\x80\x02";
  for (int i = 0; i < 400'000; ++i) lists += "]";
  for (int i = 1; i < 400'000; ++i) lists += "a";
  EXPECT_EQ(read(lists + ".").kind(0), Kind::kList);
  std::string tuples = "\x80\x02)";
  for (int i = 0; i < 400'000; ++i) tuples += "\x85";
  EXPECT_EQ(read(tuples + ".").kind(0), Kind::kTuple);
  refusal("\x80\x02" + std::string(400'000, '(') + ".");
}

TEST(Pickle, CountsAreBounded) {
  EXPECT_NE(refusal("\x80\x02" + std::string(1'500'000, ']')).find("more objects"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02" + std::string(1'500'000, '(')).find("more objects"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02N" + std::string(1'500'000, '2')).find("more objects"), std::string::npos);
  std::string memo = "\x80\x02N";
  for (uint32_t i = 0; i < 1'100'000; ++i) memo += "r" + test::bytes_of(i);
  EXPECT_NE(refusal(memo).find("more objects"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02X" + test::bytes_of<uint32_t>(40 << 20) + std::string(40 << 20, 'x') + ".")
                .find("larger"),
            std::string::npos);
}

TEST(Pickle, TruncatedAnywhereIsRefused) {
  const std::string text = pickle(
      dict(str("w"), tensor(storage("0", 6), 0, tuple(num(6)), tuple(num(1))), str("x"), "G12345678"s));
  for (size_t size = 0; size < text.size(); ++size) refusal(text.substr(0, size));
}

TEST(Pickle, LengthsAreCheckedBeforeUse) {
  refusal("\x80\x02X\xff\xff\xff\xff");
  refusal("\x80\x02T\xff\xff\xff\xff");
  refusal("\x80\x02\x8b\xff\xff\xff\xff");
  refusal("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff");
  refusal("\x80\x04\x8e\xf0\xff\xff\xff\xff\xff\xff\xff");
}

TEST(Pickle, MisusedInstructionsAreRefused) {
  for (const std::string& body :
       {""s,     "0"s,        "1"s,      "2"s,    "a"s,      "Na"s,        "(e"s,      "e"s,
        "t"s,    "\x85"s,     "N\x86"s,  "s"s,    "Ns"s,     "u"s,         "R"s,       "NR"s,
        "b"s,    "Nb"s,       "Q"s,      "q\1"s,  "h\1"s,    "j\1\0\0\0"s, "\x93"s,    "NN\x93"s,
        "\x81"s, "}(Nu"s,     "](NNu"s,  "}(Ne"s, "}NNNa"s,  "N(N\x85R"s,  "N(\x85t"s, "I1\n"s,
        "P1\n"s, "i a\nb\n"s, "\x82\1"s, "\x97"s, "\x80\1"s, "\x80\6"s,    "cos"s,     "cos\nsystem"s})
    refusal("\x80\x02" + body + ".");
}

TEST(Pickle, PersistentIdsMustNameAStorage) {
  const std::string type = global("torch", "FloatStorage");
  for (const std::string& id :
       {"N"s, tuple(), tuple(str("module"), type, str("0"), str("cpu"), num(1)),
        tuple(str("storage"), str("FloatStorage"), str("0"), str("cpu"), num(1)),
        tuple(str("storage"), global("os", "FloatStorage"), str("0"), str("cpu"), num(1)),
        tuple(str("storage"), type, num(0), str("cpu"), num(1)),
        tuple(str("storage"), type, str("0"), str("cpu"), num(-1)),
        tuple(str("storage"), type, str("0"), str("cpu"), str("1"))})
    refusal(pickle(id + "Q"));
}

TEST(Pickle, KnownCallsNeedTheirArguments) {
  const std::string rebuild = global("torch._utils", "_rebuild_tensor_v2"), good = storage("0", 6);
  std::string deep = "(";
  for (int i = 0; i < 17; ++i) deep += num(1);
  for (const std::string& call :
       {rebuild + ")R", rebuild + "]R", rebuild + tuple(num(0), num(0), tuple(num(1)), tuple(num(1))) + "R",
        tensor(good, 0, num(6), tuple(num(1))), tensor(good, 0, tuple(num(6)), tuple()),
        tensor(good, 0, tuple(str("6")), tuple(num(1))), tensor(good, 0, tuple("\x88"s), tuple(num(1))),
        tensor(good, 0, deep + "t", deep + "t"), global("torch._utils", "_rebuild_parameter") + ")R",
        global("torch", "Size") + tuple(num(1)) + "R"})
    refusal(pickle(call));
}

TEST(Pickle, RepeatedCallsOnOneLongListStaySmall) {
  // Each call of six bytes would copy the list of 200000 members: 40 GB in all.
  std::string text =
      "\x80\x02](" + std::string(200'000, 'N') + "eq\0"s + global("__builtin__", "set") + "q\1";
  for (int i = 0; i < 50'000; ++i) text += "h\1h\0\x85R0"s;
  const std::string whole = text + ".";
  const PickleGraph graph = read(whole);
  EXPECT_EQ(graph.kind(graph.root()), Kind::kGlobal);
}

}  // namespace
}  // namespace bsm
