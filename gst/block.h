// One piece of output: a buffer per pad, mapped for writing until it is released.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "inference.h"
#include "pads.h"

namespace bsm {

class Block {
 public:
  /// Buffers of `bytes` for the two pads that are always there and for each requested one that `wanted`
  /// names.
  template <typename Wanted>
  Block(size_t bytes, Wanted&& wanted) {
    try {
      for (int pad = 0; pad < kMaxPads; ++pad)
        if (pad < kAlwaysPads || wanted(pad)) map(pad, bytes);
    } catch (...) {
      unmap();
      throw;
    }
  }
  ~Block() { unmap(); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// NULL for a pad that is not there.
  float* samples(int pad) { return reinterpret_cast<float*>(maps_[static_cast<size_t>(pad)].data); }
  bool silent() const {
    return std::all_of(maps_.begin(), maps_.end(), [](const GstMapInfo& map) {
      const auto* first = reinterpret_cast<const float*>(map.data);
      return std::all_of(first, first + map.size / sizeof(float), [](float x) { return x == 0.0F; });
    });
  }
  PadBuffers release() {
    unmap();
    return std::move(buffers_);
  }

 private:
  void map(int pad, size_t bytes) {
    const auto p = static_cast<size_t>(pad);
    buffers_[p].reset(gst_buffer_new_allocate(nullptr, bytes, nullptr));
    if (!buffers_[p] || !gst_buffer_map(buffers_[p].get(), &maps_[p], GST_MAP_WRITE))
      throw EngineError{BSM_ERROR_OUT_OF_MEMORY,
                        "No memory for " + std::to_string(bytes) + " bytes of output."};
  }
  void unmap() {
    for (size_t p = 0; p < maps_.size(); ++p)
      if (maps_[p].memory) gst_buffer_unmap(buffers_[p].get(), &maps_[p]);
    maps_ = {};
  }

  PadBuffers buffers_;
  std::array<GstMapInfo, kMaxPads> maps_{};
};

}  // namespace bsm
