// One frame through FFTW: plans are shared by all transforms of one size, each transform has its own scratch
// memory.
#include <fftw3.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <string>

#include "core/error.h"
#include "dsp/stft.h"

namespace bsm {
namespace {

struct FftwFree {
  void operator()(void* memory) const { fftwf_free(memory); }
};
using RealScratch = std::unique_ptr<float[], FftwFree>;
using ComplexScratch = std::unique_ptr<fftwf_complex[], FftwFree>;

RealScratch allocate_real(int count) {
  float* memory = fftwf_alloc_real(static_cast<size_t>(count));
  if (memory == nullptr) throw std::bad_alloc();
  return RealScratch(memory);
}

ComplexScratch allocate_complex(int count) {
  fftwf_complex* memory = fftwf_alloc_complex(static_cast<size_t>(count));
  if (memory == nullptr) throw std::bad_alloc();
  return ComplexScratch(memory);
}

// FFTW's planner (and only the planner) must not run in two threads at once.
std::mutex& planner_mutex() {
  static std::mutex mutex;
  return mutex;
}

struct Plans {
  fftwf_plan forward = nullptr;
  fftwf_plan inverse = nullptr;

  // FFTW_ESTIMATE: measured plans may differ from run to run, and with them the last bits of the output.
  explicit Plans(int n_fft) {
    RealScratch real = allocate_real(n_fft);
    ComplexScratch spectrum = allocate_complex(n_fft / 2 + 1);
    forward = fftwf_plan_dft_r2c_1d(n_fft, real.get(), spectrum.get(), FFTW_ESTIMATE);
    inverse = fftwf_plan_dft_c2r_1d(n_fft, spectrum.get(), real.get(), FFTW_ESTIMATE);
  }
  Plans(const Plans&) = delete;
  ~Plans() {
    fftwf_destroy_plan(forward);
    fftwf_destroy_plan(inverse);
  }
};

// Plans are never destroyed: there is one pair per transform size, and size is a constant of a model. A
// process that exits may still have threads that transform, and destroyed statics would be pulled from under
// them.
const Plans& plans_for(int n_fft) {
  static auto& cache = *new std::map<int, std::unique_ptr<Plans>>;
  const std::lock_guard<std::mutex> lock(planner_mutex());
  std::unique_ptr<Plans>& plans = cache[n_fft];
  if (!plans) {
    auto made = std::make_unique<Plans>(n_fft);
    if (made->forward == nullptr || made->inverse == nullptr)
      throw Error(ErrorCode::kFailed, "FFTW makes no plan for " + std::to_string(n_fft) +
                                          " samples; use an FFTW built with single precision.");
    plans = std::move(made);
  }
  return *plans;
}

void check(const StftSpec& spec) {
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorCode::kSettings, "The STFT cannot work with " + what);
  };
  if (spec.n_fft < 4 || spec.n_fft % 2 != 0 || spec.n_fft > (1 << 24))
    refuse("n_fft " + std::to_string(spec.n_fft) + "; expected an even number from 4 to 16777216.");
  if (spec.win < 2 || spec.win > spec.n_fft)
    refuse("win " + std::to_string(spec.win) + "; expected 2 to n_fft = " + std::to_string(spec.n_fft) + ".");
  if (spec.hop < 1 || spec.hop > spec.win / 2)
    refuse("hop " + std::to_string(spec.hop) + "; expected 1 to win / 2 = " + std::to_string(spec.win / 2) +
           ", so that the windows cover every sample.");
}

}  // namespace

struct FrameTransform::Impl {
  StftSpec spec;
  std::vector<float> window;            // analysis
  std::vector<float> synthesis_window;  // window / n_fft: FFTW's inverse is not normalised
  const Plans& plans;
  RealScratch real;
  ComplexScratch spectrum;

  explicit Impl(const StftSpec& s)
      : spec(s),
        plans(plans_for(s.n_fft)),
        real(allocate_real(s.n_fft)),
        spectrum(allocate_complex(s.bins())) {
    const int left = (spec.n_fft - spec.win) / 2;
    window.assign(static_cast<size_t>(spec.n_fft), 0.0f);
    for (int i = 0; i < spec.win; ++i) {
      const double phase = 2.0 * std::numbers::pi * i / spec.win;
      window[static_cast<size_t>(left + i)] = static_cast<float>(0.5 - 0.5 * std::cos(phase));
    }
    synthesis_window = window;
    for (float& value : synthesis_window) value /= static_cast<float>(spec.n_fft);
  }
};

FrameTransform::FrameTransform(const StftSpec& spec) {
  check(spec);
  impl_ = std::make_unique<Impl>(spec);
}
FrameTransform::~FrameTransform() = default;
FrameTransform::FrameTransform(FrameTransform&&) noexcept = default;
FrameTransform& FrameTransform::operator=(FrameTransform&&) noexcept = default;

const StftSpec& FrameTransform::spec() const { return impl_->spec; }
const std::vector<float>& FrameTransform::window() const { return impl_->window; }

void FrameTransform::analyse(const float* samples, float* out, int64_t stride) {
  const int n_fft = impl_->spec.n_fft;
  float* real = impl_->real.get();
  const float* window = impl_->window.data();
  for (int i = 0; i < n_fft; ++i) real[i] = samples[i] * window[i];

  const fftwf_complex* spectrum = impl_->spectrum.get();
  fftwf_execute_dft_r2c(impl_->plans.forward, real, impl_->spectrum.get());
  for (int f = 0; f < impl_->spec.bins(); ++f) {
    out[f * stride] = spectrum[f][0];
    out[f * stride + 1] = spectrum[f][1];
  }
}

void FrameTransform::synthesise(const float* spectrum, int64_t stride, float* samples) {
  fftwf_complex* scratch = impl_->spectrum.get();
  for (int f = 0; f < impl_->spec.bins(); ++f) {
    scratch[f][0] = spectrum[f * stride];
    scratch[f][1] = spectrum[f * stride + 1];
  }
  float* real = impl_->real.get();
  fftwf_execute_dft_c2r(impl_->plans.inverse, scratch, real);
  const float* window = impl_->synthesis_window.data();
  for (int i = 0; i < impl_->spec.n_fft; ++i) samples[i] = real[i] * window[i];
}

}  // namespace bsm
