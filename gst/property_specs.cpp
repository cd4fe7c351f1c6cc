// What the properties are: names, ranges, units, and when they may change.
#include "properties.h"

#include "controls.h"
#include "property_types.h"
#include "settings.h"

namespace bsm {
namespace {

constexpr gint64 kMaxPartNs = 8 * static_cast<gint64>(GST_SECOND);
constexpr auto kReadOnly = static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr auto kReady =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
constexpr auto kControlled = static_cast<GParamFlags>(kPlaying | GST_PARAM_CONTROLLABLE);

}  // namespace

void install_properties(GObjectClass* klass) {
  klass->set_property = set_property;
  klass->get_property = get_property;
  const auto install = [klass](Property id, GParamSpec* spec) {
    g_object_class_install_property(klass, id, spec);
  };

  /**
   * GstBsMamba2Sep:model-file:
   *
   * Model file: safetensors, or a published PyTorch checkpoint. Unset: the environment variable
   * GST_BSMAMBA2SEP_MODEL, else the model that ships with the element. Read when going to PAUSED.
   *
   * Since: 0.1
   */
  install(kPropModelFile,
          g_param_spec_string("model-file", "Model file",
                              "Path of the model (NULL = the shipped one for the device)", nullptr, kReady));
  /**
   * GstBsMamba2Sep:device:
   *
   * "auto", "cpu", "cuda" or "cuda:N". Only "auto" chooses, and falls back to the CPU with a WARNING when the
   * GPU has no room for the model or fails before the first sound; a named device that is missing is an
   * error.
   *
   * Since: 0.1
   */
  install(kPropDevice,
          g_param_spec_string("device", "Device", "Where the network runs: auto, cpu, cuda, cuda:N", "auto",
                              kReady));
  /**
   * GstBsMamba2Sep:current-device:
   *
   * The device in use once the model is loaded; notified.
   *
   * Since: 0.1
   */
  install(kPropCurrentDevice,
          g_param_spec_string("current-device", "Current device",
                              "The device in use (NULL = no model is loaded)", nullptr, kReadOnly));
  /**
   * GstBsMamba2Sep:precision:
   *
   * Arithmetic of the network.
   *
   * Since: 0.1
   */
  install(kPropPrecision, g_param_spec_enum("precision", "Precision", "Arithmetic of the network",
                                            precision_type(), BSM_PRECISION_AUTO, kReady));
  /**
   * GstBsMamba2Sep:threads:
   *
   * CPU threads of one inference. Elements that share a model share the threads of the first one.
   *
   * Since: 0.1
   */
  install(kPropThreads,
          g_param_spec_uint("threads", "Threads", "CPU threads for inference (0 = one per physical core)", 0,
                            1024, 0, kReady));
  /**
   * GstBsMamba2Sep:share-model:
   *
   * Elements of the process with the same file, device and precision use one set of weights. Each keeps its
   * own state, and they take turns on the device.
   *
   * Since: 0.1
   */
  install(
      kPropShareModel,
      g_param_spec_boolean(
          "share-model", "Share model",
          "Use one set of weights with other elements of the same file, device and precision", TRUE, kReady));
  /**
   * GstBsMamba2Sep:stem-names:
   *
   * What the model says its stems are; number N comes through the request pad `stem_N`. Empty until the model
   * is loaded; notified.
   *
   * Since: 0.1
   */
  install(kPropStemNames,
          gst_param_spec_array("stem-names", "Stem names",
                               "Names of the stems of the loaded model, in the order of the pads stem_%u",
                               g_param_spec_string("name", "Name", "Name of a stem", nullptr, kReadOnly),
                               kReadOnly));
  /**
   * GstBsMamba2Sep:mode:
   *
   * "auto": live when upstream is. In live mode an overload is got over as overload-policy says, and a
   * measured processing budget grows when it proves too small. "offline": hop and look-ahead are about 4 s
   * each, whatever latency says, unless they are given.
   *
   * Since: 0.1
   */
  install(kPropMode, g_param_spec_enum("mode", "Mode", "Whether the stream is live", mode_type(),
                                       static_cast<gint>(Mode::kAuto), kReady));
  /**
   * GstBsMamba2Sep:latency:
   *
   * Upper bound of hop + look-ahead + STFT tail in nanoseconds. More separates a little better and costs
   * less. Hop and look-ahead share what is left after the tail; from 0.52 s on the look-ahead stays at 0.26 s
   * while the hop grows to 0.74 s, and beyond that the look-ahead grows until it is as long as the hop. A
   * part that is set (hop-duration, lookahead) is kept, even where the sum is more than this then. The time
   * for one inference (processing-latency) comes on top in the LATENCY query.
   *
   * Since: 0.1
   */
  install(kPropLatency, g_param_spec_uint64("latency", "Latency", "Upper bound of the algorithm's delay (ns)",
                                            kMinLatencyNs, kMaxLatencyNs, kDefaultLatencyNs, kReady));
  /**
   * GstBsMamba2Sep:lookahead:
   *
   * Right context of every sample in nanoseconds, rounded up to whole frames of the model (10 or 20 ms). -1:
   * derived from latency.
   *
   * Since: 0.1
   */
  install(kPropLookahead, g_param_spec_int64("lookahead", "Look-ahead",
                                             "Right context of every sample (ns, -1 = from latency)", kDerive,
                                             kMaxPartNs, kDerive, kReady));
  /**
   * GstBsMamba2Sep:hop-duration:
   *
   * Audio that one inference finishes in nanoseconds, rounded up to whole frames of the model, at least
   * one. -1: derived from latency. If this and lookahead are both set, latency is ignored.
   *
   * Since: 0.1
   */
  install(kPropHopDuration, g_param_spec_int64("hop-duration", "Hop duration",
                                               "Audio that one inference finishes (ns, -1 = from latency)",
                                               kDerive, kMaxPartNs, kDerive, kReady));
  /**
   * GstBsMamba2Sep:context-duration:
   *
   * Left context in nanoseconds in rolling mode. In either mode a GAP event up to this long counts as silence
   * (a longer one ends the signal), and silence-skip begins after it.
   *
   * Since: 0.1
   */
  install(kPropContextDuration,
          g_param_spec_uint64("context-duration", "Context duration", "Left context in rolling mode (ns)",
                              GST_SECOND, 16 * GST_SECOND, kDefaultContextNs, kReady));
  /**
   * GstBsMamba2Sep:streaming-mode:
   *
   * How the past is remembered.
   *
   * Since: 0.1
   */
  install(kPropStreamingMode,
          g_param_spec_enum("streaming-mode", "Streaming mode", "How the past is remembered",
                            streaming_mode_type(), BSM_STREAMING_CARRY, kReady));
  /**
   * GstBsMamba2Sep:processing-latency:
   *
   * Time granted to one inference in nanoseconds, part of the reported latency. -1: the time of the warm-up
   * plus a quarter.
   *
   * Since: 0.1
   */
  install(kPropProcessingLatency,
          g_param_spec_int64("processing-latency", "Processing latency",
                             "Time granted to one inference (ns, -1 = measured)", kDerive,
                             10 * static_cast<gint64>(GST_SECOND), kDerive, kReady));
  /**
   * GstBsMamba2Sep:overload-policy:
   *
   * What happens when inference is slower than a live stream. "block": upstream waits. "bypass": the mixture
   * passes unseparated, with the same delay, until the element has caught up. "drop": GAP events take the
   * place of the audio. "auto": bypass when the stream is live, else block. Each time a QOS message is
   * posted, and a WARNING at most every 10 s. Takes effect with the next hop.
   *
   * Since: 0.1
   */
  install(kPropOverloadPolicy,
          g_param_spec_enum("overload-policy", "Overload policy",
                            "What happens when inference is slower than a live stream",
                            overload_policy_type(), static_cast<gint>(OverloadPolicy::kAuto), kPlaying));
  /**
   * GstBsMamba2Sep:bypass:
   *
   * The instrumental is the mixture and the stems are silent, with the same delay, and nothing is computed.
   * Fades over 10 ms, at the end of the hop at hand.
   *
   * Since: 0.1
   */
  install(kPropBypass,
          g_param_spec_boolean("bypass", "Bypass", "Pass the mixture as instrumental, without inference",
                               FALSE, kPlaying));
  /**
   * GstBsMamba2Sep:vocals-gain:
   *
   * Gain of the pad `vocals`. Changes take 10 ms; controllable, at the stream time of the output.
   *
   * Since: 0.1
   */
  install(kPropVocalsGain,
          g_param_spec_double("vocals-gain", "Vocals gain", "Gain of the pad vocals (linear)", 0.0, 10.0, 1.0,
                              kControlled));
  /**
   * GstBsMamba2Sep:instrumental-gain:
   *
   * Gain of the pad `instrumental`. Changes take 10 ms; controllable, at the stream time of the output.
   *
   * Since: 0.1
   */
  install(kPropInstrumentalGain,
          g_param_spec_double("instrumental-gain", "Instrumental gain",
                              "Gain of the pad instrumental (linear)", 0.0, 10.0, 1.0, kControlled));
  /**
   * GstBsMamba2Sep:guide-level:
   *
   * Share of the voice that is added to the instrumental (before its gain), as a guide for singers: 0 none, 1
   * the whole voice. Changes take 10 ms; controllable, at the stream time of the output.
   *
   * Since: 0.1
   */
  install(kPropGuideLevel, g_param_spec_double("guide-level", "Guide level",
                                               "Share of the voice added to the instrumental (linear)", 0.0,
                                               1.0, 0.0, kControlled));
  /**
   * GstBsMamba2Sep:silence-skip:
   *
   * No inference once the input has been digital silence for context-duration and all that is in the element
   * is silent; the output is exact silence then. Takes effect with the next hop.
   *
   * Since: 0.1
   */
  install(kPropSilenceSkip,
          g_param_spec_boolean("silence-skip", "Silence skip", "Do not run the network on digital silence",
                               TRUE, kPlaying));
  /**
   * GstBsMamba2Sep:discont-threshold:
   *
   * Timestamps that stray less than this in nanoseconds from the count of samples are smoothed.
   *
   * Since: 0.1
   */
  install(kPropDiscontThreshold, g_param_spec_uint64("discont-threshold", "Discontinuity threshold",
                                                     "Tolerated error of timestamps (ns)", 0, G_MAXUINT64 - 1,
                                                     kDefaultDiscontThresholdNs, kReady));
  /**
   * GstBsMamba2Sep:discont-wait:
   *
   * Timestamps must stray for so many nanoseconds before the output follows them.
   *
   * Since: 0.1
   */
  install(kPropDiscontWait,
          g_param_spec_uint64("discont-wait", "Discontinuity wait",
                              "How long timestamps must stray until the output follows (ns)", 0,
                              G_MAXUINT64 - 1, kDefaultDiscontWaitNs, kReady));
  /**
   * GstBsMamba2Sep:stats:
   *
   * `application/x-bsmamba2sep-stats`, since READY->PAUSED. In samples per pad: processed (left as buffers),
   * of these bypassed (the mixture passed) and skipped (silence); dropped (became GAP events). inferences,
   * discontinuities. In ns: infer-time-last, infer-time-avg, infer-time-max, queued, latency. rtf-avg,
   * rtf-max: time of inference per time of audio. live, device. gpu-mem, gpu-mem-peak: bytes of the GPU that
   * the engine holds for all elements of the process, at the last inference and at most; 0 on a CPU.
   *
   * Since: 0.1
   */
  install(kPropStats, g_param_spec_boxed("stats", "Statistics", "Counters since the element went to PAUSED",
                                         GST_TYPE_STRUCTURE, kReadOnly));
  /**
   * GstBsMamba2Sep:post-messages:
   *
   * Posts an element message `bsmamba2sep-stats` for each interval of output: the fields of stats, and
   * timestamp, stream-time and running-time of the output.
   *
   * Since: 0.1
   */
  install(kPropPostMessages,
          g_param_spec_boolean("post-messages", "Post messages", "Post element messages with the statistics",
                               FALSE, kPlaying));
  /**
   * GstBsMamba2Sep:interval:
   *
   * Output between two element messages in nanoseconds.
   *
   * Since: 0.1
   */
  install(kPropInterval,
          g_param_spec_uint64("interval", "Interval", "Output between two element messages (ns)", GST_MSECOND,
                              G_MAXUINT64 - 1, kDefaultIntervalNs, kPlaying));
}

}  // namespace bsm
