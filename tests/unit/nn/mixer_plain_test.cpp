#include <gtest/gtest.h>

#include "nn/mixer.h"
#include "nn_test_util.h"

namespace bsm {
namespace {

using torch::Tensor;

const MixerSizes kSizes{16, 5, 8, 4};

MixerWeights random_weights() {
  return {torch::randn({kSizes.conv_channels(), kSizes.conv_width}),
          torch::randn({kSizes.conv_channels()}),
          torch::randn({kSizes.heads()}),
          torch::rand({kSizes.heads()}),
          torch::randn({kSizes.heads()}),
          torch::randn({kSizes.d_inner})};
}

struct MixerPlain : testing::Test {
  MixerPlain() {
    torch::manual_seed(11);
    weights = random_weights();
    input = torch::randn({2, 13, 3, kSizes.in_proj_width()});
  }
  Tensor run(const Tensor& in, Direction direction = Direction::kForward, MixerState* state = nullptr,
             int64_t state_at = 0) const {
    return mixer_core_plain(in, weights, kSizes, direction, state, state_at);
  }
  MixerWeights weights;
  Tensor input;
};

TEST_F(MixerPlain, SequencesAreIndependent) {
  const Tensor whole = run(input);
  EXPECT_EQ(whole.sizes(), (std::vector<int64_t>{2, 13, 3, kSizes.d_inner}));
  EXPECT_TRUE(whole.is_contiguous());
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < 3; ++i) {
      const Tensor one = run(input.narrow(0, o, 1).narrow(2, i, 1));
      EXPECT_TRUE(torch::allclose(one, whole.narrow(0, o, 1).narrow(2, i, 1), 1e-5, 1e-6)) << o << " " << i;
    }
}

TEST_F(MixerPlain, ReadsSlicesOfAWiderTensor) {
  const Tensor wide = torch::cat({torch::randn_like(input), input}, 3);
  EXPECT_TRUE(torch::equal(run(wide.narrow(3, kSizes.in_proj_width(), kSizes.in_proj_width())), run(input)));
}

TEST_F(MixerPlain, BackwardIsForwardOfTheMirroredSequence) {
  EXPECT_TRUE(torch::equal(run(input, Direction::kBackward), run(input.flip(1)).flip(1)));
}

TEST_F(MixerPlain, ForwardIsCausal) {
  Tensor changed = input.clone();
  changed.slice(1, 8).normal_();
  const Tensor before = run(input), after = run(changed);
  EXPECT_TRUE(torch::equal(before.slice(1, 0, 8), after.slice(1, 0, 8)));
  EXPECT_FALSE(torch::allclose(before.slice(1, 8), after.slice(1, 8)));
}

TEST_F(MixerPlain, CarriesItsState) {
  const Tensor whole = run(input);
  for (const int64_t hop : {1, 2, 3, 5, 13}) {
    MixerState state;
    for (int64_t begin = 0; begin < 13; begin += hop) {
      const int64_t end = std::min<int64_t>(13, begin + hop);
      // The rest of the signal rides along as look-ahead: the state must be that after `end - begin`
      // elements.
      const Tensor piece = run(input.slice(1, begin), Direction::kForward, &state, end - begin);
      EXPECT_TRUE(torch::allclose(piece, whole.slice(1, begin), 1e-5, 1e-5))
          << "hop " << hop << " at " << begin;
    }
    EXPECT_EQ(state.ssm.sizes(), (std::vector<int64_t>{6, kSizes.heads(), kSizes.head_dim, kSizes.state}));
    EXPECT_EQ(state.conv.sizes(), (std::vector<int64_t>{6, 3, kSizes.conv_channels()}));
  }
}

TEST_F(MixerPlain, StateAfterNoElementsIsTheStateBefore) {
  MixerState state;
  run(input, Direction::kForward, &state, 13);
  const MixerState before{state.conv.clone(), state.ssm.clone()};
  run(input, Direction::kForward, &state, 0);
  EXPECT_TRUE(torch::equal(state.conv, before.conv));
  EXPECT_TRUE(torch::equal(state.ssm, before.ssm));
}

TEST_F(MixerPlain, DispatcherRefusesWrongShapes) {
  MixerState state;
  EXPECT_THROW(mixer_core(input.slice(3, 1), weights, kSizes, Direction::kForward), c10::Error);
  EXPECT_THROW(mixer_core(input.transpose(2, 3), weights, kSizes, Direction::kForward), c10::Error);
  EXPECT_THROW(mixer_core(input, weights, kSizes, Direction::kBackward, &state), c10::Error);
  EXPECT_THROW(mixer_core(input, weights, kSizes, Direction::kForward, &state, 14), c10::Error);
  state.ssm = torch::zeros({5, kSizes.heads(), kSizes.head_dim, kSizes.state});
  EXPECT_THROW(mixer_core(input, weights, kSizes, Direction::kForward, &state, 1), c10::Error);
  weights.D = torch::zeros({7});
  EXPECT_THROW(mixer_core(input, weights, kSizes, Direction::kForward), c10::Error);
}

TEST_F(MixerPlain, DispatcherTakesPlainOperatorsWhereAGradientIsNeeded) {
  weights.D.requires_grad_(true);
  const Tensor y = mixer_core(input, weights, kSizes, Direction::kForward);
  ASSERT_TRUE(y.requires_grad());
  EXPECT_TRUE(torch::equal(y, run(input)));
  const Tensor gradient = torch::autograd::grad({y.sum()}, {weights.D})[0];
  EXPECT_GT(gradient.abs().min().item<float>(), 0.0f);
}

TEST_F(MixerPlain, BackendsAgreeThroughTheDispatcher) {
  torch::NoGradGuard no_grad;
  const Tensor fastest = mixer_core(input, weights, kSizes, Direction::kForward);
  set_mixer_backend(MixerBackend::kPlain);
  const Tensor plain = mixer_core(input, weights, kSizes, Direction::kForward);
  set_mixer_backend(MixerBackend::kAuto);
  EXPECT_LT(relative_error(fastest, plain), 1e-5);
}

}  // namespace
}  // namespace bsm
