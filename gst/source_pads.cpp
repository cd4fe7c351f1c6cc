// Which source pads there are: two always, one per stem on request.
#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

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

}  // namespace

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
  if (session) {
    session->output.set_active(pad_number(pad), true);
    start_task(session.get(), pad);
  }
  return pad;
}

void release_pad(GstElement* element, GstPad* pad) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(element);
  const int number = pad_number(pad);
  // First of all: that a push on its way returns FLUSHING is none of upstream's business.
  priv(self).flow.set_present(number, false);
  gst_pad_set_active(pad, FALSE);
  if (const auto session = current_session(self)) session->release_stem(number - kFirstStem);
  {
    const std::lock_guard lock(priv(self).pads_mutex);
    priv(self).src[static_cast<size_t>(number)] = nullptr;
  }
  gst_element_remove_pad(element, pad);
}

}  // namespace bsm
