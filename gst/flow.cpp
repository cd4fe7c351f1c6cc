// Flow combining, by the rules of GstFlowCombiner. That one reads the last flow return that the core keeps in
// each pad, and there an EOS event overwrites NOT_LINKED: of a short stream with both pads unlinked nobody
// would hear.
#include <algorithm>
#include <utility>

#include "element.h"

namespace bsm {

GstFlowReturn Flow::combined() const {
  for (const GstFlowReturn ret : returns_)
    if (ret == GST_FLOW_FLUSHING || ret <= GST_FLOW_NOT_NEGOTIATED) return ret;
  const auto is = [](GstFlowReturn wanted) { return [wanted](GstFlowReturn ret) { return ret == wanted; }; };
  if (std::all_of(returns_.begin(), returns_.end(), is(GST_FLOW_NOT_LINKED))) return GST_FLOW_NOT_LINKED;
  // An unlinked pad counts as one that has had enough.
  const auto done = [](GstFlowReturn ret) { return ret == GST_FLOW_EOS || ret == GST_FLOW_NOT_LINKED; };
  if (std::all_of(returns_.begin(), returns_.end(), done)) return GST_FLOW_EOS;
  return GST_FLOW_OK;
}

GstFlowReturn Flow::update(int pad, GstFlowReturn ret) {
  const std::lock_guard lock(mutex_);
  returns_[static_cast<size_t>(pad)] = ret;
  return combined();
}

GstFlowReturn Flow::get() const {
  const std::lock_guard lock(mutex_);
  return combined();
}

void Flow::reset() {
  const std::lock_guard lock(mutex_);
  returns_.fill(GST_FLOW_OK);
  reported_ = false;
}

void Flow::reset_pad(int pad) {
  const std::lock_guard lock(mutex_);
  if (returns_[static_cast<size_t>(pad)] == GST_FLOW_NOT_LINKED)
    returns_[static_cast<size_t>(pad)] = GST_FLOW_OK;
}

bool Flow::claim_report() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(reported_, true);
}

}  // namespace bsm
