// Flow combining. GstFlowCombiner itself is not thread safe; both pad tasks and the sink use this one.
#include <utility>

#include "element.h"

namespace bsm {

Flow::Flow(GstPad* vocals, GstPad* instrumental) : combiner_(gst_flow_combiner_new()) {
  gst_flow_combiner_add_pad(combiner_, vocals);
  gst_flow_combiner_add_pad(combiner_, instrumental);
}

Flow::~Flow() { gst_flow_combiner_free(combiner_); }

GstFlowReturn Flow::update(GstPad* pad, GstFlowReturn ret) {
  const std::lock_guard lock(mutex_);
  combined_ = gst_flow_combiner_update_pad_flow(combiner_, pad, ret);
  return combined_;
}

GstFlowReturn Flow::get() const {
  const std::lock_guard lock(mutex_);
  return combined_;
}

void Flow::reset() {
  const std::lock_guard lock(mutex_);
  gst_flow_combiner_reset(combiner_);
  combined_ = GST_FLOW_OK;
  reported_ = false;
}

void Flow::reset_pad(GstPad* pad) {
  const std::lock_guard lock(mutex_);
  if (combined_ != GST_FLOW_NOT_LINKED && combined_ != GST_FLOW_OK) return;
  combined_ = gst_flow_combiner_update_pad_flow(combiner_, pad, GST_FLOW_OK);
}

bool Flow::claim_report() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(reported_, true);
}

}  // namespace bsm
