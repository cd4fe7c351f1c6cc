// Every size of a network, as stored in the `config` entry of a model file's metadata.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dsp/stft.h"

namespace bsm {

enum class BlockKind { kMamba2, kTransformer };

/// How far the blocks along time may look: both ways, or (causal models) only back.
enum class TimeDirection { kBoth, kForward };

/// Sizes of a Mamba2 mixer, in the letters of the state space paper.
struct Mamba2Sizes {
  int expand = 4;      ///< d_inner = expand * dim
  int state = 128;     ///< N
  int head_dim = 64;   ///< P
  int conv_width = 4;  ///< taps of the causal depthwise convolution
  bool operator==(const Mamba2Sizes&) const = default;
};

/// Sizes of a transformer block of the BS-RoFormer baseline.
struct TransformerSizes {
  int heads = 8;
  int head_dim = 48;
  int ff_expand = 4;
  bool operator==(const TransformerSizes&) const = default;
};

struct ModelConfig {
  BlockKind kind = BlockKind::kMamba2;
  int dim = 256;            ///< D
  int depth = 6;            ///< layers, each a time block and a band block
  int mask_expand = 4;      ///< hidden width of the mask heads = mask_expand * dim
  int channels = 2;
  int sample_rate_hz = 44100;
  TimeDirection time_direction = TimeDirection::kBoth;
  StftSpec stft;
  std::vector<int> band_bins = default_band_bins();  ///< bins of each band, their sum is stft.bins()
  std::vector<std::string> stems = {"vocals"};
  Mamba2Sizes mamba2;
  TransformerSizes transformer;

  int bands() const { return static_cast<int>(band_bins.size()); }
  int d_inner() const { return mamba2.expand * dim; }
  int heads() const { return d_inner() / mamba2.head_dim; }
  /// Rows of in_proj: [z | x | B | C | dt].
  int in_proj_width() const { return 2 * d_inner() + 2 * mamba2.state + heads(); }
  /// Channels of the convolution: [x | B | C].
  int conv_channels() const { return d_inner() + 2 * mamba2.state; }

  /// Learned values of such a network, in closed form: known before anything is allocated.
  int64_t parameter_count() const;

  /// The 62 bands of the paper, for 1025 bins.
  static std::vector<int> default_band_bins();

  /// Throws Error(kWrongType) that names the first size that cannot work.
  void validate() const;

  std::string to_json() const;
  /// Unknown keys and wrong types are errors (kWrongType); missing keys keep the published defaults.
  static ModelConfig from_json(const std::string& text);

  bool operator==(const ModelConfig&) const = default;
};

}  // namespace bsm
