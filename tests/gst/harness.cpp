#include "harness.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

namespace bsm::test {

fake::Control& engine() {
  static fake::Control* control = [] {
    void* library = dlopen(g_getenv("BSMAMBA2_ENGINE"), RTLD_NOW | RTLD_LOCAL);
    void* symbol = library ? dlsym(library, fake::kControlSymbol) : nullptr;
    if (!symbol) g_error("BSMAMBA2_ENGINE must name the fake engine: %s", dlerror());
    return reinterpret_cast<fake::ControlFunc>(symbol)();
  }();
  return *control;
}

std::string any_model_file() { return g_getenv("BSMAMBA2_ENGINE"); }

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

GstClockTime ns(int64_t frames) {
  return gst_util_uint64_scale(static_cast<guint64>(frames), GST_SECOND, kRateHz);
}

std::vector<float> noise(int64_t floats, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> result(static_cast<size_t>(floats));
  for (float& x : result) x = static_cast<float>(static_cast<int32_t>(generator()) >> 8) / 8388608.0F;
  return result;
}

GstBuffer* make_buffer(const std::vector<float>& interleaved, int, GstClockTime pts, guint flags) {
  GstBuffer* buffer = gst_buffer_new_memdup(interleaved.data(), interleaved.size() * sizeof(float));
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_FLAG_SET(buffer, flags);
  return buffer;
}

GstElement* make_element(std::initializer_list<Setting> settings) {
  GstElement* element = gst_element_factory_make("bsmamba2sep", nullptr);
  if (!element) g_error("no element bsmamba2sep in GST_PLUGIN_PATH");
  gst_util_set_object_arg(G_OBJECT(element), "model-file", any_model_file().c_str());
  for (const auto& [name, value] : settings) gst_util_set_object_arg(G_OBJECT(element), name, value.c_str());
  return element;
}

Recorder::Recorder(GstPad* pad) : pad_(GST_PAD(gst_object_ref(pad))) {
  // For ThreadSanitizer, which does not see GStreamer's own locks: a pad that runs already hands this to its
  // thread.
  const std::lock_guard lock(mutex_);
  probe_ = gst_pad_add_probe(
      pad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                                   GST_PAD_PROBE_TYPE_EVENT_FLUSH),
      on_data, this, nullptr);
}

Recorder::~Recorder() {
  gst_pad_remove_probe(pad_, probe_);
  gst_object_unref(pad_);
}

GstPadProbeReturn Recorder::on_data(GstPad*, GstPadProbeInfo* info, gpointer data) {
  auto* self = static_cast<Recorder*>(data);
  const std::lock_guard lock(self->mutex_);
  Entry entry;
  if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) {
    GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    entry.pts = GST_BUFFER_PTS(buffer);
    entry.duration = GST_BUFFER_DURATION(buffer);
    entry.offset = GST_BUFFER_OFFSET(buffer);
    entry.flags =
        GST_BUFFER_FLAGS(buffer) & (GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_RESYNC | GST_BUFFER_FLAG_GAP);
    const size_t floats = gst_buffer_get_size(buffer) / sizeof(float);
    entry.frames = static_cast<int64_t>(floats) / self->channels_;
    gpointer state = nullptr;
    while (GstMeta* meta = gst_buffer_iterate_meta(buffer, &state)) {
      if (meta->info->api != GST_REFERENCE_TIMESTAMP_META_API_TYPE) {
        ++entry.other_metas;
        continue;
      }
      const auto* reference = reinterpret_cast<GstReferenceTimestampMeta*>(meta);
      const GstStructure* clock = gst_caps_get_structure(reference->reference, 0);
      entry.references.emplace_back(gst_structure_get_name(clock), reference->timestamp);
    }
    if (self->keep_samples_) {
      entry.samples.resize(floats);
      gst_buffer_extract(buffer, 0, entry.samples.data(), floats * sizeof(float));
    }
  } else {
    GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
    entry.type = GST_EVENT_TYPE(event);
    entry.seqnum = gst_event_get_seqnum(event);
    if (entry.type == GST_EVENT_STREAM_START) {
      const gchar* id = nullptr;
      gst_event_parse_stream_start(event, &id);
      entry.name = id;
    } else if (entry.type == GST_EVENT_SEGMENT) {
      gst_event_copy_segment(event, &entry.segment);
    } else if (entry.type == GST_EVENT_CAPS) {
      GstCaps* caps = nullptr;
      gst_event_parse_caps(event, &caps);
      gst_structure_get_int(gst_caps_get_structure(caps, 0), "channels", &entry.channels);
      self->channels_ = entry.channels;
    } else if (entry.type == GST_EVENT_GAP) {
      gst_event_parse_gap(event, &entry.pts, &entry.duration);
    } else if (const GstStructure* s = gst_event_get_structure(event)) {
      entry.name = gst_structure_get_name(s);
    }
  }
  self->record(std::move(entry));
  return GST_PAD_PROBE_OK;
}

