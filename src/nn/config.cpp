#include "nn/config.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"

namespace bsm {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorCode::kWrongType, "Model configuration: " + sentence);
}

// Configurations come out of files: the limits keep a damaged or hostile one from asking for absurd amounts
// of memory.
void check_range(const char* name, int value, int low, int high) {
  if (value < low || value > high)
    fail(std::string(name) + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " +
         std::to_string(high) + ".");
}

/// One JSON object whose keys are taken one by one; what is left over at the end is an error.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string where) : where_(std::move(where)) {
    if (!json.is_object()) fail(where_ + " must be a JSON object, found " + json.type_name() + ".");
    values_ = json;
  }

  void take(const char* key, int& value) {
    const Json json = take_value(key);
    if (json.is_null()) return;
    if (!json.is_number_integer()) mistyped(key, "an integer", json);
    const bool fits = json.is_number_unsigned()
                          ? json.get<uint64_t>() <= INT32_MAX
                          : json.get<int64_t>() >= INT32_MIN && json.get<int64_t>() <= INT32_MAX;
    if (!fits) fail(path(key) + " is " + json.dump() + ", which is far out of range.");
    value = json.get<int>();
  }

  template <typename T>
  void take(const char* key, std::vector<T>& values) {
    const Json json = take_value(key);
    if (json.is_null()) return;
    if (!json.is_array()) mistyped(key, "an array", json);
    values.assign(json.size(), T{});
    for (size_t i = 0; i < json.size(); ++i) {
      ObjectReader element(Json{{"element", json[i]}}, path(key) + "[" + std::to_string(i) + "]");
      element.take("element", values[i]);
    }
  }

  void take(const char* key, std::string& value) {
    const Json json = take_value(key);
    if (json.is_null()) return;
    if (!json.is_string()) mistyped(key, "a string", json);
    value = json.get<std::string>();
  }

  template <typename Enum>
  void take(const char* key, Enum& value, const std::vector<std::pair<const char*, Enum>>& names) {
    if (!values_.contains(key)) return;
    std::string text;
    take(key, text);
    std::string expected;
    for (const auto& [name, enumerator] : names) {
      if (text == name) {
        value = enumerator;
        return;
      }
      expected += (expected.empty() ? "\"" : " or \"") + std::string(name) + "\"";
    }
    fail(path(key) + " is \"" + text + "\", expected " + expected + ".");
  }

  /// The object under `key`, or an empty one.
  ObjectReader take_object(const char* key) {
    const Json json = take_value(key);
    return ObjectReader(json.is_null() ? Json::object() : json, path(key));
  }

  void expect_empty() const {
    if (!values_.empty())
      fail("unknown key \"" + values_.begin().key() + "\" in " + where_ +
           "; remove it or correct its spelling.");
  }

 private:
  Json take_value(const char* key) {
    const auto found = values_.find(key);
    if (found == values_.end()) return nullptr;
    Json json = *found;
    values_.erase(found);
    if (json.is_null()) mistyped(key, "a value", json);
    return json;
  }

  std::string path(const char* key) const { return where_ + "." + key; }

  [[noreturn]] void mistyped(const char* key, const char* expected, const Json& found) const {
    fail(path(key) + " must be " + expected + ", found " + found.type_name() + ".");
  }

  Json values_;
  std::string where_;
};

const std::vector<std::pair<const char*, BlockKind>> kKindNames = {{"bsmamba2", BlockKind::kMamba2},
                                                                   {"bsroformer", BlockKind::kTransformer}};
const std::vector<std::pair<const char*, TimeDirection>> kDirectionNames = {
    {"both", TimeDirection::kBoth}, {"forward", TimeDirection::kForward}};

template <typename Enum>
const char* name_of(Enum value, const std::vector<std::pair<const char*, Enum>>& names) {
  for (const auto& [name, enumerator] : names)
    if (enumerator == value) return name;
  fail("an enumerator without a name.");
}

}  // namespace

std::vector<int> ModelConfig::default_band_bins() {
  std::vector<int> bins;
  for (const auto& [count, width] :
       {std::pair{24, 2}, {12, 4}, {8, 12}, {8, 24}, {8, 48}, {1, 128}, {1, 129}})
    bins.insert(bins.end(), static_cast<size_t>(count), width);
  return bins;
}

