// The source pads: a task each, activation, events and queries from downstream.
#include <utility>

#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

/// A pad was told something fatal after upstream had sent its last buffer: nobody else would report it.
void report_late_failure(GstElement* element, Priv* p, Session* session, GstFlowReturn flow) {
  if (!is_fatal(flow) || !session->eos_received || !p->flow.claim_report()) return;
  GST_ELEMENT_FLOW_ERROR(element, flow);
}

/// A new stream per pad: its own id and GstStream, upstream's group and flags.
EventPtr make_stream_start(const Session& session, int index, GstEvent* upstream) {
  const gchar* upstream_id = nullptr;
  gst_event_parse_stream_start(upstream, &upstream_id);
  guint group = GST_GROUP_ID_INVALID;
  if (!gst_event_parse_group_id(upstream, &group)) group = gst_util_group_id_next();
  GstStreamFlags flags = GST_STREAM_FLAG_NONE;
  gst_event_parse_stream_flags(upstream, &flags);
  const std::string stem = session.stem_name(index);
  const TextPtr id(stem.empty()
                       ? g_strdup_printf("%s/%s", upstream_id, pad_name(index).c_str())
                       : g_strdup_printf("%s/%s/%s", upstream_id, pad_name(index).c_str(), stem.c_str()));
  EventPtr event(gst_event_new_stream_start(id.get()));
  gst_event_set_group_id(event.get(), group);
  gst_event_set_stream_flags(event.get(), flags);
  gst_event_set_seqnum(event.get(), gst_event_get_seqnum(upstream));
  GstStream* stream = gst_stream_new(id.get(), nullptr, GST_STREAM_TYPE_AUDIO, flags);
  gst_event_set_stream(event.get(), stream);
  gst_object_unref(stream);
  return event;
}

void push_event(Session* session, GstPad* pad, int index, EventPtr event) {
  EventPtr kept(survives_flush(event.get()) ? gst_event_ref(event.get()) : nullptr);
  if (GST_EVENT_TYPE(event.get()) == GST_EVENT_STREAM_START)
    event = make_stream_start(*session, index, event.get());
  if (!gst_pad_push_event(pad, event.release()) && kept && GST_PAD_IS_FLUSHING(pad))
    session->output.put_back(index, std::move(kept));
}

/// Adds what the element adds to what upstream says; FALSE when upstream cannot answer.
gboolean answer_latency(GstBsMamba2Sep* self, GstQuery* query) {
  if (!gst_pad_peer_query(priv(self).sink, query)) return FALSE;
  gboolean live = FALSE;
  GstClockTime min = 0, max = 0;
  gst_query_parse_latency(query, &live, &min, &max);
  const OwnLatency own = current_latency(self);
  GST_DEBUG_OBJECT(self, "upstream %" GST_TIME_FORMAT " + own %" GST_TIME_FORMAT, GST_TIME_ARGS(min),
                   GST_TIME_ARGS(own.min));
  min += own.min;
  if (GST_CLOCK_TIME_IS_VALID(max)) max += own.max;
  gst_query_set_latency(query, live, min, max);
  return TRUE;
}

/// Both pads get the application's SEEK; upstream gets it once.
bool is_duplicate_seek(GstBsMamba2Sep* self, GstEvent* event) {
  Priv& p = priv(self);
  const guint32 seqnum = gst_event_get_seqnum(event);
  GST_OBJECT_LOCK(self);
  const bool duplicate = std::exchange(p.last_seek_seqnum, seqnum) == seqnum;
  GST_OBJECT_UNLOCK(self);
  return duplicate;
}

}  // namespace

void start_pad(GstBsMamba2Sep* self, Session* session, GstPad* pad) {
  {
    // A state change can meet a pad on its way out, whose queue would stay open.
    const std::lock_guard lock(priv(self).pads_mutex);
    if (is_released(pad)) return;
    session->output.set_active(pad_number(pad), true);
  }
  start_task(session, pad);
}

void start_task(Session* session, GstPad* pad) {
  const int number = pad_number(pad);
  if (!session->output.is_active(number)) return;
  gst_pad_start_task(pad, src_loop, pad, nullptr);
  // Deactivated or released meanwhile: then its end of the task may have come before this start. (And the
  // number may be another pad's by now.)
  if (!session->output.is_active(number) || is_released(pad)) gst_pad_stop_task(pad);
}

void src_loop(gpointer data) {
  GstPad* pad = GST_PAD(data);
  GstElement* element = gst_pad_get_parent_element(pad);
  if (!element) {
    gst_pad_pause_task(pad);
    return;
  }
  const ElementPtr keep(element);
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(element);
  Priv& p = priv(self);
  const int index = pad_number(pad);
  const auto session = current_session(self);
  Output next;
  if (!session || !session->output.pop(index, &next)) {
    gst_pad_pause_task(pad);
    return;
  }
  if (next.event) {
    push_event(session.get(), pad, index, std::move(next.event));
    return;
  }
  if (next.first) GST_BUFFER_FLAG_SET(next.buffer.get(), GST_BUFFER_FLAG_DISCONT);
  // Never stops on a bad return: an unlinked pad may be linked again, and the other pad must not starve.
  const GstFlowReturn ret = gst_pad_push(pad, next.buffer.release());
  if (ret == GST_FLOW_NOT_LINKED) session->output.lost(index);
  if (ret == GST_FLOW_FLUSHING && session->output.is_flushing()) return;
  const GstFlowReturn combined = p.flow.update(index, ret);
  if (ret != GST_FLOW_OK)
    GST_LOG_OBJECT(pad, "%s, both pads %s", gst_flow_get_name(ret), gst_flow_get_name(combined));
  report_late_failure(element, &p, session.get(), combined);
}

gboolean sink_activate_mode(GstPad*, GstObject* parent, GstPadMode mode, gboolean active) {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  // A chain that waits for room must end before the core can wait for the streaming thread.
  const auto session = current_session(reinterpret_cast<GstBsMamba2Sep*>(parent));
  if (!active && session) session->input.stop();
  return TRUE;
}

gboolean src_activate_mode(GstPad* pad, GstObject* parent, GstPadMode mode, gboolean active) {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  if (!parent) return TRUE;  // being requested, see request_new_pad()
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(parent);
  const auto session = current_session(self);
  if (active) {
    if (session) start_pad(self, session.get(), pad);
    return TRUE;
  }
  if (session) session->output.set_active(pad_number(pad), false);
  return gst_pad_stop_task(pad);
}

gboolean src_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  auto* self = reinterpret_cast<GstBsMamba2Sep*>(parent);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_SEEK:
      if (is_duplicate_seek(self, event)) {
        GST_DEBUG_OBJECT(pad, "the other pad has sent this seek");
        gst_event_unref(event);
        return TRUE;
      }
      break;
    case GST_EVENT_RECONFIGURE:
      priv(self).flow.reset_pad(pad_number(pad));
      break;
    default:
      break;
  }
  return gst_pad_event_default(pad, parent, event);
}

gboolean src_query(GstPad* pad, GstObject* parent, GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY)
    return answer_latency(reinterpret_cast<GstBsMamba2Sep*>(parent), query);
  return gst_pad_query_default(pad, parent, query);
}

}  // namespace bsm
