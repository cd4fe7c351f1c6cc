// The element's inside, shared by the files of this folder. C++ members live in one Priv, made in
// instance_init and deleted in finalize, because GObject only zeroes the instance struct.
#pragma once

#include <gst/audio/audio.h>
#include <gst/audio/gstaudiostreamalign.h>
#include <gst/gst.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controls.h"
#include "flow.h"
#include "gstbsmamba2sep.h"
#include "session.h"
#include "settings.h"

namespace bsm {

/// What the sink pad knows about the stream; guarded by its stream lock.
struct SinkState {
  GstSegment segment;
  GstAudioInfo info;
  bool have_caps = false;
  bool warned_reverse = false;
  GstClockTime anchor_pts = GST_CLOCK_TIME_NONE;    ///< where the timeline began
  guint64 frames = 0;                               ///< since then
  GstClockTime expected_pts = GST_CLOCK_TIME_NONE;  ///< of the next sample, when contiguous
  GstClockTime discont_threshold_ns = kDefaultDiscontThresholdNs;
  GstAudioStreamAlign* align = nullptr;

  SinkState();
  ~SinkState();
  SinkState(const SinkState&) = delete;
  SinkState& operator=(const SinkState&) = delete;
  /// The next samples start a timeline.
  void mark_discont();
  /// Forgets the segment (flush).
  void reset();
  /// Forgets everything, takes the thresholds from the settings.
  void start(const Settings& settings);
};

struct Priv {
  explicit Priv(GstBsMamba2Sep* self);

  GstPad* sink;
  Flow flow;
  SinkState in;
  const std::shared_ptr<Controls> controls = std::make_shared<Controls>();

  std::mutex pads_mutex;
  std::array<GstPad*, kMaxPads> src{};  ///< requested ones come and go; guarded by pads_mutex

  // Guarded by the object lock.
  Settings settings;
  guint32 last_seek_seqnum = GST_SEQNUM_INVALID;

  std::mutex session_mutex;
  std::shared_ptr<Session> session;  ///< while PAUSED or PLAYING; guarded by session_mutex

  // NULL->READY sets it, READY->NULL clears it; state changes are serialised by the state lock.
  const BsmEngineApi* engine = nullptr;
};

Priv& priv(GstBsMamba2Sep* self);
inline Priv& priv(GstObject* self) { return priv(reinterpret_cast<GstBsMamba2Sep*>(self)); }

/// [any] The running session or NULL.
std::shared_ptr<Session> current_session(GstBsMamba2Sep* self);
/// [any] What the element adds to the latency now.
OwnLatency current_latency(GstBsMamba2Sep* self);

// statistics.cpp
GstStructure* make_statistics(const char* name, const Session* session, const OwnLatency& latency);

// sink.cpp
GstFlowReturn sink_chain(GstPad* pad, GstObject* parent, GstBuffer* buffer);
/// Feeds the silence of a GAP event that continues the signal; false: it does not, or it is too long.
bool sink_fill_gap(Session* session, SinkState* in, const Settings& settings, GstEvent* gap);

// sink_events.cpp
gboolean sink_event(GstPad* pad, GstObject* parent, GstEvent* event);

// source.cpp
gboolean sink_activate_mode(GstPad* pad, GstObject* parent, GstPadMode mode, gboolean active);
gboolean src_activate_mode(GstPad* pad, GstObject* parent, GstPadMode mode, gboolean active);
gboolean src_event(GstPad* pad, GstObject* parent, GstEvent* event);
gboolean src_query(GstPad* pad, GstObject* parent, GstQuery* query);
void src_loop(gpointer pad);
/// Opens the pad's queue and starts its task, unless the pad is on its way out.
void start_pad(GstBsMamba2Sep* self, Session* session, GstPad* pad);
/// Starts the task of a pad whose queue is open.
void start_task(Session* session, GstPad* pad);

// source_pads.cpp
/// Its number as in pads.h.
int pad_number(GstPad* pad);
/// [any] Whether it is on its way out.
bool is_released(GstPad* pad);
/// References to the source pads that there are.
std::vector<PadPtr> source_pads(GstBsMamba2Sep* self);
/// Makes one of them; the caller adds it to the element, and holds pads_mutex once others know it.
GstPad* make_source_pad(Priv* p, GstPadTemplate* pad_template, int number);
GstPad* request_new_pad(GstElement* element, GstPadTemplate* pad_template, const gchar* name, const GstCaps*);
void release_pad(GstElement* element, GstPad* pad);

}  // namespace bsm
