#include "random_metas.h"

#include <algorithm>
#include <map>
#include <utility>

namespace bsm::test {

void RandomMetas::add_to(GstBuffer* buffer, int64_t at_frame, int channels, std::mt19937* generator) {
  const auto one_in = [&](uint32_t n) { return (*generator)() % n == 0; };
  for (const char* clock : {"timestamp/x-ntp", "timestamp/x-ptp"}) {
    if (!one_in(3)) continue;
    // Sometimes so soon after the clock's zero that a buffer which begins earlier has no time.
    const GstClockTime timestamp = (*generator)() % (one_in(3) ? GST_MSECOND : 1000 * GST_SECOND);
    const Owned<GstCaps> caps(gst_caps_new_empty_simple(clock));
    gst_buffer_add_reference_timestamp_meta(buffer, caps.get(), timestamp, 5);
    references_.push_back({clock, timestamp, at_frame});
  }
  if (one_in(10)) gst_buffer_add_audio_clipping_meta(buffer, GST_FORMAT_DEFAULT, 1, 0);
  if (one_in(10)) gst_buffer_add_audio_level_meta(buffer, 30, TRUE);
  if (one_in(10)) {
    GstAudioInfo info;
    gst_audio_info_set_format(&info, GST_AUDIO_FORMAT_F32, kRateHz, channels, nullptr);
    gst_buffer_add_audio_meta(buffer, &info, gst_buffer_get_size(buffer) / static_cast<gsize>(info.bpf),
                              nullptr);
  }
}

void RandomMetas::check(const std::vector<Entry>& buffers) const {
  int64_t begin = 0;
  auto next = references_.begin();
  for (const Entry& buffer : buffers) {
    std::map<std::string, const Reference*> first;
    for (; next != references_.end() && next->at_frame < begin + buffer.frames; ++next) {
      const GstClockTime ahead = ns(next->at_frame - begin);
      if (next->timestamp >= ahead) first.emplace(next->clock, &*next);
    }
    std::vector<std::pair<std::string, GstClockTime>> expected, found = buffer.references;
    for (const auto& [clock, reference] : first)
      expected.emplace_back(clock, reference->timestamp - ns(reference->at_frame - begin));
    std::sort(found.begin(), found.end());
    ASSERT_EQ(found, expected) << "buffer at frame " << begin;
    ASSERT_EQ(buffer.other_metas, 0) << "buffer at frame " << begin;
    begin += buffer.frames;
  }
  ASSERT_EQ(next, references_.end());
}

}  // namespace bsm::test
