// Messages on the bus that the worker posts. No lock may be held: handlers run in the posting thread.
#pragma once

#include <gst/gst.h>

#include "inference.h"
#include "statistics.h"

namespace bsm {

class Session;

/// ERROR message with the domain that fits the engine's status.
void post_engine_error(GstElement* element, const EngineError& error, const char* while_doing);

/// WARNING: the engine's error was got over, and how.
void post_recovery(GstElement* element, const EngineError& error, const char* how);

/// WARNING: inference takes longer than the audio lasts; what happens to the output.
void post_overload_warning(GstElement* element, const Statistics& statistics, bool dropped);

/// Element message `bsmamba2sep-stats`: `stats` with the times of the sample that `pts` belongs to.
void post_statistics(GstElement* element, const Session& session, const GstSegment& segment,
                     GstClockTime pts);

void post_progress(GstElement* element, GstProgressType type, const char* code, const char* text);

}  // namespace bsm
