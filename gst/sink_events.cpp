// Events coming in. Serialized ones take their place between the samples; a flush goes ahead of everything.
#include <utility>

#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

bool enqueue(Session* session, EventPair events, bool drain, int channels = 0) {
  Mark mark;
  mark.events = std::move(events);
  mark.drain = drain;
  mark.channels = channels;
  return session->input.push_mark(std::move(mark));
}

/// The signal ends here: it leaves completely, then the event, then a new timeline.
bool enqueue_drained(Session* session, SinkState* in, EventPair events, int channels = 0) {
  in->mark_discont();
  return enqueue(session, std::move(events), true, channels);
}

/// One new stream per pad: its own id and GstStream, upstream's group and flags.
EventPair make_stream_starts(Priv* p, GstEvent* upstream) {
  const gchar* upstream_id = nullptr;
  gst_event_parse_stream_start(upstream, &upstream_id);
  guint group = GST_GROUP_ID_INVALID;
  if (!gst_event_parse_group_id(upstream, &group)) group = gst_util_group_id_next();
  GstStreamFlags flags = GST_STREAM_FLAG_NONE;
  gst_event_parse_stream_flags(upstream, &flags);
  EventPair events;
  for (int i = 0; i < kSourcePads; ++i) {
    const TextPtr id(g_strdup_printf("%s/%s", upstream_id, kPadNames[i]));
    events[i].reset(gst_event_new_stream_start(id.get()));
    gst_event_set_group_id(events[i].get(), group);
    gst_event_set_stream_flags(events[i].get(), flags);
    gst_event_set_seqnum(events[i].get(), gst_event_get_seqnum(upstream));
    GstStream* stream = gst_stream_new(id.get(), nullptr, GST_STREAM_TYPE_AUDIO, flags);
    gst_event_set_stream(events[i].get(), stream);
    gst_object_unref(stream);
  }
  return events;
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
  if (in->have_caps && gst_audio_info_is_equal(&info, &in->info))
    return enqueue(session, same_event(event.release()), false);
  in->info = info;
  in->have_caps = true;
  const int channels = GST_AUDIO_INFO_CHANNELS(&info);
  session->input.set_channels(channels);
  return enqueue_drained(session, in, same_event(event.release()), channels);
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
      in->segment.format == GST_FORMAT_TIME && !in->eos && differs_in_position_only(in->segment, *segment);
  in->segment = *segment;
  in->eos = false;
  if (continues) return enqueue(session, same_event(event.release()), false);
  return enqueue_drained(session, in, same_event(event.release()));
}

bool handle_eos(GstObject* element, Priv* p, Session* session, EventPtr event) {
  p->in.eos = true;
  session->eos_received = true;
  const bool queued = enqueue_drained(session, &p->in, same_event(event.release()));
  // No buffer follows that could return this to upstream.
  if (const GstFlowReturn flow = p->flow.get(); is_fatal(flow) && p->flow.claim_report()) {
    GST_ELEMENT_FLOW_ERROR(element, flow);
    return false;
  }
  return queued;
}

void flush_start(Priv* p, Session* session, EventPtr event) {
  // Downstream first, so that a push that is blocked there returns; never the worker, which cannot be
  // interrupted.
  for (GstPad* pad : p->src) gst_pad_push_event(pad, gst_event_ref(event.get()));
  if (session) session->flush_start();
  for (GstPad* pad : p->src) gst_pad_pause_task(pad);
}

void flush_stop(Priv* p, Session* session, EventPtr event) {
  if (session && session->output.is_flushing()) {
    // The tasks end their turn: nothing old may follow the FLUSH_STOP.
    for (GstPad* pad : p->src) {
      GST_PAD_STREAM_LOCK(pad);
      GST_PAD_STREAM_UNLOCK(pad);
    }
  } else if (session) {
    session->flush_start();
  }
  for (GstPad* pad : p->src) gst_pad_push_event(pad, gst_event_ref(event.get()));
  p->in.reset(false);
  p->flow.reset();
  if (!session) return;
  session->flush_stop();
  for (int i = 0; i < kSourcePads; ++i)
    if (session->output.is_active(i)) gst_pad_start_task(p->src[i], src_loop, p->src[i], nullptr);
}

}  // namespace

gboolean sink_event(GstPad* pad, GstObject* parent, GstEvent* raw) {
  EventPtr event(raw);
  Priv& p = priv(parent);
  SinkState& in = p.in;
  const auto session = current_session(reinterpret_cast<GstBsMamba2Sep*>(parent));
  GST_LOG_OBJECT(pad, "%" GST_PTR_FORMAT, raw);
  switch (GST_EVENT_TYPE(raw)) {
    case GST_EVENT_FLUSH_START:
      flush_start(&p, session.get(), std::move(event));
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      flush_stop(&p, session.get(), std::move(event));
      return TRUE;
    default:
      break;
  }
  if (!is_serialized(raw)) return gst_pad_event_default(pad, parent, event.release());
  if (!session) return FALSE;
  switch (GST_EVENT_TYPE(raw)) {
    case GST_EVENT_STREAM_START:
      in.eos = false;
      session->eos_received = false;
      return enqueue_drained(session.get(), &in, make_stream_starts(&p, raw));
    case GST_EVENT_CAPS:
      return handle_caps(parent, session.get(), &in, std::move(event));
    case GST_EVENT_SEGMENT:
      return handle_segment(parent, session.get(), &in, std::move(event));
    case GST_EVENT_STREAM_COLLECTION:
      return TRUE;  // describes upstream's streams, not ours
    case GST_EVENT_EOS:
      return handle_eos(parent, &p, session.get(), std::move(event));
    case GST_EVENT_SEGMENT_DONE:
    case GST_EVENT_STREAM_GROUP_DONE:
      return enqueue_drained(session.get(), &in, same_event(event.release()));
    case GST_EVENT_GAP:
      if (sink_fill_gap(session.get(), &in, session->settings, raw)) return TRUE;
      return enqueue_drained(session.get(), &in, same_event(event.release()));
    default:
      return enqueue(session.get(), same_event(event.release()), false);
  }
}

}  // namespace bsm
