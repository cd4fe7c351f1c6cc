#include "io/torch_objects.h"

#include <array>

#include "core/error.h"

namespace bsm {
namespace {

using Kind = PickleGraph::Kind;

/// Bounds on what one call can make a pickle of few bytes allocate or copy.
constexpr size_t kMaxArguments = 16, kMaxDimensions = 16;

struct StorageClass {
  std::string_view name;
  DType dtype;
};

constexpr std::array<StorageClass, 10> kStorageClasses = {{{"DoubleStorage", DType::kF64},
                                                           {"FloatStorage", DType::kF32},
                                                           {"HalfStorage", DType::kF16},
                                                           {"BFloat16Storage", DType::kBF16},
                                                           {"LongStorage", DType::kI64},
                                                           {"IntStorage", DType::kI32},
                                                           {"ShortStorage", DType::kI16},
                                                           {"CharStorage", DType::kI8},
                                                           {"ByteStorage", DType::kU8},
                                                           {"BoolStorage", DType::kBool}}};

}  // namespace

void TorchObjects::fail(const std::string& reason) const {
  throw Error(ErrorCode::kWrongType, "The pickle of " + name_ + " is wrong: " + reason +
                                         ". If it was copied or downloaded, do that again.");
}

bool TorchObjects::is_known(Id id, Known known) const {
  return graph_.kind(id) == Kind::kGlobal && graph_.integer(id) == known;
}

TorchObjects::Id TorchObjects::global(std::string_view module, std::string_view name) {
  struct KnownGlobal {
    std::string_view module, name;
    Known known;
  };
  static constexpr std::array<KnownGlobal, 8> kKnownGlobals = {
      {{"torch._utils", "_rebuild_tensor_v2", kRebuildTensor},
       {"torch._utils", "_rebuild_parameter", kRebuildParameter},
       {"torch._utils", "_rebuild_parameter_with_state", kRebuildParameterWithState},
       {"torch._tensor", "_rebuild_from_type_v2", kRebuildFromType},
       {"torch", "Size", kSize},
       {"collections", "OrderedDict", kOrderedDict},
       {"__builtin__", "set", kSet},
       {"builtins", "set", kSet}}};
  for (const KnownGlobal& known : kKnownGlobals)
    if (known.module == module && known.name == name)
      return graph_.add({.kind = Kind::kGlobal, .integer = known.known, .text = name});
  if (module == "torch" && name.ends_with("Storage"))
    return graph_.add({.kind = Kind::kGlobal, .integer = kStorageClass, .text = name});
  return graph_.add({.kind = Kind::kOpaque});
}

TorchObjects::Id TorchObjects::call(Id callable, Id arguments) {
  if (graph_.kind(callable) != Kind::kGlobal) return graph_.add({.kind = Kind::kOpaque});
  if (graph_.kind(arguments) != Kind::kTuple)
    fail("a call of " + std::string(graph_.string(callable)) + " does not have a tuple of arguments");
  if (graph_.items(arguments).size() > kMaxArguments) fail("a call has more arguments than any known one");
  const std::vector<Id> args = graph_.items(arguments);  // a copy: adding nodes moves the lists
  switch (static_cast<Known>(graph_.integer(callable))) {
    case kRebuildTensor:
      return rebuild_tensor(args);
    case kRebuildParameter:
    case kRebuildParameterWithState:
      if (args.empty()) fail("a parameter is made of nothing");
      return args[0];
    case kRebuildFromType:
      return rebuild_from_type(args);
    case kSize:
    case kSet:
      if (args.empty()) return graph_.add_list(Kind::kSet, {});
      if (!graph_.has_items(args[0])) fail("a set or a torch.Size is made of something that has no members");
      // The same list under a second node: a copy for each call would let a small pickle fill the memory.
      return graph_.add({.kind = is_known(callable, kSize) ? Kind::kTuple : Kind::kSet,
                         .index = graph_.nodes_[args[0]].index});
    case kOrderedDict:
      if (!args.empty()) break;
      return graph_.add_list(Kind::kDict, {});
    case kStorageClass:
      break;
  }
  return graph_.add({.kind = Kind::kOpaque});
}

TorchObjects::Id TorchObjects::persistent(Id id) {
  if (graph_.kind(id) != Kind::kTuple) fail("a persistent id is not a tuple");
  const std::vector<Id>& parts = graph_.items(id);
  if (parts.size() != 5 || graph_.kind(parts[0]) != Kind::kString || graph_.string(parts[0]) != "storage" ||
      !is_known(parts[1], kStorageClass) || graph_.kind(parts[2]) != Kind::kString ||
      graph_.kind(parts[4]) != Kind::kInt || graph_.integer(parts[4]) < 0)
    fail("a persistent id is not ('storage', class, key, location, number of elements)");
  PickleGraph::Storage storage{.key = graph_.string(parts[2]),
                               .class_name = graph_.string(parts[1]),
                               .dtype = std::nullopt,
                               .elements = graph_.integer(parts[4])};
  for (const StorageClass& known : kStorageClasses)
    if (known.name == storage.class_name) storage.dtype = known.dtype;
  graph_.storages_.push_back(storage);
  return graph_.add({.kind = Kind::kStorage, .index = static_cast<uint32_t>(graph_.storages_.size() - 1)});
}

/// _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks[, metadata])
TorchObjects::Id TorchObjects::rebuild_tensor(const std::vector<Id>& args) {
  if (args.size() < 4 || graph_.kind(args[0]) != Kind::kStorage || graph_.kind(args[1]) != Kind::kInt)
    fail("a tensor is not made of a storage, an offset, a shape and strides");
  PickleGraph::Tensor tensor{args[0], graph_.integer(args[1]), integers(args[2], "shape"),
                             integers(args[3], "strides")};
  if (tensor.shape.size() != tensor.strides.size()) fail("a tensor has not as many strides as dimensions");
  graph_.tensors_.push_back(std::move(tensor));
  return graph_.add({.kind = Kind::kTensor, .index = static_cast<uint32_t>(graph_.tensors_.size() - 1)});
}

/// _rebuild_from_type_v2(function, type, arguments, state), written for tensors that carry Python attributes.
TorchObjects::Id TorchObjects::rebuild_from_type(const std::vector<Id>& args) {
  // Only one level, so that a pickle that calls itself through its own arguments ends here.
  if (args.size() == 4 && (is_known(args[0], kRebuildTensor) || is_known(args[0], kRebuildParameter)))
    return call(args[0], args[2]);
  return graph_.add({.kind = Kind::kOpaque});
}

std::vector<int64_t> TorchObjects::integers(Id id, const char* what) const {
  std::vector<int64_t> out;
  if (graph_.kind(id) != Kind::kTuple || graph_.items(id).size() > kMaxDimensions)
    fail(std::string("the ") + what + " of a tensor is not a tuple of at most 16 numbers");
  for (const Id item : graph_.items(id)) {
    if (graph_.kind(item) != Kind::kInt)
      fail(std::string("the ") + what + " of a tensor has more than whole numbers");
    out.push_back(graph_.integer(item));
  }
  return out;
}

}  // namespace bsm
