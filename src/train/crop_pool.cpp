#include "train/crop_pool.h"

#include <algorithm>

#include "core/error.h"

namespace bsm {

CropPool::CropPool(std::vector<const IndexedTrack*> tracks, bool by_activity)
    : tracks_(std::move(tracks)), by_activity_(by_activity) {
  double sum = 0;
  for (const IndexedTrack* track : tracks_) {
    ends_.push_back(sum += static_cast<double>(track->frames));
    for (const int64_t start : track->active_starts) active_.emplace_back(track, start);
  }
  if (by_activity_ && active_.empty())
    throw Error(
        ErrorCode::kSettings,
        "No segment of a stem in the training audio is active (see source_activity in the configuration): "
        "its files are shorter than segment_s, or silent.");
}

CropPool::Crop CropPool::draw(RandomStream& random, double length) const {
  if (by_activity_) {
    const auto& [track, start] = active_[random.below(active_.size())];
    return {track, static_cast<double>(start)};
  }
  const double at = random.unit() * ends_.back();
  const auto place = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin());
  const IndexedTrack* track = tracks_[std::min(place, tracks_.size() - 1)];
  return {track, draw_place(random, static_cast<double>(track->frames), length)};
}

double draw_place(RandomStream& random, double frames, double length) {
  const double spare = frames - length;
  return random.in(std::min(spare, 0.0), std::max(spare, 0.0));
}

}  // namespace bsm
