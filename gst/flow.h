// Flow returns of all source pads as one.
#pragma once

#include <gst/gst.h>

#include <array>
#include <mutex>

#include "pads.h"

namespace bsm {

/// One linked pad is enough; none is NOT_LINKED.
class Flow {
 public:
  GstFlowReturn update(int pad, GstFlowReturn ret);
  GstFlowReturn get() const;
  void reset();
  /// A RECONFIGURE on a pad: it may be linked now.
  void reset_pad(int pad);
  /// A requested pad comes or goes.
  void set_present(int pad, bool present);
  /// True once per reset: the caller tells the application or upstream about the fatal flow return.
  bool claim_report();

 private:
  struct Pad {
    GstFlowReturn ret = GST_FLOW_OK;
    bool present = false;
  };
  template <typename Test>
  bool all_of(Test&& test) const;
  GstFlowReturn combined() const;

  mutable std::mutex mutex_;
  std::array<Pad, kMaxPads> pads_;
  bool reported_ = false;
};

inline bool is_fatal(GstFlowReturn ret) { return ret == GST_FLOW_NOT_LINKED || ret < GST_FLOW_EOS; }

}  // namespace bsm
