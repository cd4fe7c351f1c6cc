// Reads a Python pickle (protocols 2 to 5) as data. A pickle is a program for a stack machine that may call
// any Python function; this machine knows containers, numbers, strings and, by name, the few calls that
// PyTorch needs to build a tensor. Every other object becomes an opaque value that takes what is done to it
// and does nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/checkpoint.h"

namespace bsm {

/// What a pickle describes, as nodes that refer to each other by index: a pickle may share nodes and make
/// cycles, so walk it to a known depth only. Strings point into the pickle.
class PickleGraph {
 public:
  using Id = uint32_t;
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kBytes,
    kTuple,
    kList,
    kSet,
    kDict,
    kGlobal,
    kStorage,
    kTensor,
    kOpaque
  };

  /// A storage of the archive: the entry data/`key`, `elements` elements long.
  struct Storage {
    std::string_view key;
    std::string_view class_name;  ///< "FloatStorage", ...
    std::optional<DType> dtype;   ///< nothing for element types that this project does not read
    int64_t elements = 0;
  };
  /// A view of a storage; offset and strides in elements, as the file has them (unchecked).
  struct Tensor {
    Id storage = 0;
    int64_t offset = 0;
    std::vector<int64_t> shape, strides;
  };

  Kind kind(Id id) const { return nodes_[id].kind; }
  Id root() const { return root_; }
  int64_t integer(Id id) const { return nodes_[id].integer; }
  std::string_view string(Id id) const { return nodes_[id].text; }
  /// Members of a tuple, list or set; keys and values of a dictionary in turn: k0, v0, k1, v1, ...
  const std::vector<Id>& items(Id id) const { return lists_[nodes_[id].index]; }
  const Storage& storage(Id id) const { return storages_[nodes_[id].index]; }
  const Tensor& tensor(Id id) const { return tensors_[nodes_[id].index]; }

  /// The value of a string key, the last one when it stands twice (as in Python). `dict` must be a
  /// dictionary.
  std::optional<Id> lookup(Id dict, std::string_view key) const;

 private:
  friend class PickleMachine;
  friend class TorchObjects;
  struct Node {
    Kind kind = Kind::kNone;
    uint32_t index = 0;       ///< into lists_, storages_ or tensors_
    int64_t integer = 0;      ///< numbers, truth values, and which global it is
    std::string_view text{};  ///< strings, and the names of globals
  };

  Id add(Node node);
  Id add_list(Kind kind, std::vector<Id> members);
  bool has_items(Id id) const;

  std::vector<Node> nodes_;
  std::vector<std::vector<Id>> lists_;
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
  Id root_ = 0;
};

/// Throws Error(kWrongType), with `name` in the sentence: an instruction that is unknown, cut off or misused,
/// a tensor built from the wrong parts, or more objects than any checkpoint has.
PickleGraph read_pickle(std::string_view pickle, const std::string& name);

}  // namespace bsm
