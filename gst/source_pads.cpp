// Which source pads there are: two always, one per stem on request.
#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

/// Names what a pad has when it is released. Its number may be another's before it is gone.
GQuark released_quark() {
  static const GQuark quark = g_quark_from_static_string("bsmamba2sep-released");
  return quark;
}

/// N of "stem_N"; the lowest that is free without a name; -1 when it cannot be had.
int wanted_stem(const Priv& p, const gchar* name) {
  if (!name) {
    for (int stem = 0; stem < BSM_MAX_STEMS; ++stem)
      if (!p.src[kFirstStem + stem]) return stem;
    return -1;
  }
  guint64 stem = 0;
  if (!g_str_has_prefix(name, "stem_") ||
      !g_ascii_string_to_unsigned(name + strlen("stem_"), 10, 0, BSM_MAX_STEMS - 1, &stem, nullptr))
    return -1;
  return p.src[kFirstStem + stem] ? -1 : static_cast<int>(stem);
}

void mark_released(GstBsMamba2Sep* self, GstPad* pad) {
  const std::lock_guard lock(priv(self).pads_mutex);
  g_object_set_qdata(G_OBJECT(pad), released_quark(), pad);
}

}  // namespace

bool is_released(GstPad* pad) {
  return g_object_get_qdata(G_OBJECT(pad), released_quark()) != nullptr;
}

int pad_number(GstPad* pad) { return GPOINTER_TO_INT(gst_pad_get_element_private(pad)); }

std::vector<PadPtr> source_pads(GstBsMamba2Sep* self) {
  std::vector<PadPtr> pads;
  const std::lock_guard lock(priv(self).pads_mutex);
  for (GstPad* pad : priv(self).src)
    if (pad) pads.emplace_back(GST_PAD(gst_object_ref(pad)));
  return pads;
}

GstPad* make_source_pad(Priv* p, GstPadTemplate* pad_template, int number) {
  GstPad* pad = gst_pad_new_from_template(pad_template, pad_name(number).c_str());
  gst_pad_set_element_private(pad, GINT_TO_POINTER(number));
  gst_pad_set_event_function(pad, GST_DEBUG_FUNCPTR(src_event));
  gst_pad_set_query_function(pad, GST_DEBUG_FUNCPTR(src_query));
  gst_pad_set_activatemode_function(pad, GST_DEBUG_FUNCPTR(src_activate_mode));
  gst_pad_use_fixed_caps(pad);
  p->flow.set_present(number, true);
  p->src[static_cast<size_t>(number)] = pad;
  return pad;
}

GstPad* request_new_pad(GstElement* element, GstPadTemplate* pad_template, const gchar* name,
                        const GstCaps*) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(element);
  Priv& p = priv(self);
  const auto session = current_session(self);
  GstPad* pad = nullptr;
  {
    const std::lock_guard lock(p.pads_mutex);
    const int stem = wanted_stem(p, name);
    const bool exists = stem >= 0 && (!session || session->request_stem(stem));
    if (exists) pad = make_source_pad(&p, pad_template, kFirstStem + stem);
  }
  if (!pad) {
    GST_WARNING_OBJECT(self, "there is no stem pad %s to be had", name ? name : "(any)");
    return nullptr;
  }
  // A running element takes active pads only, and without its parent a pad cannot start its task.
  if (session) gst_pad_set_active(pad, TRUE);
  gst_element_add_pad(element, pad);
  // Of a state change meanwhile there may be another.
  if (const auto now = current_session(self)) start_pad(self, now.get(), pad);
  return pad;
}

void release_pad(GstElement* element, GstPad* pad) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(element);
  const int number = pad_number(pad);
  // First of all: that a push on its way returns FLUSHING is none of upstream's business, and a state change
  // in another thread must not start the pad again.
  priv(self).flow.set_present(number, false);
  mark_released(self, pad);
  gst_pad_set_active(pad, FALSE);
  if (const auto session = current_session(self)) {
    session->output.set_active(number, false);
    session->release_stem(number - kFirstStem);
  }
  // Where a state change had deactivated the pad while it was made, its task was started after that.
  gst_pad_stop_task(pad);
  {
    const std::lock_guard lock(priv(self).pads_mutex);
    priv(self).src[static_cast<size_t>(number)] = nullptr;
  }
  gst_element_remove_pad(element, pad);
}

}  // namespace bsm
