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

#include "gstbsmamba2sep.h"
#include "session.h"
#include "settings.h"

namespace bsm {

/// What the sink pad knows about the stream; guarded by its stream lock.
struct SinkState {
  GstSegment segment;
  GstAudioInfo info;
  bool have_caps = false;
  bool eos = false;
  bool warned_reverse = false;
  GstClockTime expected_pts = GST_CLOCK_TIME_NONE;  ///< of the next sample, when contiguous
  GstAudioStreamAlign* align = nullptr;

  SinkState();
  ~SinkState();
  SinkState(const SinkState&) = delete;
  SinkState& operator=(const SinkState&) = delete;
  /// The next samples start a timeline.
  void mark_discont();
  /// Forgets segment and EOS (flush), and caps too (`all`).
  void reset(bool all);
};

/// Flow returns of both pads as one; one unlinked pad is fine, two are not.
class Flow {
 public:
  GstFlowReturn update(int pad, GstFlowReturn ret);
  GstFlowReturn get() const;
  void reset();
  /// A RECONFIGURE on a pad: it may be linked now.
  void reset_pad(int pad);
  /// True once per reset: the caller tells the application or upstream about the fatal flow return.
  bool claim_report();

 private:
  GstFlowReturn combined() const;

  mutable std::mutex mutex_;
  std::array<GstFlowReturn, kSourcePads> returns_{};
  bool reported_ = false;
};

struct Priv {
  explicit Priv(GstBsMamba2Sep* self);

  GstPad* sink;
  std::array<GstPad*, kSourcePads> src;
  Flow flow;
  SinkState in;

  // Guarded by the object lock.
  Settings settings;
  guint32 last_seek_seqnum = GST_SEQNUM_INVALID;

  std::mutex session_mutex;
  std::shared_ptr<Session> session;  ///< while PAUSED or PLAYING; guarded by session_mutex

  // NULL->READY sets them, READY->NULL clears them; state changes are serialised by the state lock.
  const BsmEngineApi* engine = nullptr;
  std::string model_file;
};

inline constexpr std::array<const char*, kSourcePads> kPadNames = {"vocals", "instrumental"};

Priv& priv(GstBsMamba2Sep* self);
inline Priv& priv(GstObject* self) { return priv(reinterpret_cast<GstBsMamba2Sep*>(self)); }

/// [any] The running session or NULL.
std::shared_ptr<Session> current_session(GstBsMamba2Sep* self);
/// [any] What the element adds to the latency now.
OwnLatency current_latency(GstBsMamba2Sep* self);

inline bool is_fatal(GstFlowReturn ret) { return ret == GST_FLOW_NOT_LINKED || ret < GST_FLOW_EOS; }

// properties.cpp
void install_properties(GObjectClass* klass);

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
int pad_index(const Priv& p, const GstPad* pad);

}  // namespace bsm
