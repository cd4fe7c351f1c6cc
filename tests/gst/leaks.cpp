#include "leaks.h"

#include <gst/gst.h>

#include <algorithm>
#include <iterator>

namespace bsm::test {
namespace {

GstTracer* leaks_tracer() {
  static GstTracer* const tracer = [] {
    GList* active = gst_tracing_get_active_tracers();
    GstTracer* found = nullptr;
    for (GList* node = active; node; node = node->next)
      if (std::string(G_OBJECT_TYPE_NAME(node->data)) == "GstLeaksTracer") found = GST_TRACER(node->data);
    g_list_free_full(active, gst_object_unref);
    if (!found) g_error("These tests need GST_TRACERS=leaks");
    return found;  // lives as long as the process
  }();
  return tracer;
}

/// Or is none of ours to judge: of some messages the list of GStreamer 1.22 misses the end.
bool lives_with_the_process(const gchar* type_name) {
  static const char* const types[] = {
      "GstPlugin",    "GstRegistry",     "GstPadTemplate",           "GstSystemClock", "GstTaskPool",
      "GstAllocator", "GstTracerRecord", "GstDeviceProviderFactory", "GstMessage"};
  const std::string name = type_name;
  const std::string suffix = "Factory";
  return std::any_of(std::begin(types), std::end(types), [&](const char* type) { return name == type; }) ||
         (name.size() > suffix.size() &&
          name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0);
}

}  // namespace

void LeakTracker::start() {
  // Once: in GStreamer 1.22 the second call never unlocks the tracer.
  static const bool tracking = [] {
    g_signal_emit_by_name(leaks_tracer(), "activity-start-tracking");
    return true;
  }();
  static_cast<void>(tracking);
  live();  // forgets what a test before left
  live_.clear();
  balance_.clear();
}

const std::map<std::string, std::string>& LeakTracker::live() {
  GstStructure* activity = nullptr;
  g_signal_emit_by_name(leaks_tracer(), "activity-get-checkpoint", &activity);
  // Kept from call to call: the tracer hands out its two lists one after the other, so that an end may come a
  // call before its beginning.
  const auto count = [&](const char* list_name, int change) {
    const GValue* list = gst_structure_get_value(activity, list_name);
    for (guint i = 0; list && i < gst_value_list_get_size(list); ++i) {
      const GstStructure* object = gst_value_get_structure(gst_value_list_get_value(list, i));
      const std::string type = gst_structure_get_string(object, "type-name");
      const std::string address = gst_structure_get_string(object, "address");
      balance_[address] += change;
      if (change > 0 && !lives_with_the_process(type.c_str())) live_[address] = type;
    }
  };
  count("objects-created-list", 1);
  count("objects-removed-list", -1);
  for (const auto& [address, made] : balance_)
    if (made <= 0) live_.erase(address);
  gst_structure_free(activity);
  return live_;
}

const std::map<std::string, std::string>& LeakTracker::leaked() {
  live();
  // Read where they are: the tracer has not seen their end, so they are there.
  std::erase_if(live_, [](const auto& object) {
    const auto& [address, type] = object;
    if (type != "GstCaps") return false;
    const auto* caps = reinterpret_cast<const GstCaps*>(std::stoull(address, nullptr, 16));
    return GST_MINI_OBJECT_FLAG_IS_SET(caps, GST_MINI_OBJECT_FLAG_MAY_BE_LEAKED);
  });
  return live_;
}

}  // namespace bsm::test