/// With the mutex held.
void Recorder::record(Entry entry) {
  if (entry.type == GST_EVENT_FLUSH_STOP) entries_.clear();
  entries_.push_back(std::move(entry));
  changed_.notify_all();
}

std::vector<Entry> Recorder::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

std::vector<Entry> Recorder::buffers() const {
  std::vector<Entry> all = entries();
  std::erase_if(all, [](const Entry& e) { return !e.is_buffer(); });
  return all;
}

std::vector<float> Recorder::samples() const {
  std::vector<float> result;
  for (const Entry& e : buffers()) result.insert(result.end(), e.samples.begin(), e.samples.end());
  return result;
}

int64_t Recorder::frames() const {
  const std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const Entry& e : entries_) sum += e.frames;
  return sum;
}

std::string Recorder::order() const {
  std::string text, last;
  for (const Entry& e : entries()) {
    const std::string word = e.is_buffer() ? "buffer" : gst_event_type_get_name(e.type);
    if (word == "buffer" && last == "buffer") continue;
    text += (text.empty() ? "" : " ") + word;
    last = word;
  }
  return text;
}

int Recorder::count(GstEventType type) const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(
      std::count_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.type == type; }));
}

bool Recorder::wait_for(GstEventType type, int times) const {
  return eventually([&] { return count(type) >= times; });
}

bool Recorder::wait_frames(int64_t wanted) const {
  return eventually([&] { return frames() >= wanted; });
}

void Recorder::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

Stage::Stage(std::initializer_list<Setting> settings, bool link_instrumental)
    : element_(make_element(settings)), bus_(gst_bus_new()) {
  gst_object_ref_sink(element_);
  gst_element_set_bus(element_, bus_.get());
  for (auto [name, recorder] : {std::pair{"vocals", &vocals_}, std::pair{"instrumental", &instrumental_}}) {
    GstPad* pad = gst_element_get_static_pad(element_, name);
    *recorder = std::make_unique<Recorder>(pad);
    gst_object_unref(pad);
  }
  if (link_instrumental) second_.reset(gst_harness_new_with_element(element_, nullptr, "instrumental"));
  main_.reset(gst_harness_new_with_element(element_, "sink", "vocals"));
  gst_harness_set_drop_buffers(main_.get(), TRUE);
  gst_harness_set_live(main_.get(),
                       FALSE);  // a live stream would be passed over as too slow for pushes at once
  if (second_) gst_harness_set_drop_buffers(second_.get(), TRUE);
}

Stage::~Stage() {
  gst_element_set_state(element_, GST_STATE_NULL);
  main_.reset();
  second_.reset();
  vocals_.reset();
  instrumental_.reset();
  gst_element_set_bus(element_, nullptr);
  gst_object_unref(element_);
}

void Stage::start(int channels) {
  channels_ = channels;
  const std::string caps =
      "audio/x-raw,format=" GST_AUDIO_NE(F32) ",rate=44100,layout=interleaved,channels=" +
      std::to_string(channels);
  gst_harness_set_src_caps_str(main_.get(), caps.c_str());
}

bool Stage::send_segment(GstClockTime start, double rate, GstClockTime stop) {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = segment.position = start;
  segment.stop = stop;
  segment.rate = rate;
  return send(gst_event_new_segment(&segment));
}

GstFlowReturn Stage::push(const std::vector<float>& interleaved) {
  const GstClockTime pts = ns(pushed_);
  pushed_ += static_cast<int64_t>(interleaved.size()) / channels_;
  return push_at(interleaved, pts);
}

