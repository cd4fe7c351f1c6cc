// Messages on the bus that the worker posts. No lock may be held: handlers run in the posting thread.
#pragma once

#include <gst/gst.h>

#include "inference.h"

namespace bsm {

/// ERROR message with the domain that fits the engine's status.
void post_engine_error(GstElement* element, const EngineError& error, const char* while_doing);

void post_progress(GstElement* element, GstProgressType type, const char* code, const char* text);

}  // namespace bsm
