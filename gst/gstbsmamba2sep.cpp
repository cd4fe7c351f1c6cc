/**
 * SECTION:element-bsmamba2sep
 * @title: bsmamba2sep
 * @short_description: Separates singing from music
 *
 * Splits music into the singing voice (pad `vocals`) and everything else (pad `instrumental`) with the
 * BSMamba2 network (arXiv 2508.14556). Both pads carry the same timestamps, the same number of samples as
 * came in, and add up to the input. Either pad may stay unlinked; no queues are needed behind them.
 *
 * A model with more stems than the voice gives them on request, through pads `stem_0`, `stem_1`, ...; the
 * property `stem-names` and the ids of the streams tell which is which. `vocals` and `instrumental` stay what
 * they are.
 *
 * The element takes 44.1 kHz mono or stereo float; put `audioconvert ! audioresample` in front. It reports
 * its delay (hop + look-ahead + STFT tail + time for one inference) in the LATENCY query; the property
 * `latency` bounds the first three. The model is loaded while going to PAUSED, with PROGRESS messages
 * `load-model` and `warm-up`; data waits. In live pipelines with video, give the video branch a queue of at
 * least the reported latency.
 *
 * A live stream that is too fast for the machine passes unseparated until the element has caught up, with QOS
 * messages and a WARNING (`overload-policy`). `bypass` does the same on demand. `vocals-gain`,
 * `instrumental-gain` and `guide-level` can be moved by a #GstController; they are read at the stream time of
 * the output.
 *
 * Events keep their place between the samples. STREAM_COLLECTION events are dropped, since the pads carry new
 * streams. Of the metas only GstReferenceTimestampMeta is carried, to the buffers in which its sample leaves
 * and stated for their first sample; the others are dropped, since the contents change. Backward playback is
 * not separated: the voice is silent then and the instrumental is the input.
 *
 * #GstPreset names three settings: `low latency`, `balanced` (the defaults) and `quality` (for files);
 * `gst-launch-1.0` takes them as `bsmamba2sep @preset="low latency"`.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=song.flac ! decodebin ! audioconvert ! audioresample ! bsmamba2sep name=s
 *   s.vocals ! wavenc ! filesink location=vocals.wav  s.instrumental ! wavenc ! filesink
 * location=instrumental.wav
 * ]| Separate a song into two files.
 * |[
 * gst-launch-1.0 pulsesrc ! audioconvert ! audioresample ! bsmamba2sep name=s latency=1000000000
 *   s.instrumental ! audioconvert ! audioresample ! pulsesink
 * ]| Live karaoke: the band without the voice.
 *
 * Since: 0.1
 */
#include "gstbsmamba2sep.h"

#include <utility>

#include "debug.h"
#include "element.h"
#include "engine_loader.h"
#include "model_file.h"
#include "properties.h"
#include "worker_thread.h"

GST_DEBUG_CATEGORY(bsmamba2sep_debug);
GST_DEBUG_CATEGORY(bsmamba2engine_debug);

struct _GstBsMamba2Sep {
  GstElement parent;
  bsm::Priv* priv;
};

G_DEFINE_TYPE_WITH_CODE(
    GstBsMamba2Sep, gst_bsmamba2_sep, GST_TYPE_ELEMENT, G_IMPLEMENT_INTERFACE(GST_TYPE_PRESET, nullptr);
    GST_DEBUG_CATEGORY_INIT(bsmamba2sep_debug, "bsmamba2sep", 0, "singing voice separation");
    GST_DEBUG_CATEGORY_INIT(bsmamba2engine_debug, "bsmamba2engine", 0, "engine library of bsmamba2sep"))
GST_ELEMENT_REGISTER_DEFINE(bsmamba2sep, "bsmamba2sep", GST_RANK_NONE, GST_TYPE_BSMAMBA2_SEP)

// No channel-mask: the default ACCEPT_CAPS is a subset test and would refuse caps that have none.
#define BSM_CAPS \
  "audio/x-raw, format=(string)" GST_AUDIO_NE(F32) ", rate=(int)44100, channels=(int)[1, 2]," \
                                                   " layout=(string)interleaved"

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(BSM_CAPS));
static GstStaticPadTemplate vocals_template =
    GST_STATIC_PAD_TEMPLATE("vocals", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(BSM_CAPS));
static GstStaticPadTemplate instrumental_template =
    GST_STATIC_PAD_TEMPLATE("instrumental", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(BSM_CAPS));
static GstStaticPadTemplate stem_template =
    GST_STATIC_PAD_TEMPLATE("stem_%u", GST_PAD_SRC, GST_PAD_REQUEST, GST_STATIC_CAPS(BSM_CAPS));

