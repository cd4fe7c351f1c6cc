#include "io/pickle.h"

#include <cstring>
#include <unordered_map>

#include "core/error.h"
#include "io/pickle_ops.h"
#include "io/torch_objects.h"

namespace bsm {
namespace {

/// Bounds on memory. The pickle of the largest public checkpoint, with its optimizer states, stays below a
/// hundredth.
constexpr size_t kMaxPickleBytes = size_t{32} << 20;
constexpr size_t kMaxNodes = 1'000'000;

}  // namespace

PickleGraph::Id PickleGraph::add(Node node) {
  nodes_.push_back(node);
  return static_cast<Id>(nodes_.size() - 1);
}

PickleGraph::Id PickleGraph::add_list(Kind kind, std::vector<Id> members) {
  lists_.push_back(std::move(members));
  return add({.kind = kind, .index = static_cast<uint32_t>(lists_.size() - 1)});
}

bool PickleGraph::has_items(Id id) const {
  const Kind k = kind(id);
  return k == Kind::kTuple || k == Kind::kList || k == Kind::kSet;
}

std::optional<PickleGraph::Id> PickleGraph::lookup(Id dict, std::string_view key) const {
  const std::vector<Id>& pairs = items(dict);
  for (size_t i = pairs.size(); i >= 2; i -= 2)
    if (kind(pairs[i - 2]) == Kind::kString && string(pairs[i - 2]) == key) return pairs[i - 1];
  return std::nullopt;
}

class PickleMachine {
 public:
  PickleMachine(std::string_view pickle, const std::string& name)
      : pickle_(pickle), name_(name), torch_(graph_, name_) {}

  PickleGraph run() {
    if (pickle_.size() > kMaxPickleBytes) fail("it is larger than any checkpoint needs");
    while (true) {
      const uint8_t op = read<uint8_t>();
      if (op == kStop) break;
      execute(op);
      if (graph_.nodes_.size() > kMaxNodes || stack_.size() > kMaxNodes || marks_.size() > kMaxNodes ||
          memo_.size() > kMaxNodes)
        fail("it has more objects than any checkpoint needs");
    }
    graph_.root_ = pop();
    return std::move(graph_);
  }

