// Values of the properties. What is fixed while a stream runs is kept under the object lock, and a session
// works on the values it started with; what may change while playing is in Controls.
#include "properties.h"

#include <string>

#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

std::string text_of(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text ? text : "";
}

bool set_control(Controls* controls, guint id, const GValue* value) {
  switch (id) {
    case kPropOverloadPolicy:
      controls->overload_policy = static_cast<OverloadPolicy>(g_value_get_enum(value));
      return true;
    case kPropBypass:
      controls->bypass = g_value_get_boolean(value);
      return true;
    case kPropVocalsGain:
      controls->vocals_gain = g_value_get_double(value);
      return true;
    case kPropInstrumentalGain:
      controls->instrumental_gain = g_value_get_double(value);
      return true;
    case kPropGuideLevel:
      controls->guide_level = g_value_get_double(value);
      return true;
    case kPropSilenceSkip:
      controls->silence_skip = g_value_get_boolean(value);
      return true;
    case kPropPostMessages:
      controls->post_messages = g_value_get_boolean(value);
      return true;
    case kPropInterval:
      controls->interval_ns = g_value_get_uint64(value);
      return true;
    default:
      return false;
  }
}

bool get_control(const Controls& controls, guint id, GValue* value) {
  switch (id) {
    case kPropOverloadPolicy:
      g_value_set_enum(value, static_cast<gint>(controls.overload_policy.load()));
      return true;
    case kPropBypass:
      g_value_set_boolean(value, controls.bypass);
      return true;
    case kPropVocalsGain:
      g_value_set_double(value, controls.vocals_gain);
      return true;
    case kPropInstrumentalGain:
      g_value_set_double(value, controls.instrumental_gain);
      return true;
    case kPropGuideLevel:
      g_value_set_double(value, controls.guide_level);
      return true;
    case kPropSilenceSkip:
      g_value_set_boolean(value, controls.silence_skip);
      return true;
    case kPropPostMessages:
      g_value_set_boolean(value, controls.post_messages);
      return true;
    case kPropInterval:
      g_value_set_uint64(value, controls.interval_ns);
      return true;
    default:
      return false;
  }
}

bool set_setting(Settings* settings, guint id, const GValue* value) {
  switch (id) {
    case kPropModelFile:
      settings->model_file = text_of(value);
      return true;
    case kPropDevice:
      settings->device = g_value_get_string(value) ? text_of(value) : "auto";
      return true;
    case kPropPrecision:
      settings->precision = static_cast<BsmPrecision>(g_value_get_enum(value));
      return true;
    case kPropThreads:
      settings->threads = g_value_get_uint(value);
      return true;
    case kPropShareModel:
      settings->share_model = g_value_get_boolean(value);
      return true;
    case kPropMode:
      settings->mode = static_cast<Mode>(g_value_get_enum(value));
      return true;
    case kPropLatency:
      settings->latency_ns = g_value_get_uint64(value);
      return true;
    case kPropLookahead:
      settings->lookahead_ns = g_value_get_int64(value);
      return true;
    case kPropHopDuration:
      settings->hop_ns = g_value_get_int64(value);
      return true;
    case kPropContextDuration:
      settings->context_ns = g_value_get_uint64(value);
      return true;
    case kPropStreamingMode:
      settings->streaming_mode = static_cast<BsmStreamingMode>(g_value_get_enum(value));
      return true;
    case kPropProcessingLatency:
      settings->processing_latency_ns = g_value_get_int64(value);
      return true;
    case kPropDiscontThreshold:
      settings->discont_threshold_ns = g_value_get_uint64(value);
      return true;
    case kPropDiscontWait:
      settings->discont_wait_ns = g_value_get_uint64(value);
      return true;
    default:
      return false;
  }
}

bool get_setting(const Settings& settings, guint id, GValue* value) {
  switch (id) {
    case kPropModelFile:
      g_value_set_string(value, settings.model_file.empty() ? nullptr : settings.model_file.c_str());
      return true;
    case kPropDevice:
      g_value_set_string(value, settings.device.c_str());
      return true;
    case kPropPrecision:
      g_value_set_enum(value, settings.precision);
      return true;
    case kPropThreads:
      g_value_set_uint(value, settings.threads);
      return true;
    case kPropShareModel:
      g_value_set_boolean(value, settings.share_model);
      return true;
    case kPropMode:
      g_value_set_enum(value, static_cast<gint>(settings.mode));
      return true;
    case kPropLatency:
      g_value_set_uint64(value, settings.latency_ns);
      return true;
    case kPropLookahead:
      g_value_set_int64(value, settings.lookahead_ns);
      return true;
    case kPropHopDuration:
      g_value_set_int64(value, settings.hop_ns);
      return true;
    case kPropContextDuration:
      g_value_set_uint64(value, settings.context_ns);
      return true;
    case kPropStreamingMode:
      g_value_set_enum(value, settings.streaming_mode);
      return true;
    case kPropProcessingLatency:
      g_value_set_int64(value, settings.processing_latency_ns);
      return true;
    case kPropDiscontThreshold:
      g_value_set_uint64(value, settings.discont_threshold_ns);
      return true;
    case kPropDiscontWait:
      g_value_set_uint64(value, settings.discont_wait_ns);
      return true;
    default:
      return false;
  }
}

/// What the running session knows.
bool get_state(GstBsMamba2Sep* self, guint id, GValue* value) {
  const auto session = current_session(self);
  switch (id) {
    case kPropStats:
      g_value_take_boxed(
          value, make_statistics("application/x-bsmamba2sep-stats", session.get(), current_latency(self)));
      return true;
    case kPropCurrentDevice: {
      const std::string device = session ? session->current_device() : "";
      g_value_set_string(value, device.empty() ? nullptr : device.c_str());
      return true;
    }
    case kPropStemNames: {
      for (const std::string& name : session ? session->stem_names() : std::vector<std::string>{}) {
        GValue text = G_VALUE_INIT;
        g_value_init(&text, G_TYPE_STRING);
        g_value_set_string(&text, name.c_str());
        gst_value_array_append_and_take_value(value, &text);
      }
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  Priv& p = priv(reinterpret_cast<GstBsMamba2Sep*>(object));
  if (set_control(p.controls.get(), id, value)) return;
  GST_OBJECT_LOCK(object);
  const bool known = set_setting(&p.settings, id, value);
  GST_OBJECT_UNLOCK(object);
  if (!known) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  if (current_session(reinterpret_cast<GstBsMamba2Sep*>(object)))
    GST_WARNING_OBJECT(object, "%s takes effect when the element next goes from READY to PAUSED", spec->name);
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(object);
  if (get_state(self, id, value) || get_control(*priv(self).controls, id, value)) return;
  GST_OBJECT_LOCK(object);
  const bool known = get_setting(priv(self).settings, id, value);
  GST_OBJECT_UNLOCK(object);
  if (!known) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

}  // namespace bsm
