// The enumerations among the properties.
#pragma once

#include <gst/gst.h>

namespace bsm {

GType precision_type();        ///< BsmPrecision
GType streaming_mode_type();   ///< BsmStreamingMode
GType mode_type();             ///< Mode
GType overload_policy_type();  ///< OverloadPolicy

}  // namespace bsm