 private:
  using Id = PickleGraph::Id;
  using Kind = PickleGraph::Kind;

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorCode::kWrongType, "The pickle of " + name_ + " is wrong at byte " + std::to_string(at_) +
                                           ": " + reason +
                                           ". If it was copied or downloaded, do that again.");
  }

  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, read_bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string_view read_bytes(uint64_t bytes) {
    if (bytes > pickle_.size() - at_) fail("it is cut off");
    const std::string_view out = pickle_.substr(at_, bytes);
    at_ += bytes;
    return out;
  }

  std::string_view read_line() {
    const size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) fail("a name has no end");
    const std::string_view line = pickle_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  void push(Id id) { stack_.push_back(id); }
  void push(Kind kind) { push(graph_.add({.kind = kind})); }
  void push_int(int64_t value) { push(graph_.add({.kind = Kind::kInt, .integer = value})); }
  void push_text(Kind kind, std::string_view text) { push(graph_.add({.kind = kind, .text = text})); }
  void push_list(Kind kind, std::vector<Id> members) { push(graph_.add_list(kind, std::move(members))); }

  size_t above_mark() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  Id top() const {
    if (above_mark() == 0) fail("an instruction wants more values than there are");
    return stack_.back();
  }
  Id pop() {
    const Id id = top();
    stack_.pop_back();
    return id;
  }
  std::vector<Id> pop_last(size_t count) {
    if (above_mark() < count) fail("an instruction wants more values than there are");
    std::vector<Id> out(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return out;
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) fail("an instruction wants a mark that is not there");
    std::vector<Id> out = pop_last(above_mark());
    marks_.pop_back();
    return out;
  }

  void get(uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("it refers to an object that is not there");
    push(found->second);
  }

  /// Adds members to the value on top of the stack; opaque values swallow them.
  void extend(const std::vector<Id>& members, Kind container) {
    const Id target = top();
    if (graph_.kind(target) == Kind::kOpaque) return;
    if (graph_.kind(target) != container) fail("members are added to something that has none");
    if (container == Kind::kDict && members.size() % 2 != 0) fail("a key has no value");
    std::vector<Id>& items = graph_.lists_[graph_.nodes_[target].index];
    items.insert(items.end(), members.begin(), members.end());
  }

  /// A whole number in little-endian two's complement. Larger ones than int64 occur in no part that is read.
  void push_long(uint64_t bytes) {
    const std::string_view digits = read_bytes(bytes);
    if (bytes > sizeof(int64_t)) return push(Kind::kOpaque);
    uint64_t value = bytes > 0 && (digits.back() & 0x80) ? ~uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), bytes);
    push_int(static_cast<int64_t>(value));
  }

  void execute(uint8_t op) {
    switch (op) {
      case kProto:
        if (const int protocol = read<uint8_t>(); protocol < 2 || protocol > 5)
          fail("it has the protocol " + std::to_string(protocol) + ", known are 2 to 5");
        return;
      case kFrame:
        read<uint64_t>();
        return;
      case kMarkOp:
        return marks_.push_back(stack_.size());
      case kPop:
        if (above_mark() == 0 && !marks_.empty()) return marks_.pop_back();
        pop();
        return;
      case kPopMark:
        pop_to_mark();
        return;
      case kDup:
        return push(top());
      case kBinGet:
        return get(read<uint8_t>());
      case kLongBinGet:
        return get(read<uint32_t>());
      case kBinPut:
        memo_[read<uint8_t>()] = top();
        return;
      case kLongBinPut:
        memo_[read<uint32_t>()] = top();
        return;
      case kMemoize:
        memo_[static_cast<uint32_t>(memo_.size())] = top();
        return;
      case kStackGlobal:
      case kGlobalOp:
      case kReduce:
      case kNewObj:
      case kNewObjEx:
      case kBuild:
      case kBinPersId:
        return execute_object(op);
      default:
        return execute_value(op);
    }
  }

  void execute_object(uint8_t op) {
    switch (op) {
      case kGlobalOp: {
        const std::string_view module = read_line();
        return push(torch_.global(module, read_line()));
      }
      case kStackGlobal: {
        const std::vector<Id> names = pop_last(2);
        if (graph_.kind(names[0]) != Kind::kString || graph_.kind(names[1]) != Kind::kString)
          fail("a class is not named by strings");
        return push(torch_.global(graph_.string(names[0]), graph_.string(names[1])));
      }
      case kReduce: {
        const std::vector<Id> call = pop_last(2);
        return push(torch_.call(call[0], call[1]));
      }
      case kNewObj:
        pop_last(2);
        return push(Kind::kOpaque);
      case kNewObjEx:
        pop_last(3);
        return push(Kind::kOpaque);
      case kBuild:  // the state of an object: of no use for tensors and dictionaries, which are complete
                    // without
        pop();
        top();
        return;
      default:
        return push(torch_.persistent(pop()));
    }
  }

  void execute_value(uint8_t op) {
    switch (op) {
      case kNoneOp:
        return push(Kind::kNone);
      case kNewTrue:
        return push(graph_.add({.kind = Kind::kBool, .integer = 1}));
      case kNewFalse:
        return push(Kind::kBool);
      case kBinInt:
        return push_int(read<int32_t>());
      case kBinInt1:
        return push_int(read<uint8_t>());
      case kBinInt2:
        return push_int(read<uint16_t>());
      case kLong1:
        return push_long(read<uint8_t>());
      case kLong4:
        return push_long(read<uint32_t>());
      case kBinFloat:
        read<uint64_t>();
        return push(Kind::kFloat);
      case kShortBinString:
      case kShortBinUnicode:
        return push_text(Kind::kString, read_bytes(read<uint8_t>()));
      case kBinString:
      case kBinUnicode:
        return push_text(Kind::kString, read_bytes(read<uint32_t>()));
      case kBinUnicode8:
        return push_text(Kind::kString, read_bytes(read<uint64_t>()));
      case kShortBinBytes:
        return push_text(Kind::kBytes, read_bytes(read<uint8_t>()));
      case kBinBytes:
        return push_text(Kind::kBytes, read_bytes(read<uint32_t>()));
      case kBinBytes8:
        return push_text(Kind::kBytes, read_bytes(read<uint64_t>()));
      case kEmptyTuple:
        return push_list(Kind::kTuple, {});
      case kEmptyList:
        return push_list(Kind::kList, {});
      case kEmptyDict:
        return push_list(Kind::kDict, {});
      case kEmptySet:
        return push_list(Kind::kSet, {});
      case kTuple1:
        return push_list(Kind::kTuple, pop_last(1));
      case kTuple2:
        return push_list(Kind::kTuple, pop_last(2));
      case kTuple3:
        return push_list(Kind::kTuple, pop_last(3));
      case kTupleOp:
        return push_list(Kind::kTuple, pop_to_mark());
      case kFrozenSet:
        return push_list(Kind::kSet, pop_to_mark());
      case kAppend:
        return extend(pop_last(1), Kind::kList);
      case kAppends:
        return extend(pop_to_mark(), Kind::kList);
      case kAddItems:
        return extend(pop_to_mark(), Kind::kSet);
      case kSetItem:
        return extend(pop_last(2), Kind::kDict);
      case kSetItems:
        return extend(pop_to_mark(), Kind::kDict);
      default:
        fail("the instruction " + std::to_string(op) + " is unknown");
    }
  }

  std::string_view pickle_;
  size_t at_ = 0;
  const std::string& name_;
  PickleGraph graph_;
  TorchObjects torch_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Id> memo_;
};

PickleGraph read_pickle(std::string_view pickle, const std::string& name) {
  return PickleMachine(pickle, name).run();
}

}  // namespace bsm
