/**
 * SECTION:element-vocalremover
 * @title: vocalremover
 * @short_description: Removes the singing voice, as an audio filter
 * @see_also: bsmamba2sep, audiokaraoke
 *
 * One pad in, one pad out, any raw audio: a bin around #bsmamba2sep that converts to what the network takes,
 * and back. It fits where players take an audio filter. `level` says how much of the voice goes, as in
 * audiokaraoke. The separator inside is its child `separator`: `separator::latency`, `separator::model-file`
 * and the other properties of #bsmamba2sep are reached through the GstChildProxy interface. A #GstController
 * moves `guide-level` of that child, which is 1 - `level`.
 *
 * `separator::latency` is 0.3 s here unless it is set. A filter cannot make the queues of a player longer,
 * and playbin3 lets the sound be about 0.6 s of playing time behind the picture (half of that at half speed);
 * where a filter needs more, a film stands still.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=song.flac ! decodebin ! vocalremover level=0.9 ! autoaudiosink
 * ]| Play a song with a tenth of the voice.
 * |[
 * gst-launch-1.0 playbin uri=file:///songs/song.mp4 audio-filter=vocalremover
 * ]| The same in a player, with its video in sync.
 * |[
 * gst-launch-1.0 filesrc location=song.flac ! decodebin ! vocalremover separator::latency=800000000 !
 *   autoaudiosink
 * ]| Where there is no picture to wait for: as long a delay as #bsmamba2sep has by default.
 *
 * Since: 0.1
 */
#include "vocalremover.h"

struct _GstVocalRemover {
  GstBin parent;
  GstElement* separator;  ///< owned by the bin; NULL when a part is missing
  GstPad*
      discard;  ///< takes the voice: with an unlinked pad inside, gst_parse_launch() takes that for the end
  gchar* missing;  ///< name of the missing part
};

G_DEFINE_TYPE(GstVocalRemover, gst_vocal_remover, GST_TYPE_BIN)
GST_ELEMENT_REGISTER_DEFINE(vocalremover, "vocalremover", GST_RANK_NONE, GST_TYPE_VOCAL_REMOVER)

enum { kPropLevel = 1, kPropBypass };

/// Half of what playbin3 (GStreamer 1.22) holds between demuxer and video sink, for playback at half speed.
static constexpr guint64 kLatencyNs = 300 * GST_MSECOND;

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS("audio/x-raw"));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS("audio/x-raw"));

static void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  auto* self = reinterpret_cast<GstVocalRemover*>(object);
  switch (id) {
    case kPropLevel:
      if (self->separator)
        g_object_set(self->separator, "guide-level", 1.0 - static_cast<double>(g_value_get_float(value)),
                     nullptr);
      break;
    case kPropBypass:
      if (self->separator) g_object_set_property(G_OBJECT(self->separator), "bypass", value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
      break;
  }
}

static void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  auto* self = reinterpret_cast<GstVocalRemover*>(object);
  switch (id) {
    case kPropLevel: {
      gdouble guide = 0.0;
      if (self->separator) g_object_get(self->separator, "guide-level", &guide, nullptr);
      g_value_set_float(value, static_cast<gfloat>(1.0 - guide));
      break;
    }
    case kPropBypass:
      if (self->separator) g_object_get_property(G_OBJECT(self->separator), "bypass", value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
      break;
  }
}

static GstStateChangeReturn change_state(GstElement* element, GstStateChange transition) {
  const auto* self = reinterpret_cast<GstVocalRemover*>(element);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && self->missing) {
    GST_ELEMENT_ERROR(element, CORE, MISSING_PLUGIN,
                      ("The element %s is missing. Install the base plugins of GStreamer (Debian and Ubuntu: "
                       "gstreamer1.0-plugins-base).",
                       self->missing),
                      (NULL));
    return GST_STATE_CHANGE_FAILURE;
  }
  return GST_ELEMENT_CLASS(gst_vocal_remover_parent_class)->change_state(element, transition);
}

static GstFlowReturn discard_buffer(GstPad*, GstObject*, GstBuffer* buffer) {
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

static gboolean discard_event(GstPad*, GstObject*, GstEvent* event) {
  gst_event_unref(event);
  return TRUE;
}

static void finalize(GObject* object) {
  auto* self = reinterpret_cast<GstVocalRemover*>(object);
  gst_clear_object(&self->discard);
  g_free(self->missing);
  G_OBJECT_CLASS(gst_vocal_remover_parent_class)->finalize(object);
}

static void gst_vocal_remover_class_init(GstVocalRemoverClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
  const auto flags =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
  /**
   * GstVocalRemover:level:
   *
   * How much of the voice is removed: 1 all of it, 0 nothing. Changes take 10 ms.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      object_class, kPropLevel,
      g_param_spec_float("level", "Level", "How much of the voice is removed (linear)", 0.0F, 1.0F, 1.0F,
                         flags));
  /**
   * GstVocalRemover:bypass:
   *
   * Leave the sound as it is, with the same delay and without computing.
   *
   * Since: 0.1
   */
  g_object_class_install_property(
      object_class, kPropBypass,
      g_param_spec_boolean("bypass", "Bypass", "Leave the sound as it is, without inference", FALSE, flags));
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(element_class, "Vocal remover", "Filter/Effect/Audio",
                                        "Removes the singing voice from music", "bsmamba2sep contributors");
}

/// Makes a child of the bin; notes the first that is missing.
static GstElement* add(GstVocalRemover* self, const char* factory, const char* name) {
  GstElement* element = gst_element_factory_make(factory, name);
  if (element)
    gst_bin_add(GST_BIN(self), element);
  else if (!self->missing)
    self->missing = g_strdup(factory);
  return element;
}

static void expose(GstVocalRemover* self, const char* name, GstStaticPadTemplate* static_template,
                   GstElement* child) {
  GstPadTemplate* pad_template = gst_static_pad_template_get(static_template);
  GstPad* target = child ? gst_element_get_static_pad(child, name) : nullptr;
  gst_element_add_pad(GST_ELEMENT(self), target
                                             ? gst_ghost_pad_new_from_template(name, target, pad_template)
                                             : gst_ghost_pad_new_no_target_from_template(name, pad_template));
  gst_clear_object(&target);
  gst_object_unref(pad_template);
}

static void gst_vocal_remover_init(GstVocalRemover* self) {
  GstElement* first = add(self, "audioconvert", "convert-in");
  GstElement* resample_in = add(self, "audioresample", "resample-in");
  GstElement* separator = add(self, "bsmamba2sep", "separator");
  GstElement* convert_out = add(self, "audioconvert", "convert-out");
  GstElement* last = add(self, "audioresample", "resample-out");
  if (!self->missing) {
    self->separator = separator;
    g_object_set(separator, "latency", kLatencyNs, nullptr);
    gst_element_link_many(first, resample_in, separator, nullptr);
    gst_element_link_pads(separator, "instrumental", convert_out, "sink");
    gst_element_link(convert_out, last);
    self->discard = gst_pad_new("discard", GST_PAD_SINK);
    gst_object_ref_sink(self->discard);
    gst_pad_set_chain_function(self->discard, GST_DEBUG_FUNCPTR(discard_buffer));
    gst_pad_set_event_function(self->discard, GST_DEBUG_FUNCPTR(discard_event));
    gst_pad_set_active(self->discard, TRUE);
    GstPad* vocals = gst_element_get_static_pad(separator, "vocals");
    gst_pad_link(vocals, self->discard);
    gst_object_unref(vocals);
  }
  expose(self, "sink", &sink_template, first);
  expose(self, "src", &src_template, last);
}
