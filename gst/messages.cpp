#include "messages.h"

#include "element.h"

namespace bsm {
namespace {

struct DomainCode {
  GQuark domain;
  gint code;
};

DomainCode domain_of(BsmStatus status) {
  switch (status) {
    case BSM_ERROR_SETTINGS:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS};
    case BSM_ERROR_NOT_FOUND:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case BSM_ERROR_OPEN_READ:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ};
    case BSM_ERROR_WRONG_TYPE:
      return {GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE};
    case BSM_ERROR_LIBRARY:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT};
    case BSM_ERROR_OUT_OF_MEMORY:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case BSM_ERROR_DEVICE:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED};
    case BSM_OK:
    case BSM_ERROR_CANCELLED:
    case BSM_ERROR_FAILED:
      break;
  }
  return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED};
}

}  // namespace

void post_engine_error(GstElement* element, const EngineError& error, const char* while_doing) {
  const DomainCode where = domain_of(error.status);
  gst_element_message_full(element, GST_MESSAGE_ERROR, where.domain, where.code,
                           g_strdup(error.message.c_str()),
                           g_strdup_printf("while %s (engine status %d)", while_doing, error.status),
                           __FILE__, GST_FUNCTION, __LINE__);
}

void post_recovery(GstElement* element, const EngineError& error, const char* how) {
  const DomainCode where = domain_of(error.status);
  gst_element_message_full(element, GST_MESSAGE_WARNING, where.domain, where.code,
                           g_strdup_printf("%s %s", error.message.c_str(), how), nullptr, __FILE__,
                           GST_FUNCTION, __LINE__);
}

void post_overload_warning(GstElement* element, const Statistics& s, bool dropped) {
  const double rtf =
      s.separated_ns ? static_cast<double>(s.infer_total_ns) / static_cast<double>(s.separated_ns) : 0.0;
  GST_ELEMENT_WARNING_WITH_DETAILS(
      element, RESOURCE, BUSY,
      ("Separation cannot keep up with the live stream (an inference takes %.2f times as long as its audio "
       "on average); %s until it has caught up. Set latency higher (longer hops cost less), use a smaller "
       "model or a GPU, or see overload-policy.",
       rtf, dropped ? "audio is dropped" : "the mixture passes unseparated"),
      (NULL),
      ("rtf-avg", G_TYPE_DOUBLE, rtf, "rtf-max", G_TYPE_DOUBLE, s.rtf_max, "bypassed", G_TYPE_UINT64,
       s.bypassed_samples, "dropped", G_TYPE_UINT64, s.dropped_samples, nullptr));
}

void post_statistics(GstElement* element, const Session& session, const GstSegment& segment,
                     GstClockTime pts) {
  GstStructure* s =
      make_statistics("bsmamba2sep-stats", &session, own_latency(session.settings, session.timing()));
  const bool timed = segment.format == GST_FORMAT_TIME;
  gst_structure_set(s, "timestamp", GST_TYPE_CLOCK_TIME, pts, "stream-time", GST_TYPE_CLOCK_TIME,
                    timed ? gst_segment_to_stream_time(&segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE,
                    "running-time", GST_TYPE_CLOCK_TIME,
                    timed ? gst_segment_to_running_time(&segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE,
                    nullptr);
  gst_element_post_message(element, gst_message_new_element(GST_OBJECT(element), s));
}

void post_progress(GstElement* element, GstProgressType type, const char* code, const char* text) {
  gst_element_post_message(element, gst_message_new_progress(GST_OBJECT(element), type, code, text));
}

}  // namespace bsm
