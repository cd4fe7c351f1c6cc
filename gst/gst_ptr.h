// Owning pointers for GStreamer's reference counted objects.
#pragma once

#include <gst/gst.h>

#include <memory>

namespace bsm {

struct GstUnref {
  void operator()(GstEvent* event) const { gst_event_unref(event); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstElement* element) const { gst_object_unref(element); }
  void operator()(GstPad* pad) const { gst_object_unref(pad); }
  void operator()(GstStructure* structure) const { gst_structure_free(structure); }
  void operator()(gchar* text) const { g_free(text); }
};

using EventPtr = std::unique_ptr<GstEvent, GstUnref>;
using BufferPtr = std::unique_ptr<GstBuffer, GstUnref>;
using ElementPtr = std::unique_ptr<GstElement, GstUnref>;
using CapsPtr = std::unique_ptr<GstCaps, GstUnref>;
using StructurePtr = std::unique_ptr<GstStructure, GstUnref>;
using PadPtr = std::unique_ptr<GstPad, GstUnref>;
using TextPtr = std::unique_ptr<gchar, GstUnref>;

/// The macros GST_EVENT_IS_STICKY and GST_EVENT_IS_SERIALIZED mix enumerations, which C++20 deprecates.
inline bool is_sticky(const GstEvent* event) {
  return (gst_event_type_get_flags(GST_EVENT_TYPE(event)) & GST_EVENT_TYPE_STICKY) != 0;
}
inline bool is_serialized(const GstEvent* event) {
  return (gst_event_type_get_flags(GST_EVENT_TYPE(event)) & GST_EVENT_TYPE_SERIALIZED) != 0;
}

/// Sticky events that outlive a flush; SEGMENT and EOS belong to the data that is thrown away.
inline bool survives_flush(const GstEvent* event) {
  return event && is_sticky(event) && GST_EVENT_TYPE(event) != GST_EVENT_SEGMENT &&
         GST_EVENT_TYPE(event) != GST_EVENT_EOS;
}

}  // namespace bsm
