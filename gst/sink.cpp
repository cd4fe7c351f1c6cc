// Samples coming in: clipped to the segment, aligned, copied into the ring. Nothing here waits for an
// inference, except when the ring is full.
#include <algorithm>
#include <utility>

#include "debug.h"
#include "element.h"

namespace bsm {
namespace {

/// Decides whether `frames` samples at `pts` continue the timeline, and starts a new one if not. A DISCONT
/// flag counts only when the timestamp jumps too: RTP sources set it on every buffer, and a restart would
/// lose the context.
bool anchor_if_needed(Session* session, SinkState* in, GstClockTime pts, guint64 offset, guint frames,
                      bool flagged) {
  const bool have_position = GST_CLOCK_TIME_IS_VALID(in->expected_pts);
  if (!GST_CLOCK_TIME_IS_VALID(pts)) pts = have_position ? in->expected_pts : in->segment.start;
  const bool reverse = in->segment.rate < 0.0;
  const bool jumped =
      have_position &&
      static_cast<GstClockTime>(std::abs(GST_CLOCK_DIFF(in->expected_pts, pts))) >= in->discont_threshold_ns;
  const bool discont = gst_audio_stream_align_process(in->align, (flagged && jumped) || reverse, pts, frames,
                                                      nullptr, nullptr, nullptr);
  if (discont) {
    in->anchor_pts = pts;
    in->frames = 0;
  }
  // As the output counts; the aligner's own times lie on the grid of samples since 0.
  in->frames += frames;
  in->expected_pts = in->anchor_pts + gst_util_uint64_scale(in->frames, GST_SECOND, kRateHz);
  if (!discont) return true;
  Mark mark;
  mark.anchor = Anchor{pts, offset, reverse};
  return session->input.push_mark(std::move(mark));
}

GstFlowReturn refused(Session* session) {
  return session->output.failed() ? GST_FLOW_ERROR : GST_FLOW_FLUSHING;
}

/// What downstream or the worker said last; OK when more data is welcome.
GstFlowReturn downstream_flow(Priv* p, Session* session) {
  if (session->output.failed()) return GST_FLOW_ERROR;
  const GstFlowReturn flow = p->flow.get();
  if (is_fatal(flow)) p->flow.claim_report();  // upstream reports what it gets returned
  return flow;
}

}  // namespace

SinkState::SinkState()
    : align(gst_audio_stream_align_new(kRateHz, kDefaultDiscontThresholdNs, kDefaultDiscontWaitNs)) {
  start(Settings{});
}

SinkState::~SinkState() { gst_audio_stream_align_free(align); }

void SinkState::mark_discont() {
  gst_audio_stream_align_mark_discont(align);
  expected_pts = GST_CLOCK_TIME_NONE;
}

void SinkState::reset() {
  gst_segment_init(&segment, GST_FORMAT_UNDEFINED);
  mark_discont();
}

void SinkState::start(const Settings& settings) {
  discont_threshold_ns = settings.discont_threshold_ns;
  gst_audio_stream_align_set_alignment_threshold(align, settings.discont_threshold_ns);
  gst_audio_stream_align_set_discont_wait(align, settings.discont_wait_ns);
  gst_audio_info_init(&info);
  have_caps = false;
  warned_reverse = false;
  reset();
}

GstFlowReturn sink_chain(GstPad* pad, GstObject* parent, GstBuffer* buffer) {
  Priv& p = priv(parent);
  SinkState& in = p.in;
  BufferPtr owned(buffer);
  const auto session = current_session(reinterpret_cast<GstBsMamba2Sep*>(parent));
  if (!session) return GST_FLOW_FLUSHING;
  if (!in.have_caps) {
    GST_ELEMENT_ERROR(parent, CORE, NEGOTIATION,
                      ("Audio came before its format was known. Put audioconvert ! audioresample in front."),
                      (NULL));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (in.segment.format != GST_FORMAT_UNDEFINED && in.segment.format != GST_FORMAT_TIME)
    return GST_FLOW_ERROR;  // reported with the event
  if (in.segment.format != GST_FORMAT_TIME) {
    GST_ELEMENT_ERROR(parent, STREAM, FORMAT,
                      ("Audio came without a TIME segment. Put a parser or decodebin in front."), (NULL));
    return GST_FLOW_ERROR;
  }
  if (const GstFlowReturn flow = downstream_flow(&p, session.get()); flow != GST_FLOW_OK) return flow;

  const int bytes_per_frame = GST_AUDIO_INFO_BPF(&in.info);
  if (gst_buffer_get_size(owned.get()) % static_cast<gsize>(bytes_per_frame) != 0) {
    GST_ELEMENT_ERROR(parent, STREAM, FORMAT,
                      ("A buffer of %" G_GSIZE_FORMAT " bytes is not a whole number of %d-byte audio frames.",
                       gst_buffer_get_size(owned.get()), bytes_per_frame),
                      (NULL));
    return GST_FLOW_ERROR;
  }
  const GstClockTime pts_before = GST_BUFFER_PTS(owned.get());
  owned.reset(gst_audio_buffer_clip(owned.release(), &in.segment, kRateHz, bytes_per_frame));
  if (!owned) return GST_FLOW_OK;
  const auto frames =
      static_cast<guint>(gst_buffer_get_size(owned.get()) / static_cast<gsize>(bytes_per_frame));
  if (frames == 0) return GST_FLOW_OK;

  const bool flagged = GST_BUFFER_FLAG_IS_SET(owned.get(), GST_BUFFER_FLAG_DISCONT) ||
                       GST_BUFFER_FLAG_IS_SET(owned.get(), GST_BUFFER_FLAG_RESYNC);
  if (!anchor_if_needed(session.get(), &in, GST_BUFFER_PTS(owned.get()), GST_BUFFER_OFFSET(owned.get()),
                        frames, flagged))
    return refused(session.get());

  const GstClockTime skipped =
      GST_CLOCK_TIME_IS_VALID(pts_before) ? GST_BUFFER_PTS(owned.get()) - pts_before : 0;
  Mark mark;
  mark.references = references_of(owned.get(), skipped);
  if (!mark.references.empty() && !session->input.push_mark(std::move(mark))) return refused(session.get());

  bool taken = false;
  if (GST_BUFFER_FLAG_IS_SET(owned.get(), GST_BUFFER_FLAG_GAP)) {
    taken = session->input.push_samples(nullptr, frames);  // silence by definition; the memory is not read
  } else {
    GstMapInfo map;
    if (!gst_buffer_map(owned.get(), &map, GST_MAP_READ)) {
      GST_ELEMENT_ERROR(parent, RESOURCE, READ, ("The memory of an audio buffer cannot be read."), (NULL));
      return GST_FLOW_ERROR;
    }
    taken = session->input.push_samples(reinterpret_cast<const float*>(map.data), frames);
    gst_buffer_unmap(owned.get(), &map);
  }
  if (!taken) return refused(session.get());
  return downstream_flow(&p, session.get());
}

bool sink_fill_gap(Session* session, SinkState* in, const Settings& settings, GstEvent* gap) {
  GstClockTime begin = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE;
  gst_event_parse_gap(gap, &begin, &duration);
  if (!in->have_caps || in->segment.rate < 0.0 || !GST_CLOCK_TIME_IS_VALID(in->expected_pts) ||
      !GST_CLOCK_TIME_IS_VALID(begin) || !GST_CLOCK_TIME_IS_VALID(duration) || duration > settings.context_ns)
    return false;
  const GstClockTimeDiff off = GST_CLOCK_DIFF(in->expected_pts, begin);
  if (static_cast<GstClockTime>(std::abs(off)) >= in->discont_threshold_ns) return false;
  // Up to where the gap ends, so that rounded durations do not add up.
  const GstClockTimeDiff missing_ns = off + static_cast<GstClockTimeDiff>(duration);
  if (missing_ns <= 0) return true;
  const auto frames =
      static_cast<guint>(gst_util_uint64_scale_round(static_cast<guint64>(missing_ns), kRateHz, GST_SECOND));
  if (frames == 0) return true;
  if (anchor_if_needed(session, in, in->expected_pts, GST_BUFFER_OFFSET_NONE, frames, false))
    session->input.push_samples(nullptr, frames);
  return true;
}

}  // namespace bsm
