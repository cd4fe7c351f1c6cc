#include "property_types.h"

#include "controls.h"
#include "engine/engine.h"
#include "settings.h"

namespace bsm {
namespace {

GType register_enum(const char* name, const GEnumValue* values) {
  const GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

}  // namespace

/**
 * GstBsMamba2SepPrecision:
 * @auto: fp32 on a CPU; bf16 on a GPU that has it, else fp16
 * @fp32: 32-bit floating point
 * @bf16: bfloat16
 * @fp16: 16-bit floating point
 *
 * Arithmetic of the network. The 16-bit formats need a GPU.
 *
 * Since: 0.1
 */
GType precision_type() {
  static const GEnumValue values[] = {
      {BSM_PRECISION_AUTO, "fp32 on a CPU; bf16 on a GPU that has it, else fp16", "auto"},
      {BSM_PRECISION_FP32, "32-bit floating point", "fp32"},
      {BSM_PRECISION_BF16, "bfloat16", "bf16"},
      {BSM_PRECISION_FP16, "16-bit floating point", "fp16"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstBsMamba2SepPrecision", values);
  return type;
}

/**
 * GstBsMamba2SepStreamingMode:
 * @carry: keep the forward state: all of the past is context
 * @rolling: compute context, hop and look-ahead anew for every hop
 *
 * How the past is remembered.
 *
 * Since: 0.1
 */
GType streaming_mode_type() {
  static const GEnumValue values[] = {
      {BSM_STREAMING_CARRY, "Keep the forward state: all of the past is context", "carry"},
      {BSM_STREAMING_ROLLING, "Compute context, hop and look-ahead anew for every hop", "rolling"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstBsMamba2SepStreamingMode", values);
  return type;
}

/**
 * GstBsMamba2SepMode:
 * @auto: live when upstream is
 * @live: live
 * @offline: not live; long hop and look-ahead
 *
 * Whether the stream is live.
 *
 * Since: 0.1
 */
GType mode_type() {
  static const GEnumValue values[] = {
      {static_cast<gint>(Mode::kAuto), "Live when upstream is", "auto"},
      {static_cast<gint>(Mode::kLive), "Live", "live"},
      {static_cast<gint>(Mode::kOffline), "Not live; long hop and look-ahead", "offline"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstBsMamba2SepMode", values);
  return type;
}

/**
 * GstBsMamba2SepOverloadPolicy:
 * @auto: bypass when live, else block
 * @block: let upstream wait
 * @bypass: pass the mixture unseparated
 * @drop: drop audio, send GAP events
 *
 * What happens when inference is slower than a live stream.
 *
 * Since: 0.1
 */
GType overload_policy_type() {
  static const GEnumValue values[] = {
      {static_cast<gint>(OverloadPolicy::kAuto), "Bypass when live, else block", "auto"},
      {static_cast<gint>(OverloadPolicy::kBlock), "Let upstream wait", "block"},
      {static_cast<gint>(OverloadPolicy::kBypass), "Pass the mixture unseparated", "bypass"},
      {static_cast<gint>(OverloadPolicy::kDrop), "Drop audio, send GAP events", "drop"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstBsMamba2SepOverloadPolicy", values);
  return type;
}

}  // namespace bsm
