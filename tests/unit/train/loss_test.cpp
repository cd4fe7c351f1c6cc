#include "train/loss.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "core/audio.h"
#include "dsp/stft.h"
#include "train/wave_transform.h"

namespace bsm {
namespace {

TEST(Loss, EqualsThePlainOperatorsWithGradient) {
  torch::manual_seed(1);
  for (const int64_t samples : {5000, 6001}) {
    const torch::Tensor target = torch::randn({2, 2, samples}) * 0.1;
    torch::Tensor a = (torch::randn({2, 2, samples}) * 0.1).requires_grad_();
    torch::Tensor b = a.detach().clone().requires_grad_();
    const torch::Tensor fast = separation_loss(a, target);
    const torch::Tensor plain = separation_loss_plain(b, target);
    (2 * fast).backward();
    (2 * plain).backward();
    EXPECT_NEAR(fast.item<double>(), plain.item<double>(), 1e-5 * plain.item<double>());
    EXPECT_LT((a.grad() - b.grad()).abs().max().item<double>(), 1e-4 * b.grad().abs().max().item<double>());
  }
}

TEST(Loss, EqualSignalsCostNothing) {
  const torch::Tensor target = torch::randn({1, 2, 5000});
  torch::Tensor estimate = target.clone().requires_grad_();
  const torch::Tensor loss = separation_loss(estimate, target);
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_EQ(estimate.grad().abs().max().item<double>(), 0);
}

TEST(WaveTransform, AnalysesLikeTorch) {
  torch::manual_seed(2);
  const StftSpec spec{512, 384, 100};
  const torch::Tensor waves = torch::randn({2, 2, 3000});
  const torch::Tensor frames = WaveTransform(spec, torch::kCPU).analyse(waves);
  const torch::Tensor expected = torch::view_as_real(
      torch::stft(waves.view({4, 3000}), 512, 100, 384, torch::hann_window(384), /*center=*/true, "reflect",
                  /*normalized=*/false, /*onesided=*/true, /*return_complex=*/true));  // [4, bins, T, 2]
  ASSERT_EQ(frames.sizes(), (std::vector<int64_t>{2, spec.frames(3000), 4 * spec.bins()}));
  const torch::Tensor ordered =
      expected.view({2, 2, spec.bins(), -1, 2}).permute({0, 3, 2, 1, 4}).reshape(frames.sizes());
  EXPECT_LT((frames - ordered).abs().max().item<double>(), 1e-4);
}

TEST(WaveTransform, OrderIsTheOneOfTheSpectrogram) {
  const StftSpec spec{64, 64, 16};
  AudioBuffer audio(2, 400);
  torch::manual_seed(3);
  const torch::Tensor wave = torch::randn({1, 2, 400});
  std::copy_n(wave.data_ptr<float>(), 800, audio.samples.data());
  FrameTransform transform(spec);
  const Spectrogram reference = stft(audio, transform);
  const torch::Tensor frames = WaveTransform(spec, torch::kCPU).analyse(wave).contiguous();
  ASSERT_EQ(frames.numel(), static_cast<int64_t>(reference.values.size()));
  for (int64_t i = 0; i < frames.numel(); ++i)
    ASSERT_NEAR(frames.data_ptr<float>()[i], reference.values[i], 1e-4) << i;
}

TEST(WaveTransform, SynthesisInvertsAndEqualsTorch) {
  torch::manual_seed(4);
  for (const StftSpec& spec : {StftSpec{512, 512, 256}, StftSpec{512, 512, 150}, StftSpec{512, 400, 100}}) {
    WaveTransform transform(spec, torch::kCPU);
    const torch::Tensor waves = torch::randn({2, 2, 4000});
    torch::Tensor frames = transform.analyse(waves);
    EXPECT_LT((transform.synthesise(frames, 2, 4000) - waves).abs().max().item<double>(), 1e-5);
    frames = torch::randn_like(frames);  // not the spectrogram of any signal
    const torch::Tensor spectra =
        torch::view_as_complex(frames.view({2, -1, spec.bins(), 2, 2}).permute({0, 3, 2, 1, 4}).contiguous())
            .view({4, spec.bins(), -1});
    const torch::Tensor expected = torch::istft(spectra, spec.n_fft, spec.hop, spec.win,
                                                torch::hann_window(spec.win), true, false, true, 4000)
                                       .view({2, 2, 4000});
    const torch::Tensor found = transform.synthesise(frames, 2, 4000);
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
  }
}

TEST(WaveTransform, SynthesisIsTheAdjointThatAutogradSays) {
  // d <y, synthesise(x)> / dx for random y, against finite differences along a random direction.
  torch::manual_seed(5);
  const StftSpec spec{64, 64, 20};
  WaveTransform transform(spec, torch::kCPU);
  torch::Tensor frames = torch::randn({1, 10, 4 * spec.bins()}).requires_grad_();
  const torch::Tensor y = torch::randn({1, 2, 180});
  (transform.synthesise(frames, 2, 180) * y).sum().backward();
  const torch::Tensor direction = torch::randn_like(frames).detach();
  const torch::NoGradGuard no_grad;
  const double slope =
      ((transform.synthesise(frames + direction, 2, 180) - transform.synthesise(frames, 2, 180)) * y)
          .sum()
          .item<double>();  // linear: exact for any step
  EXPECT_NEAR((frames.grad() * direction).sum().item<double>(), slope, 1e-3 * std::abs(slope) + 1e-4);
}

TEST(OverlapAdd, SumsShiftedFrames) {
  const torch::Tensor frames = torch::arange(6, torch::kFloat).view({1, 2, 3});  // 0 1 2, 3 4 5
  EXPECT_TRUE(torch::equal(overlap_add(frames, 2), torch::tensor({{0.f, 1.f, 5.f, 4.f, 5.f}})));
  EXPECT_TRUE(torch::equal(overlap_add(frames, 4), torch::tensor({{0.f, 1.f, 2.f, 0.f, 3.f, 4.f, 5.f}})));
}

}  // namespace
}  // namespace bsm