namespace bsm {

Priv& priv(GstBsMamba2Sep* self) { return *self->priv; }

Priv::Priv(GstBsMamba2Sep* self) : sink(gst_pad_new_from_static_template(&sink_template, "sink")) {
  gst_pad_set_chain_function(sink, GST_DEBUG_FUNCPTR(sink_chain));
  gst_pad_set_event_function(sink, GST_DEBUG_FUNCPTR(sink_event));
  gst_pad_set_activatemode_function(sink, GST_DEBUG_FUNCPTR(sink_activate_mode));
  GST_PAD_SET_PROXY_CAPS(sink);
  gst_element_add_pad(GST_ELEMENT(self), sink);
  for (int number = 0; number < kAlwaysPads; ++number) {
    GstPadTemplate* pad_template =
        gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(self), pad_name(number).c_str());
    gst_element_add_pad(GST_ELEMENT(self), make_source_pad(this, pad_template, number));
  }
}

std::shared_ptr<Session> current_session(GstBsMamba2Sep* self) {
  const std::lock_guard lock(self->priv->session_mutex);
  return self->priv->session;
}

OwnLatency current_latency(GstBsMamba2Sep* self) {
  if (const auto session = current_session(self)) return own_latency(session->settings, session->timing());
  GST_OBJECT_LOCK(self);
  const OwnLatency latency = own_latency(self->priv->settings, Timing{});
  GST_OBJECT_UNLOCK(self);
  return latency;
}

namespace {

/// NULL->READY: the engine library and the model file must be there.
bool open_resources(GstBsMamba2Sep* self) {
  Priv& p = *self->priv;
  std::string error;
  p.engine = open_engine(&error);
  if (!p.engine) {
    GST_ELEMENT_ERROR(self, LIBRARY, INIT, ("%s", error.c_str()), (NULL));
    return false;
  }
  GST_OBJECT_LOCK(self);
  const std::string wanted = p.settings.model_file;
  GST_OBJECT_UNLOCK(self);
  return !find_model_files(GST_ELEMENT(self), wanted).file.empty();
}

/// READY->PAUSED: everything about the stream starts afresh; loading begins.
bool start_session(GstBsMamba2Sep* self) {
  Priv& p = *self->priv;
  GST_OBJECT_LOCK(self);
  const Settings snapshot = p.settings;
  p.last_seek_seqnum = GST_SEQNUM_INVALID;
  GST_OBJECT_UNLOCK(self);
  // Once more: READY is where another file may be named, and where one may go away.
  ModelFiles model = find_model_files(GST_ELEMENT(self), snapshot.model_file);
  if (model.file.empty()) return false;
  p.in.start(snapshot);
  p.flow.reset();
  auto session =
      std::make_shared<Session>(GST_ELEMENT(self), p.engine, std::move(model), snapshot, p.controls);
  {
    const std::lock_guard pads_lock(p.pads_mutex);
    for (int stem = 0; stem < BSM_MAX_STEMS; ++stem)
      if (p.src[static_cast<size_t>(kFirstStem + stem)]) session->request_stem(stem);
  }
  {
    const std::lock_guard lock(p.session_mutex);
    p.session = session;
  }
  session->start();
  return true;
}

void end_session(GstBsMamba2Sep* self) {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(self->priv->session_mutex);
    session.swap(self->priv->session);
  }
  if (!session) return;
  session->stop();
  session->finish();
}

GstStateChangeReturn change_state(GstElement* element, GstStateChange transition) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(element);
  switch (transition) {
    case GST_STATE_CHANGE_NULL_TO_READY:
      if (!open_resources(self)) return GST_STATE_CHANGE_FAILURE;
      break;
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (!start_session(self)) return GST_STATE_CHANGE_FAILURE;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      // Before the pads are deactivated: their deactivation waits for the threads that this wakes.
      if (const auto session = current_session(self)) session->stop();
      break;
    default:
      break;
  }
  const GstStateChangeReturn ret =
      GST_ELEMENT_CLASS(gst_bsmamba2_sep_parent_class)->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret == GST_STATE_CHANGE_FAILURE))
    end_session(self);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL) self->priv->engine = nullptr;
  return ret;
}

void finalize(GObject* object) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(object);
  end_session(self);
  delete self->priv;
  G_OBJECT_CLASS(gst_bsmamba2_sep_parent_class)->finalize(object);
}

}  // namespace
}  // namespace bsm

static void gst_bsmamba2_sep_class_init(GstBsMamba2SepClass* klass) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  G_OBJECT_CLASS(klass)->finalize = bsm::finalize;
  element_class->change_state = GST_DEBUG_FUNCPTR(bsm::change_state);
  element_class->request_new_pad = GST_DEBUG_FUNCPTR(bsm::request_new_pad);
  element_class->release_pad = GST_DEBUG_FUNCPTR(bsm::release_pad);
  bsm::install_properties(G_OBJECT_CLASS(klass));
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &vocals_template);
  gst_element_class_add_static_pad_template(element_class, &instrumental_template);
  gst_element_class_add_static_pad_template(element_class, &stem_template);
  gst_element_class_set_static_metadata(
      element_class, "BSMamba2 singing voice separation", "Filter/Effect/Audio",
      "Splits music into the singing voice and everything else", "bsmamba2sep contributors");
}

// Neither this nor class_init touches the engine: gst-inspect makes an instance.
static void gst_bsmamba2_sep_init(GstBsMamba2Sep* self) {
  self->priv = new bsm::Priv(self);
  bsm::end_worker_threads_with_main();
}
