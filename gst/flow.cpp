// Flow combining, by the rules of GstFlowCombiner. That one reads the last flow return that the core keeps in
// each pad, and there an EOS event overwrites NOT_LINKED: of a short stream with all pads unlinked nobody
// would hear.
#include "flow.h"

#include <algorithm>
#include <utility>

namespace bsm {

template <typename Test>
bool Flow::all_of(Test&& test) const {
  return std::all_of(pads_.begin(), pads_.end(),
                     [&](const Pad& pad) { return !pad.present || test(pad.ret); });
}

GstFlowReturn Flow::combined() const {
  for (const Pad& pad : pads_)
    if (pad.present && (pad.ret == GST_FLOW_FLUSHING || pad.ret <= GST_FLOW_NOT_NEGOTIATED)) return pad.ret;
  if (all_of([](GstFlowReturn ret) { return ret == GST_FLOW_NOT_LINKED; })) return GST_FLOW_NOT_LINKED;
  // An unlinked pad counts as one that has had enough.
  if (all_of([](GstFlowReturn ret) { return ret == GST_FLOW_EOS || ret == GST_FLOW_NOT_LINKED; }))
    return GST_FLOW_EOS;
  return GST_FLOW_OK;
}

GstFlowReturn Flow::update(int pad, GstFlowReturn ret) {
  const std::lock_guard lock(mutex_);
  pads_[static_cast<size_t>(pad)].ret = ret;
  return combined();
}

GstFlowReturn Flow::get() const {
  const std::lock_guard lock(mutex_);
  return combined();
}

void Flow::reset() {
  const std::lock_guard lock(mutex_);
  for (Pad& pad : pads_) pad.ret = GST_FLOW_OK;
  reported_ = false;
}

void Flow::reset_pad(int pad) {
  const std::lock_guard lock(mutex_);
  GstFlowReturn& ret = pads_[static_cast<size_t>(pad)].ret;
  if (ret == GST_FLOW_NOT_LINKED) ret = GST_FLOW_OK;
}

void Flow::set_present(int pad, bool present) {
  const std::lock_guard lock(mutex_);
  pads_[static_cast<size_t>(pad)] = {GST_FLOW_OK, present};
}

bool Flow::claim_report() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(reported_, true);
}

}  // namespace bsm
