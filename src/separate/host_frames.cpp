// FrameDomain on a CPU.
#include <algorithm>
#include <functional>

#include "dsp/stft_stream.h"
#include "nn/cpu/team.h"
#include "separate/cpu_threads.h"
#include "separate/frame_domain.h"

namespace bsm {
namespace {

ForEach on_team(int threads) {
  if (threads <= 1) return {};
  return [threads](int64_t count, const std::function<void(int64_t)>& body) {
    const CpuThreadScope scope(threads);
    for_each_on_team(count, body);
  };
}

class HostFrames : public FrameDomain {
 public:
  HostFrames(const ModelConfig& config, int threads, const std::vector<FloatQueue>& mixture)
      : mixture_(mixture),
        planar_(static_cast<size_t>(config.channels)),
        frame_size_(int64_t{2} * config.channels * config.stft.bins()),
        analysis_(config.stft, config.channels, on_team(threads), threads) {
    for (size_t s = 0; s < config.stems.size(); ++s)
      synthesis_.emplace_back(config.stft, config.channels, on_team(threads), threads);
  }

  void samples_appended(int64_t count) override {
    for (size_t c = 0; c < planar_.size(); ++c) {
      const FloatQueue& channel = mixture_[std::min(c, mixture_.size() - 1)];
      planar_[c] = channel.at(channel.end() - count);
    }
    analysis_.push(planar_.data(), count);
  }

  void finish_input() override { analysis_.finish(); }

  int64_t frames_ready() const override { return analysis_.frames_popped() + analysis_.available(); }

  torch::Tensor take_frames(int64_t count) override {
    torch::Tensor frames = torch::empty({count, frame_size_}, torch::kFloat32);
    analysis_.pop_frames(frames.data_ptr<float>(), count);
    stage_done(Stage::kStft);
    return frames;
  }

  void push_estimates(const torch::Tensor& estimates) override {
    for (size_t s = 0; s < synthesis_.size(); ++s)
      synthesis_[s].push_frames(estimates[static_cast<int64_t>(s)].data_ptr<float>(), estimates.size(1));
    stage_done(Stage::kIstft);
  }

  void finish_output() override {
    for (IstftStream& stem : synthesis_) stem.finish(analysis_.samples_pushed());
  }

  int64_t available() const override { return synthesis_.front().available(); }

  void pop(float* const* planar, int64_t count) override {
    for (size_t s = 0; s < synthesis_.size(); ++s) synthesis_[s].pop(planar + s * planar_.size(), count);
  }

  Stage pop_stage() const override { return Stage::kIstft; }

  void reset() override {
    analysis_.reset();
    for (IstftStream& stem : synthesis_) stem.reset();
  }

 private:
  const std::vector<FloatQueue>& mixture_;
  std::vector<const float*> planar_;  // [model channels]
  const int64_t frame_size_;
  StftStream analysis_;
  std::vector<IstftStream> synthesis_;  // [stems]
};

}  // namespace

std::unique_ptr<FrameDomain> make_host_frames(const Model::Impl& model,
                                              const std::vector<FloatQueue>& mixture) {
  return std::make_unique<HostFrames>(model.network->config(), model.threads, mixture);
}

}  // namespace bsm
