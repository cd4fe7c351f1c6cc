// Messages from the first process of a training to the others, over sockets that the program made before it
// started them. What a step decides (stop, save, the schedule) goes this way, past the devices: nobody waits
// for a GPU.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

namespace bsm {

/// One of the processes of a data parallel training on one machine.
struct RankOptions {
  int rank = 0;              ///< 0: the first, which decides, validates, writes and tells
  int count = 1;             ///< of all
  std::string rendezvous;    ///< file through which the processes find each other (c10d's FileStore)
  std::vector<int> sockets;  ///< the first: to each of the others, in order; the others: to the first
};

class RankLink {
 public:
  /// Throws Error(kSettings) when the numbers cannot belong together.
  explicit RankLink(RankOptions options);

  int rank() const { return options_.rank; }
  int count() const { return options_.count; }
  bool is_first() const { return options_.rank == 0; }
  const std::string& rendezvous() const { return options_.rendezvous; }

  /// The first process's value, in all processes: it sends without waiting, the others wait for it. Throws
  /// Error(kCancelled) when the other side has ended.
  template <typename Value>
  Value from_first(Value value) const {
    static_assert(std::is_trivially_copyable_v<Value>);
    exchange(&value, sizeof(value));
    return value;
  }
  /// The others wait until the first has come here.
  void wait_for_first() const { from_first(char{0}); }

 private:
  void exchange(void* value, size_t bytes) const;

  RankOptions options_;
};

}  // namespace bsm
