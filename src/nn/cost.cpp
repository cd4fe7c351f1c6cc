#include "nn/cost.h"

namespace bsm {
namespace {

/// Of a product [1, in] x [in, out].
double product(double in, double out) { return 2 * in * out; }

/// Adds `tokens` elements of one Mamba2 block: `directions` mixers and the matrix that merges them.
void add_mamba2_block(const ModelConfig& config, double tokens, int directions, NetworkCost& cost) {
  const double D = config.dim, d_inner = config.d_inner();
  const double mixers = directions * tokens;
  cost.projection_flop += mixers * product(D, config.in_proj_width());
  cost.conv_flop += mixers * 2 * config.mamba2.conv_width * config.conv_channels();
  // Per element of the state: decay and input (h = a h + b), output (y += h c).
  cost.sequence_flop += mixers * 4 * d_inner * config.mamba2.state;
  cost.merge_flop += mixers * (product(d_inner, D) + product(D, D));
}

/// Adds `tokens` elements of one transformer block whose sequences have `length` elements.
void add_transformer_block(const ModelConfig& config, double tokens, double length, NetworkCost& cost) {
  const double D = config.dim, heads = config.transformer.heads;
  const double inner = heads * config.transformer.head_dim;
  cost.projection_flop += tokens * product(D, 3 * inner);
  cost.sequence_flop += tokens * 2 * product(inner, length);  // q k^T and the weighted sum of v
  cost.merge_flop += tokens * (product(D, heads) + product(inner, D));
  cost.feed_forward_flop += tokens * 2 * product(D, config.transformer.ff_expand * D);
}

}  // namespace

double NetworkCost::stage_flop(Stage stage) const {
  switch (stage) {
    case Stage::kBandSplit:
      return band_split_flop;
    case Stage::kProjections:
      return projection_flop;
    case Stage::kMixerCore:
    case Stage::kConvScan:
    case Stage::kAttention:
      return conv_flop + sequence_flop;
    case Stage::kFeedForward:
      return feed_forward_flop;
    case Stage::kMerge:
      return merge_flop;
    case Stage::kMasks:
      return mask_flop;
    default:
      return 0;
  }
}

NetworkCost network_cost(const ModelConfig& config, int64_t batch, int64_t frames, int64_t bytes_per_value) {
  const double rows = static_cast<double>(batch * frames), tokens = rows * config.bands();
  const double D = config.dim, hidden = config.mask_expand * D;
  const auto stems = static_cast<double>(config.stems.size());
  NetworkCost cost;
  double frame_values = 0;
  for (const int bins : config.band_bins) {
    const double width = 2.0 * config.channels * bins;
    frame_values += width;
    cost.band_split_flop += rows * product(width, D);
    cost.mask_flop += rows * stems * (product(D, hidden) + product(hidden, 2 * width));
  }
  for (int layer = 0; layer < config.depth; ++layer) {
    if (config.kind == BlockKind::kMamba2) {
      add_mamba2_block(config, tokens, config.time_direction == TimeDirection::kBoth ? 2 : 1, cost);
      add_mamba2_block(config, tokens, 2, cost);
    } else {
      add_transformer_block(config, tokens, static_cast<double>(frames), cost);
      add_transformer_block(config, tokens, config.bands(), cost);
    }
  }
  const double blocks = 2.0 * config.depth;
  const auto value = static_cast<double>(bytes_per_value);
  cost.bytes = static_cast<double>(config.parameter_count()) * value + rows * frame_values * (1 + stems) * 4 +
               blocks * 2 * tokens * D * value;
  return cost;
}

double carried_state_bytes(const ModelConfig& config) {
  if (config.kind != BlockKind::kMamba2) return 0;
  const double scan = static_cast<double>(config.d_inner()) * config.mamba2.state;
  const double conv = static_cast<double>(config.conv_channels()) * (config.mamba2.conv_width - 1);
  return config.depth * config.bands() * (scan + conv) * sizeof(float);
}

}  // namespace bsm
