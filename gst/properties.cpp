// Properties: all state under the object lock; a session works on the values it started with.
#include <string>

#include "element.h"

namespace bsm {
namespace {

enum {
  kPropModelFile = 1,
  kPropDevice,
  kPropCurrentDevice,
  kPropPrecision,
  kPropThreads,
  kPropLatency,
  kPropLookahead,
  kPropHopDuration,
  kPropContextDuration,
  kPropStreamingMode,
  kPropProcessingLatency,
  kPropStats,
};

GType precision_type() {
  static const GEnumValue values[] = {
      {BSM_PRECISION_AUTO, "fp32 on a CPU; bf16 on a GPU that has it, else fp16", "auto"},
      {BSM_PRECISION_FP32, "32-bit floating point", "fp32"},
      {BSM_PRECISION_BF16, "bfloat16", "bf16"},
      {BSM_PRECISION_FP16, "16-bit floating point", "fp16"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstBsMamba2SepPrecision", values);
  return type;
}

GType streaming_mode_type() {
  static const GEnumValue values[] = {
      {BSM_STREAMING_CARRY, "Keep the forward state: all of the past is context", "carry"},
      {BSM_STREAMING_ROLLING, "Compute context, hop and look-ahead anew for every hop", "rolling"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstBsMamba2SepStreamingMode", values);
  return type;
}

std::string text_of(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text ? text : "";
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  Settings& settings = priv(reinterpret_cast<GstBsMamba2Sep*>(object)).settings;
  GST_OBJECT_LOCK(object);
  switch (id) {
    case kPropModelFile:
      settings.model_file = text_of(value);
      break;
    case kPropDevice:
      settings.device = g_value_get_string(value) ? text_of(value) : "auto";
      break;
    case kPropPrecision:
      settings.precision = static_cast<BsmPrecision>(g_value_get_enum(value));
      break;
    case kPropThreads:
      settings.threads = g_value_get_uint(value);
      break;
    case kPropLatency:
      settings.latency_ns = g_value_get_uint64(value);
      break;
    case kPropLookahead:
      settings.lookahead_ns = g_value_get_int64(value);
      break;
    case kPropHopDuration:
      settings.hop_ns = g_value_get_int64(value);
      break;
    case kPropContextDuration:
      settings.context_ns = g_value_get_uint64(value);
      break;
    case kPropStreamingMode:
      settings.streaming_mode = static_cast<BsmStreamingMode>(g_value_get_enum(value));
      break;
    case kPropProcessingLatency:
      settings.processing_latency_ns = g_value_get_int64(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
      break;
  }
  GST_OBJECT_UNLOCK(object);
}

GstStructure* make_stats(GstBsMamba2Sep* self) {
  const auto session = current_session(self);
  const Statistics s = session ? session->statistics() : Statistics{};
  const int64_t queued = session ? session->input.queued_frames() + session->output.queued_frames() : 0;
  const double rtf_avg =
      s.separated_ns ? static_cast<double>(s.infer_total_ns) / static_cast<double>(s.separated_ns) : 0.0;
  const std::string device = session ? session->current_device() : "";
  return gst_structure_new(
      "application/x-bsmamba2sep-stats", "processed", G_TYPE_UINT64, s.processed_samples, "inferences",
      G_TYPE_UINT64, s.inferences, "discontinuities", G_TYPE_UINT64, s.discontinuities, "rtf-avg",
      G_TYPE_DOUBLE, rtf_avg, "infer-time-last", G_TYPE_UINT64, s.infer_last_ns, "infer-time-avg",
      G_TYPE_UINT64, s.inferences ? s.infer_total_ns / s.inferences : guint64{0}, "infer-time-max",
      G_TYPE_UINT64, s.infer_max_ns, "queued", G_TYPE_UINT64,
      gst_util_uint64_scale(static_cast<guint64>(queued), GST_SECOND, kRateHz), "latency", G_TYPE_UINT64,
      current_latency(self).min, "device", G_TYPE_STRING, device.c_str(), nullptr);
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(object);
  if (id == kPropStats) {
    g_value_take_boxed(value, make_stats(self));
    return;
  }
  if (id == kPropCurrentDevice) {
    const auto session = current_session(self);
    const std::string device = session ? session->current_device() : "";
    g_value_set_string(value, device.empty() ? nullptr : device.c_str());
    return;
  }
  const Settings& settings = priv(self).settings;
  GST_OBJECT_LOCK(object);
  switch (id) {
    case kPropModelFile:
      g_value_set_string(value, settings.model_file.empty() ? nullptr : settings.model_file.c_str());
      break;
    case kPropDevice:
      g_value_set_string(value, settings.device.c_str());
      break;
    case kPropPrecision:
      g_value_set_enum(value, settings.precision);
      break;
    case kPropThreads:
      g_value_set_uint(value, settings.threads);
      break;
    case kPropLatency:
      g_value_set_uint64(value, settings.latency_ns);
      break;
    case kPropLookahead:
      g_value_set_int64(value, settings.lookahead_ns);
      break;
    case kPropHopDuration:
      g_value_set_int64(value, settings.hop_ns);
      break;
    case kPropContextDuration:
      g_value_set_uint64(value, settings.context_ns);
      break;
    case kPropStreamingMode:
      g_value_set_enum(value, settings.streaming_mode);
      break;
    case kPropProcessingLatency:
      g_value_set_int64(value, settings.processing_latency_ns);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
      break;
  }
  GST_OBJECT_UNLOCK(object);
}

}  // namespace

void install_properties(GObjectClass* klass) {
  klass->set_property = set_property;
  klass->get_property = get_property;
  const auto writable =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  const auto readable = static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  constexpr gint64 kMaxPartNs = 8 * static_cast<gint64>(GST_SECOND);

  /**
   * GstBsMamba2Sep:model-file:
   *
   * Model file: safetensors, or a published PyTorch checkpoint. Unset: the environment variable
   * GST_BSMAMBA2SEP_MODEL, else the model that ships with the element. Read when going to PAUSED.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropModelFile,
      g_param_spec_string("model-file", "Model file", "Path of the model (NULL = the shipped one)", nullptr,
                          writable));
  /**
   * GstBsMamba2Sep:device:
   *
   * "auto", "cpu", "cuda" or "cuda:N". Only "auto" chooses; a named device that is missing is an error.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropDevice,
      g_param_spec_string("device", "Device", "Where the network runs: auto, cpu, cuda, cuda:N", "auto",
                          writable));
  /**
   * GstBsMamba2Sep:current-device:
   *
   * The device in use once the model is loaded; notified.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropCurrentDevice,
      g_param_spec_string("current-device", "Current device", "The device in use (NULL = no model is loaded)",
                          nullptr, readable));
  /**
   * GstBsMamba2Sep:precision:
   *
   * Since: 0.1
   */
  g_object_class_install_property(klass, kPropPrecision,
                                  g_param_spec_enum("precision", "Precision", "Arithmetic of the network",
                                                    precision_type(), BSM_PRECISION_AUTO, writable));
  /**
   * GstBsMamba2Sep:threads:
   *
   * CPU threads of one inference. The thread pool of LibTorch is shared by the whole process: the last value
   * set wins.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropThreads,
      g_param_spec_uint("threads", "Threads", "CPU threads for inference (0 = one per physical core)", 0,
                        1024, 0, writable));
  /**
   * GstBsMamba2Sep:latency:
   *
   * Upper bound of hop + look-ahead + STFT tail in nanoseconds. More is better separation at the same cost,
   * or less cost. The time for one inference (processing-latency) comes on top in the LATENCY query.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropLatency,
      g_param_spec_uint64("latency", "Latency", "Upper bound of the algorithm's delay (ns)", kMinLatencyNs,
                          kMaxLatencyNs, GST_SECOND, writable));
  /**
   * GstBsMamba2Sep:lookahead:
   *
   * Right context of every sample in nanoseconds, rounded up to 10 ms. -1: derived from latency.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropLookahead,
      g_param_spec_int64("lookahead", "Look-ahead", "Right context of every sample (ns, -1 = from latency)",
                         kDerive, kMaxPartNs, kDerive, writable));
  /**
   * GstBsMamba2Sep:hop-duration:
   *
   * Audio that one inference finishes in nanoseconds, rounded up to 10 ms. -1: derived from latency. If this
   * and lookahead are both set, latency is ignored.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropHopDuration,
      g_param_spec_int64("hop-duration", "Hop duration",
                         "Audio that one inference finishes (ns, -1 = from latency)", kDerive, kMaxPartNs,
                         kDerive, writable));
  /**
   * GstBsMamba2Sep:context-duration:
   *
   * Left context in nanoseconds in rolling mode. In either mode a GAP event up to this long counts as
   * silence; a longer one ends the signal.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropContextDuration,
      g_param_spec_uint64("context-duration", "Context duration", "Left context in rolling mode (ns)",
                          GST_SECOND, 16 * GST_SECOND, kDefaultContextNs, writable));
  /**
   * GstBsMamba2Sep:streaming-mode:
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropStreamingMode,
      g_param_spec_enum("streaming-mode", "Streaming mode", "How the past is remembered",
                        streaming_mode_type(), BSM_STREAMING_CARRY, writable));
  /**
   * GstBsMamba2Sep:processing-latency:
   *
   * Time granted to one inference in nanoseconds, part of the reported latency. -1: the time of the warm-up
   * plus a quarter.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropProcessingLatency,
      g_param_spec_int64("processing-latency", "Processing latency",
                         "Time granted to one inference (ns, -1 = measured)", kDerive,
                         10 * static_cast<gint64>(GST_SECOND), kDerive, writable));
  /**
   * GstBsMamba2Sep:stats:
   *
   * `application/x-bsmamba2sep-stats`: processed (samples per pad), inferences, discontinuities, rtf-avg
   * (time of inference per time of audio), infer-time-last, infer-time-avg, infer-time-max, queued, latency
   * (ns), device.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      klass, kPropStats,
      g_param_spec_boxed("stats", "Statistics", "Counters since the element went to PAUSED",
                         GST_TYPE_STRUCTURE, readable));
  gst_type_mark_as_plugin_api(precision_type(), static_cast<GstPluginAPIFlags>(0));
  gst_type_mark_as_plugin_api(streaming_mode_type(), static_cast<GstPluginAPIFlags>(0));
}

}  // namespace bsm
