// Times that a clock of the source's own gives samples (GstReferenceTimestampMeta: NTP, PTP, a driver), on
// their way to the output, where other buffers begin than came in.
#pragma once

#include <gst/gst.h>

#include <vector>

#include "gst_ptr.h"

namespace bsm {

struct Reference {
  CapsPtr clock;
  GstClockTime timestamp;  ///< of the first sample that follows
  StructurePtr info;       ///< what the source adds, or NULL
};

/// What a buffer carries, for its first sample after `skipped` ns were cut off its beginning.
std::vector<Reference> references_of(GstBuffer* buffer, GstClockTime skipped);

/// Tells a buffer the time of its first sample, `ahead` ns before the one that the reference is of. One time
/// for each clock is enough. The time spans of what came in are not those of the output, hence no duration.
void add_reference(GstBuffer* buffer, const Reference& reference, GstClockTime ahead);

}  // namespace bsm
