// The tracks of one stem, and how crops of them are chosen.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "train/random_stream.h"
#include "train/track_index.h"

namespace bsm {

class CropPool {
 public:
  /// The tracks must outlive the pool. `by_activity`: crops start at the tracks' active_starts, each as
  /// likely as every other; otherwise anywhere, in longer tracks more often. Throws Error(kSettings) when no
  /// segment is active.
  CropPool(std::vector<const IndexedTrack*> tracks, bool by_activity);

  struct Crop {
    const IndexedTrack* track;
    double start;  ///< in the track's samples; negative where the track is shorter than the crop
  };
  /// @param length in the track's samples
  Crop draw(RandomStream& random, double length) const;

 private:
  std::vector<const IndexedTrack*> tracks_;
  bool by_activity_;
  std::vector<double> ends_;                                     // running sums of the tracks' lengths
  std::vector<std::pair<const IndexedTrack*, int64_t>> active_;  // each active segment
};

/// A place for a crop of `length` in a track of `frames`, anywhere; a track shorter than the crop lies
/// anywhere in it.
double draw_place(RandomStream& random, double frames, double length);

}  // namespace bsm
