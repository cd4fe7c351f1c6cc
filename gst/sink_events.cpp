// Events coming in. Serialized ones take their place between the samples; a flush goes ahead of everything.
#include <utility>

#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

bool enqueue(Session* session, EventPtr event, Drain drain = Drain::kNothing, int channels = 0) {
  Mark mark;
  mark.event = std::move(event);
  mark.drain = drain;
  mark.channels = channels;
  return session->input.push_mark(std::move(mark));
}

/// The signal ends here: it leaves completely, then the event, then a new timeline.
bool enqueue_drained(Session* session, SinkState* in, EventPtr event, int channels = 0) {
  in->mark_discont();
  return enqueue(session, std::move(event), Drain::kTimeline, channels);
}

/// Whether upstream is live, for mode and overload-policy "auto".
void note_liveness(Priv* p, Session* session) {
  GstQuery* query = gst_query_new_latency();
  gboolean live = FALSE;
  if (gst_pad_peer_query(p->sink, query)) gst_query_parse_latency(query, &live, nullptr, nullptr);
  gst_query_unref(query);
  session->upstream_live = live;
}

bool handle_caps(GstObject* element, Session* session, SinkState* in, EventPtr event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event.get(), &caps);
  GstAudioInfo info;
  if (!gst_audio_info_from_caps(&info, caps) || GST_AUDIO_INFO_RATE(&info) != kRateHz ||
      GST_AUDIO_INFO_FORMAT(&info) != GST_AUDIO_FORMAT_F32 || GST_AUDIO_INFO_CHANNELS(&info) > 2) {
    GST_ELEMENT_ERROR(element, CORE, NEGOTIATION,
                      ("The audio format cannot be separated. Put audioconvert ! audioresample in front."),
                      ("caps %" GST_PTR_FORMAT, caps));
    return false;
  }
  if (in->have_caps && gst_audio_info_is_equal(&info, &in->info)) return enqueue(session, std::move(event));
  in->info = info;
  in->have_caps = true;
  const int channels = GST_AUDIO_INFO_CHANNELS(&info);
  session->input.set_channels(channels);
  return enqueue_drained(session, in, std::move(event), channels);
}

bool differs_in_position_only(const GstSegment& a, const GstSegment& b) {
  GstSegment moved = a;
  moved.position = b.position;
  return gst_segment_is_equal(&moved, &b);
}

bool handle_segment(GstObject* element, Session* session, SinkState* in, EventPtr event) {
  const GstSegment* segment = nullptr;
  gst_event_parse_segment(event.get(), &segment);
  if (segment->format != GST_FORMAT_TIME) {
    // The core sends it again with every buffer; one message is enough.
    const bool reported = in->segment.format != GST_FORMAT_UNDEFINED && in->segment.format != GST_FORMAT_TIME;
    in->segment = *segment;
    if (reported) return false;
    GST_ELEMENT_ERROR(
        element, STREAM, FORMAT,
        ("The segment is in %s format; this element needs time. Put a parser or decodebin in front.",
         gst_format_get_name(segment->format)),
        (NULL));
    return false;
  }
  if (segment->rate < 0.0 && !std::exchange(in->warned_reverse, true))
    GST_ELEMENT_WARNING(
        element, STREAM, NOT_IMPLEMENTED,
        ("Backward playback is not separated: the voice is silent, the instrumental is the input."), (NULL));
  const bool continues =
      in->segment.format == GST_FORMAT_TIME && differs_in_position_only(in->segment, *segment);
  in->segment = *segment;
  if (continues) return enqueue(session, std::move(event));
  return enqueue_drained(session, in, std::move(event));
}

bool handle_eos(GstObject* element, Priv* p, Session* session, EventPtr event) {
  session->eos_received = true;
  const bool queued = enqueue_drained(session, &p->in, std::move(event));
  // No buffer follows that could return this to upstream.
  if (const GstFlowReturn flow = p->flow.get(); is_fatal(flow) && p->flow.claim_report()) {
    GST_ELEMENT_FLOW_ERROR(element, flow);
    return false;
  }
  return queued;
}

void flush_start(GstBsMamba2Sep* self, Session* session, EventPtr event) {
  // Downstream first, so that a push that is blocked there returns; never the worker, which cannot be
  // interrupted.
  const std::vector<PadPtr> pads = source_pads(self);
  for (const PadPtr& pad : pads) gst_pad_push_event(pad.get(), gst_event_ref(event.get()));
  if (session) session->flush_start();
  for (const PadPtr& pad : pads) gst_pad_pause_task(pad.get());
}

void flush_stop(GstBsMamba2Sep* self, Session* session, EventPtr event) {
  const std::vector<PadPtr> pads = source_pads(self);
  if (session && session->output.is_flushing()) {
    // The tasks end their turn: nothing old may follow the FLUSH_STOP.
    for (const PadPtr& pad : pads) {
      GST_PAD_STREAM_LOCK(pad.get());
      GST_PAD_STREAM_UNLOCK(pad.get());
    }
  } else if (session) {
    session->flush_start();
  }
  for (const PadPtr& pad : pads) gst_pad_push_event(pad.get(), gst_event_ref(event.get()));
  priv(self).in.reset();
  priv(self).flow.reset();
  if (!session) return;
  session->flush_stop();
  for (const PadPtr& pad : pads) start_task(session, pad.get());
}

}  // namespace

gboolean sink_event(GstPad* pad, GstObject* parent, GstEvent* raw) {
  EventPtr event(raw);
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(parent);
  Priv& p = priv(self);
  SinkState& in = p.in;
  const auto session = current_session(self);
  GST_LOG_OBJECT(pad, "%" GST_PTR_FORMAT, raw);
  switch (GST_EVENT_TYPE(raw)) {
    case GST_EVENT_FLUSH_START:
      flush_start(self, session.get(), std::move(event));
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      flush_stop(self, session.get(), std::move(event));
      return TRUE;
    default:
      break;
  }
  if (!is_serialized(raw)) return gst_pad_event_default(pad, parent, event.release());
  if (!session) return FALSE;
  switch (GST_EVENT_TYPE(raw)) {
    case GST_EVENT_STREAM_START:
      session->eos_received = false;
      return enqueue_drained(session.get(), &in, std::move(event));
    case GST_EVENT_CAPS:
      return handle_caps(parent, session.get(), &in, std::move(event));
    case GST_EVENT_SEGMENT:
      note_liveness(&p, session.get());
      return handle_segment(parent, session.get(), &in, std::move(event));
    case GST_EVENT_STREAM_COLLECTION:
      return TRUE;  // describes upstream's streams, not ours
    case GST_EVENT_EOS:
      return handle_eos(parent, &p, session.get(), std::move(event));
    case GST_EVENT_SEGMENT_DONE:
    case GST_EVENT_STREAM_GROUP_DONE:
      // Samples may follow that go on where these end: audioresample gives its last ones at EOS.
      return enqueue(session.get(), std::move(event), Drain::kSamples);
    case GST_EVENT_GAP:
      if (sink_fill_gap(session.get(), &in, session->settings, raw)) return TRUE;
      return enqueue_drained(session.get(), &in, std::move(event));
    default:
      return enqueue(session.get(), std::move(event));
  }
}

}  // namespace bsm
