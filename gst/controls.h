// Properties that may change while playing: written by the application or a controller, read by the worker
// for each piece of output. Atomic, so that a session needs no lock of the element, which may be gone.
#pragma once

#include <gst/gst.h>

#include <atomic>

namespace bsm {

enum class OverloadPolicy { kAuto, kBlock, kBypass, kDrop };

inline constexpr GstClockTime kDefaultIntervalNs = GST_SECOND;

struct Controls {
  std::atomic<double> vocals_gain{1.0};
  std::atomic<double> instrumental_gain{1.0};
  std::atomic<double> guide_level{0.0};
  std::atomic<bool> bypass{false};
  std::atomic<bool> silence_skip{true};
  std::atomic<OverloadPolicy> overload_policy{OverloadPolicy::kAuto};
  std::atomic<bool> post_messages{false};
  std::atomic<GstClockTime> interval_ns{kDefaultIntervalNs};
};

}  // namespace bsm
