#include "messages.h"

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

void post_progress(GstElement* element, GstProgressType type, const char* code, const char* text) {
  gst_element_post_message(element, gst_message_new_progress(GST_OBJECT(element), type, code, text));
}

}  // namespace bsm