GstFlowReturn Stage::push_at(const std::vector<float>& interleaved, GstClockTime pts, guint flags) {
  return gst_harness_push(main_.get(), make_buffer(interleaved, channels_, pts, flags));
}

bool Stage::finish() {
  const int before = vocals_->count(GST_EVENT_EOS);
  return send(gst_event_new_eos()) && vocals_->wait_for(GST_EVENT_EOS, before + 1) &&
         instrumental_->wait_for(GST_EVENT_EOS, before + 1);
}

bool Stage::wait_loaded() {
  return eventually([] { return engine().open_models > 0; });
}

Owned<GstMessage> Stage::message(GstMessageType type, std::chrono::milliseconds limit) {
  return Owned<GstMessage>(
      gst_bus_timed_pop_filtered(bus_.get(), static_cast<GstClockTime>(limit.count()) * GST_MSECOND, type));
}

BusError parse_error(GstMessage* message) {
  BusError result;
  if (!message) return result;
  GError* error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  const Owned<GError> owned(error);
  result = {error->domain, error->code, error->message};
  return result;
}

BusError wait_error(GstBus* bus) {
  const Owned<GstMessage> message(gst_bus_timed_pop_filtered(
      bus, static_cast<GstClockTime>(std::chrono::nanoseconds(kPatience).count()), GST_MESSAGE_ERROR));
  return parse_error(message.get());
}

int count_errors(GstBus* bus) {
  int n = 0;
  while (Owned<GstMessage>(gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR))) ++n;
  return n;
}

void expect_perfect(const std::vector<Entry>& vocals, const std::vector<Entry>& instrumental) {
  ASSERT_EQ(vocals.size(), instrumental.size());
  for (size_t i = 0; i < vocals.size(); ++i) {
    EXPECT_EQ(vocals[i].pts, instrumental[i].pts);
    EXPECT_EQ(vocals[i].duration, instrumental[i].duration);
    EXPECT_EQ(vocals[i].flags & ~GST_BUFFER_FLAG_DISCONT, instrumental[i].flags & ~GST_BUFFER_FLAG_DISCONT);
    // A timeline begins on all pads; a pad alone has DISCONT after a buffer that nobody took.
    const bool begins = (vocals[i].flags & GST_BUFFER_FLAG_RESYNC) != 0;
    if (begins) {
      EXPECT_TRUE(vocals[i].flags & instrumental[i].flags & GST_BUFFER_FLAG_DISCONT) << "buffer " << i;
    }
    EXPECT_EQ(vocals[i].offset, instrumental[i].offset);
    EXPECT_EQ(vocals[i].frames, instrumental[i].frames);
    if (i > 0 && !begins) {
      EXPECT_EQ(vocals[i].pts, vocals[i - 1].pts + vocals[i - 1].duration) << "buffer " << i;
    }
  }
}

void expect_separated(const std::vector<float>& input, const std::vector<float>& vocals,
                      const std::vector<float>& instrumental) {
  ASSERT_EQ(vocals.size(), input.size());
  ASSERT_EQ(instrumental.size(), input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    ASSERT_EQ(vocals[i], fake::kVoiceShare * input[i]) << "sample " << i;
    ASSERT_EQ(instrumental[i], input[i] - fake::kVoiceShare * input[i]) << "sample " << i;
  }
}

void ElementTest::SetUp() {
  engine().restore();
  tracker_.start();
}

void ElementTest::TearDown() {
  engine().block_open = false;
  engine().block_stream_open = false;
  engine().block_push = false;
  EXPECT_TRUE(eventually([] {
    return engine().blocked == 0 && engine().open_streams == 0 && engine().open_models == 0;
  })) << engine().open_streams
      << " streams, " << engine().open_models << " models left open";
  // A worker that outlived its element lets go of it a little later.
  if (eventually([&] { return tracker_.live().empty(); }, std::chrono::milliseconds(200))) return;
  eventually([&] { return tracker_.leaked().empty(); }, std::chrono::seconds(others_leak_ ? 1 : 3));
  for (const auto& [address, type] : tracker_.leaked()) {
    const bool ours = type == "GstBsMamba2Sep" || type == "GstVocalRemover";
    if (ours || !others_leak_) ADD_FAILURE() << "leaked: " << type << " " << address;
  }
}

}  // namespace bsm::test
