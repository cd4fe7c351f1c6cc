// Configurations of checkpoints that store none: read off the names and shapes of their tensors, and for the
// signal sizes, which leave no trace in shapes, off the metadata that known exporters write.
#include "nn/infer_config.h"

#include <charconv>

#include "core/error.h"

namespace bsm {

namespace {

/// Looks tensors up by published name; anything odd becomes an error that names the file and the tensor.
class ShapeReader {
 public:
  explicit ShapeReader(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), prefix_(tensor_prefix(checkpoint)) {}

  bool has(const std::string& name) const { return checkpoint_.find(prefix_ + name) != nullptr; }

  /// Size of one dimension of a tensor that must have `rank` dimensions.
  int size(const std::string& name, size_t rank, size_t dimension) const {
    const TensorEntry* tensor = checkpoint_.find(prefix_ + name);
    if (tensor == nullptr) fail("it has no tensor \"" + name + "\"");
    if (tensor->shape.size() != rank)
      fail("its tensor \"" + name + "\" has " + std::to_string(tensor->shape.size()) +
           " dimensions, expected " + std::to_string(rank));
    const int64_t size = tensor->shape[dimension];
    if (size < 1 || size > INT32_MAX / 4)
      fail("its tensor \"" + name + "\" has a dimension of " + std::to_string(size));
    return static_cast<int>(size);
  }

  int divide(const std::string& what, int numerator, int denominator) const {
    if (denominator < 1 || numerator < denominator || numerator % denominator != 0)
      fail(what + " would be " + std::to_string(numerator) + " / " + std::to_string(denominator) +
           ", not whole");
    return numerator / denominator;
  }

  /// How many tensors "<begin>0<end>", "<begin>1<end>", ... there are.
  int count(const std::string& begin, const std::string& end) const {
    int n = 0;
    while (has(begin + std::to_string(n) + end)) ++n;
    return n;
  }

  int metadata(const std::string& key, int otherwise) const {
    const auto found = checkpoint_.metadata().find(key);
    if (found == checkpoint_.metadata().end()) return otherwise;
    const std::string& text = found->second;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      fail("its metadata entry \"" + key + "\" is \"" + text + "\", not a number");
    return value;
  }

  std::string metadata_text(const std::string& key) const {
    const auto found = checkpoint_.metadata().find(key);
    return found == checkpoint_.metadata().end() ? "" : found->second;
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw Error(ErrorCode::kWrongType, checkpoint_.path() +
                                           " is not a BSMamba2 or BS-RoFormer model: " + reason +
                                           ". Give the safetensors or checkpoint file of such a network.");
  }

 private:
  const Checkpoint& checkpoint_;
  std::string prefix_;
};

void infer_mamba2(const ShapeReader& shapes, ModelConfig& config) {
  const std::string mixer = "layers.0.0.forward_blocks.0.mixer.";
  const int d_inner = shapes.size(mixer + "norm.weight", 1, 0);
  const int heads = shapes.size(mixer + "dt_bias", 1, 0);
  config.mamba2.expand = shapes.divide("the expansion of the mixers", d_inner, config.dim);
  config.mamba2.head_dim = shapes.divide("the head size of the mixers", d_inner, heads);
  // in_proj makes [z | x | B | C | dt].
  config.mamba2.state = shapes.divide("the state size of the mixers",
                                      shapes.size(mixer + "in_proj.weight", 2, 0) - 2 * d_inner - heads, 2);
  config.mamba2.conv_width = shapes.size(mixer + "conv1d.weight", 3, 2);
  config.time_direction =
      shapes.has("layers.0.0.backward_blocks.0.norm.weight") ? TimeDirection::kBoth : TimeDirection::kForward;
}

void infer_transformer(const ShapeReader& shapes, ModelConfig& config) {
  const std::string layer = "layers.0.0.layers.0.";
  config.transformer.heads = shapes.size(layer + "0.to_gates.weight", 2, 0);
  config.transformer.head_dim =
      shapes.divide("the head size of the attention", shapes.size(layer + "0.to_out.0.weight", 2, 1),
                    config.transformer.heads);
  config.transformer.ff_expand = shapes.divide("the expansion of the feed-forward part",
                                               shapes.size(layer + "1.net.1.weight", 2, 0), config.dim);
}

}  // namespace

std::string tensor_prefix(const Checkpoint& checkpoint) {
  return checkpoint.find("weights.final_norm.gamma") != nullptr ? "weights." : "";
}

ModelConfig infer_config(const Checkpoint& checkpoint) {
  const ShapeReader shapes(checkpoint);
  ModelConfig config;
  config.dim = shapes.size("final_norm.gamma", 1, 0);
  config.channels = shapes.metadata_text("stereo") == "False" ? 1 : 2;

  config.band_bins.clear();
  int bins = 0;
  const int bands = shapes.count("band_split.to_features.", ".0.gamma");
  for (int k = 0; k < bands; ++k) {
    const std::string gamma = "band_split.to_features." + std::to_string(k) + ".0.gamma";
    config.band_bins.push_back(
        shapes.divide("the bins of a band", shapes.size(gamma, 1, 0), 2 * config.channels));
    bins += config.band_bins.back();
    if (bins > (1 << 16)) shapes.fail("its bands have more than 65536 bins in all");
  }
  if (bands == 0) shapes.fail("it has no tensor \"band_split.to_features.0.0.gamma\"");
  config.stft.n_fft = shapes.metadata("n_fft", 2 * (bins - 1));
  config.stft.win = shapes.metadata("win_length", config.stft.n_fft);
  config.stft.hop = shapes.metadata("hop_length", config.stft.hop);
  config.sample_rate_hz = shapes.metadata("sample_rate", config.sample_rate_hz);

  const bool transformer = shapes.has("layers.0.0.layers.0.0.norm.gamma");
  config.kind = transformer ? BlockKind::kTransformer : BlockKind::kMamba2;
  config.depth =
      shapes.count("layers.", transformer ? ".0.layers.0.0.norm.gamma" : ".0.forward_blocks.0.norm.weight");
  if (config.depth == 0) shapes.fail("it has no layers with the published names");
  if (transformer)
    infer_transformer(shapes, config);
  else
    infer_mamba2(shapes, config);

  const std::string head = ".to_freqs.0.0.0.weight";
  const int stems = shapes.count("mask_estimators.", head);
  if (stems == 0) shapes.fail("it has no tensor \"mask_estimators.0" + head + "\"");
  config.mask_expand =
      shapes.divide("the expansion of the masks", shapes.size("mask_estimators.0" + head, 2, 0), config.dim);
  if (stems > 1) {
    config.stems.clear();
    for (int s = 0; s < stems; ++s) config.stems.push_back("stem_" + std::to_string(s));
  }
  try {
    config.validate();
  } catch (const Error& error) {
    shapes.fail(std::string("its shapes fit no network (") + error.what() + ")");
  }
  return config;
}

}  // namespace bsm
