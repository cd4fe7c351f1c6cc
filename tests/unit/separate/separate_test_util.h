// Small random models, signals, and the network called directly on windows of a spectrogram, for the plain
// references that the separators are compared with. No LibTorch header here, so that few tests pay for it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/audio.h"
#include "dsp/stft.h"
#include "separate/model.h"

namespace bsm::test {

/// 129 bins in seven bands, a hop that does not divide the window, one stem.
ModelConfig small_config();

/// Weights drawn from `seed`, on the CPU.
std::shared_ptr<const Model> random_model(const ModelConfig& config, unsigned seed = 1);

/// A random model of finite weights, some so large that its estimates are not finite.
std::shared_ptr<const Model> overflowing_model(const ModelConfig& config);

/// Uniform noise under slowly moving gains, so that no two windows look alike.
AudioBuffer random_mixture(int channels, int64_t frames, unsigned seed = 2);

/// The network on frames [begin, end) as a signal of its own: one spectrogram of estimates per stem.
std::vector<Spectrogram> estimate_window(const Model& model, const Spectrogram& mixture, int64_t begin,
                                         int64_t end);

/// The network in carry mode on frames [hop_index * hop, end), with the state that all hops before it leave
/// behind, computed anew from the start of the signal. Each hop sees `lookahead` frames more than it
/// finishes.
std::vector<Spectrogram> estimate_carried(const Model& model, const Spectrogram& mixture, int64_t hop_index,
                                          int64_t hop, int64_t lookahead);

/// Called within each run of the network with the number of windows in its batch; may throw.
void set_run_hook(const Model& model, std::function<void(int64_t batch)> hook);

/// Saves a random network as a model file and returns its path in the folder of temporary files; with
/// `poison`, one weight is not a number.
std::string write_model_file(const ModelConfig& config, const std::string& name, bool poison = false);

/// The stems from spectrograms of estimates, and the rest of the mixture behind them.
std::vector<AudioBuffer> synthesise(const AudioBuffer& mixture, const std::vector<Spectrogram>& estimates,
                                    const StftSpec& spec);

/// Largest absolute difference; infinite for unequal shapes.
double distance(const std::vector<AudioBuffer>& a, const std::vector<AudioBuffer>& b);

/// The frames [begin, begin + count) of `from`, appended to `to`.
void append_frames(std::vector<Spectrogram>& to, const std::vector<Spectrogram>& from, int64_t begin,
                   int64_t count);

}  // namespace bsm::test
