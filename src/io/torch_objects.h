// The allow-list of the pickle reader: the only globals whose calls mean something, and what they make.
#pragma once

#include <string>
#include <string_view>

#include "io/pickle.h"

namespace bsm {

/// Makes nodes in the graph that a pickle is being read into. Throws Error(kWrongType) for known calls with
/// arguments that PyTorch never writes.
class TorchObjects {
 public:
  using Id = PickleGraph::Id;
  TorchObjects(PickleGraph& graph, const std::string& name) : graph_(graph), name_(name) {}

  /// The node of `module.name`; names that are not on the list make an opaque value.
  Id global(std::string_view module, std::string_view name);

  /// What calling `callable` with the tuple `arguments` makes. Known are torch._utils._rebuild_tensor_v2,
  /// _rebuild_parameter, _rebuild_parameter_with_state, torch._tensor._rebuild_from_type_v2 around one of
  /// these, torch.Size, collections.OrderedDict and set; all else is opaque.
  Id call(Id callable, Id arguments);

  /// The storage of a persistent id: ('storage', storage class, key, location, number of elements).
  Id persistent(Id id);

 private:
  enum Known : int64_t {
    kStorageClass,
    kRebuildTensor,
    kRebuildParameter,
    kRebuildParameterWithState,
    kRebuildFromType,
    kSize,
    kOrderedDict,
    kSet
  };

  [[noreturn]] void fail(const std::string& reason) const;
  bool is_known(Id id, Known known) const;
  Id rebuild_tensor(const std::vector<Id>& arguments);
  Id rebuild_from_type(const std::vector<Id>& arguments);
  std::vector<int64_t> integers(Id id, const char* what) const;

  PickleGraph& graph_;
  const std::string& name_;
};

}  // namespace bsm
