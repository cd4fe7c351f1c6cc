#include "gains.h"

namespace bsm {

void apply_gains(const Gains& from, const Gains& to, float* vocals, float* instrumental, int64_t frames,
                 int channels) {
  if (from == Gains{} && to == Gains{}) return;
  const double step = 1.0 / static_cast<double>(frames);
  for (int64_t frame = 0; frame < frames; ++frame) {
    const double t = static_cast<double>(frame + 1) * step;
    const auto mix = [t](double a, double b) { return a == b ? a : a + (b - a) * t; };
    const double voice = mix(from.vocals, to.vocals), band = mix(from.instrumental, to.instrumental),
                 guide = mix(from.guide, to.guide);
    for (int c = 0; c < channels; ++c) {
      float& v = vocals[frame * channels + c];
      float& i = instrumental[frame * channels + c];
      i = static_cast<float>(band * (i + guide * v));
      v = static_cast<float>(voice * v);
    }
  }
}

}  // namespace bsm