void ModelConfig::validate() const {
  check_range("dim", dim, 1, 4096);
  check_range("depth", depth, 1, 128);
  check_range("mask_expand", mask_expand, 1, 16);
  check_range("channels", channels, 1, 2);
  check_range("sample_rate_hz", sample_rate_hz, 1000, 768000);
  check_range("stft.n_fft", stft.n_fft, 16, 1 << 16);
  if (stft.n_fft % 2 != 0) fail("stft.n_fft is " + std::to_string(stft.n_fft) + ", expected an even number.");
  check_range("stft.win", stft.win, 2, stft.n_fft);
  // A hop of at most half a window keeps every sample under at least two windows, so that the inverse exists.
  check_range("stft.hop", stft.hop, 1, stft.win / 2);

  if (band_bins.empty()) fail("band_bins is empty, expected the number of bins of each band.");
  for (const int bins : band_bins) check_range("an entry of band_bins", bins, 1, stft.bins());
  const int64_t sum = std::accumulate(band_bins.begin(), band_bins.end(), int64_t{0});
  if (sum != stft.bins())
    fail("band_bins add up to " + std::to_string(sum) +
         " bins, expected n_fft / 2 + 1 = " + std::to_string(stft.bins()) + ".");

  check_range("the number of stems", static_cast<int>(stems.size()), 1, 16);
  for (size_t i = 0; i < stems.size(); ++i) {
    if (stems[i].empty()) fail("stems[" + std::to_string(i) + "] has an empty name.");
    for (size_t j = 0; j < i; ++j)
      if (stems[i] == stems[j]) fail("the stem name \"" + stems[i] + "\" occurs twice.");
  }

  if (kind == BlockKind::kMamba2) {
    check_range("mamba2.expand", mamba2.expand, 1, 16);
    check_range("mamba2.state", mamba2.state, 1, 1024);
    check_range("mamba2.head_dim", mamba2.head_dim, 1, 1024);
    check_range("mamba2.conv_width", mamba2.conv_width, 1, 64);
    if (d_inner() % mamba2.head_dim != 0)
      fail("mamba2.head_dim is " + std::to_string(mamba2.head_dim) +
           ", expected a divisor of expand * dim = " + std::to_string(d_inner()) + ".");
  } else {
    check_range("transformer.heads", transformer.heads, 1, 256);
    check_range("transformer.head_dim", transformer.head_dim, 2, 1024);
    check_range("transformer.ff_expand", transformer.ff_expand, 1, 16);
    if (transformer.head_dim % 2 != 0)
      fail("transformer.head_dim is " + std::to_string(transformer.head_dim) +
           ", expected an even number (rotary embedding turns pairs).");
    if (time_direction != TimeDirection::kBoth)
      fail("time_direction is \"forward\", which only bsmamba2 networks can be; use \"both\".");
  }
}

int64_t ModelConfig::parameter_count() const {
  const int64_t D = dim, hidden = int64_t{mask_expand} * dim;
  const auto mamba2_block = [&](int64_t branches) {
    const int64_t convolution = int64_t{conv_channels()} * (mamba2.conv_width + 1);
    const int64_t branch = D + in_proj_width() * D + convolution + 3 * heads() + d_inner() + D * d_inner();
    return branches * (branch + D * D) + D;
  };
  const auto transformer_block = [&] {
    const int64_t inner = int64_t{transformer.heads} * transformer.head_dim, ff = transformer.ff_expand * D;
    const int64_t attention = D + 3 * inner * D + transformer.heads * (D + 1) + D * inner;
    return attention + D + ff * (D + 1) + D * (ff + 1);
  };
  int64_t count = D;  // final norm
  for (const int bins : band_bins) {
    const int64_t width = int64_t{2} * channels * bins;
    count += width + D * (width + 1);
    count += static_cast<int64_t>(stems.size()) * (hidden * (D + 1) + 2 * width * (hidden + 1));
  }
  if (kind == BlockKind::kTransformer) return count + 2 * depth * transformer_block();
  return count + depth * (mamba2_block(time_direction == TimeDirection::kBoth ? 2 : 1) + mamba2_block(2));
}

std::string ModelConfig::to_json() const {
  const Json json = {
      {"kind", name_of(kind, kKindNames)},
      {"dim", dim},
      {"depth", depth},
      {"mask_expand", mask_expand},
      {"channels", channels},
      {"sample_rate_hz", sample_rate_hz},
      {"time_direction", name_of(time_direction, kDirectionNames)},
      {"stft", {{"n_fft", stft.n_fft}, {"win", stft.win}, {"hop", stft.hop}}},
      {"band_bins", band_bins},
      {"stems", stems},
      {"mamba2",
       {{"expand", mamba2.expand},
        {"state", mamba2.state},
        {"head_dim", mamba2.head_dim},
        {"conv_width", mamba2.conv_width}}},
      {"transformer",
       {{"heads", transformer.heads},
        {"head_dim", transformer.head_dim},
        {"ff_expand", transformer.ff_expand}}},
  };
  return json.dump();
}

ModelConfig ModelConfig::from_json(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("not valid JSON.");

  ModelConfig config;
  ObjectReader root(json, "config");
  root.take("kind", config.kind, kKindNames);
  root.take("dim", config.dim);
  root.take("depth", config.depth);
  root.take("mask_expand", config.mask_expand);
  root.take("channels", config.channels);
  root.take("sample_rate_hz", config.sample_rate_hz);
  root.take("time_direction", config.time_direction, kDirectionNames);
  root.take("band_bins", config.band_bins);
  root.take("stems", config.stems);

  ObjectReader stft = root.take_object("stft");
  stft.take("n_fft", config.stft.n_fft);
  stft.take("win", config.stft.win);
  stft.take("hop", config.stft.hop);
  stft.expect_empty();

  ObjectReader mamba2 = root.take_object("mamba2");
  mamba2.take("expand", config.mamba2.expand);
  mamba2.take("state", config.mamba2.state);
  mamba2.take("head_dim", config.mamba2.head_dim);
  mamba2.take("conv_width", config.mamba2.conv_width);
  mamba2.expect_empty();

  ObjectReader transformer = root.take_object("transformer");
  transformer.take("heads", config.transformer.heads);
  transformer.take("head_dim", config.transformer.head_dim);
  transformer.take("ff_expand", config.transformer.ff_expand);
  transformer.expect_empty();

  root.expect_empty();
  config.validate();
  return config;
}

}  // namespace bsm
