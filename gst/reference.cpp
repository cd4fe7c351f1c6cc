#include "reference.h"

#include <utility>

namespace bsm {

std::vector<Reference> references_of(GstBuffer* buffer, GstClockTime skipped) {
  std::vector<Reference> references;
  gpointer state = nullptr;
  while (GstMeta* meta =
             gst_buffer_iterate_meta_filtered(buffer, &state, GST_REFERENCE_TIMESTAMP_META_API_TYPE)) {
    const auto* found = reinterpret_cast<GstReferenceTimestampMeta*>(meta);
    if (!GST_CLOCK_TIME_IS_VALID(found->timestamp)) continue;
    Reference reference{CapsPtr(gst_caps_ref(found->reference)), found->timestamp + skipped, nullptr};
#if GST_CHECK_VERSION(1, 24, 0)
    if (found->info) reference.info.reset(gst_structure_copy(found->info));
#endif
    references.push_back(std::move(reference));
  }
  return references;
}

void add_reference(GstBuffer* buffer, const Reference& reference, GstClockTime ahead) {
  if (reference.timestamp < ahead) return;
  gpointer state = nullptr;
  while (GstMeta* meta =
             gst_buffer_iterate_meta_filtered(buffer, &state, GST_REFERENCE_TIMESTAMP_META_API_TYPE))
    if (gst_caps_is_equal(reinterpret_cast<GstReferenceTimestampMeta*>(meta)->reference,
                          reference.clock.get()))
      return;
  [[maybe_unused]] GstReferenceTimestampMeta* meta = gst_buffer_add_reference_timestamp_meta(
      buffer, reference.clock.get(), reference.timestamp - ahead, GST_CLOCK_TIME_NONE);
#if GST_CHECK_VERSION(1, 24, 0)
  if (reference.info) meta->info = gst_structure_copy(reference.info.get());
#endif
}

}  // namespace bsm
