// The published split of MUSDB18-HQ: of the 100 songs in its folder `train`, 14 are for validation, by name;
// `test` has 50 more (Stoter et al. 2019, https://zenodo.org/records/3338373).
#pragma once

#include "train/library.h"

namespace bsm {

/// Takes the songs whose folders have the names of MUSDB18's validation songs out of `songs` and returns
/// them.
std::vector<SongFiles> take_musdb18_validation(std::vector<SongFiles>& songs);

}  // namespace bsm
