// The worker's first task: the model, and once the caps are known the stream with its warm-up. Data waits in
// the ring.
#include <cmath>

#include "debug.h"
#include "messages.h"
#include "worker.h"

namespace bsm {
namespace {

constexpr const char* kLoadCode = "load-model";
constexpr const char* kWarmUpCode = "warm-up";
constexpr int kReportStepPercent = 10;

void progress(Session& session, GstProgressType type, const char* code, const std::string& text) {
  if (const ElementPtr element = session.element()) post_progress(element.get(), type, code, text.c_str());
}

}  // namespace

int Worker::on_progress(const char* step, double fraction, void* user) {
  auto& worker = *static_cast<Worker*>(user);
  if (worker.session_.stopped()) return 0;
  const int percent = static_cast<int>(std::lround(fraction * 100.0));
  if (step != worker.reported_step_ || percent >= worker.reported_percent_ + kReportStepPercent) {
    worker.reported_step_ = step;
    worker.reported_percent_ = percent;
    progress(worker.session_, GST_PROGRESS_TYPE_CONTINUE, kLoadCode,
             std::string(step) + " (" + std::to_string(percent) + " %)");
  }
  return 1;
}

void Worker::load_model() {
  const Settings& settings = session_.settings;
  progress(session_, GST_PROGRESS_TYPE_START, kLoadCode, "Loading " + session_.model_file);
  try {
    const BsmModelOptions options{session_.model_file.c_str(), settings.device.c_str(), settings.precision,
                                  settings.threads};
    model_.open(session_.api, options, on_progress, this);
    const BsmModelInfo& info = model_.info();
    if (info.sample_rate_hz != kRateHz)
      throw EngineError{BSM_ERROR_WRONG_TYPE, "The model " + session_.model_file + " works at " +
                                                  std::to_string(info.sample_rate_hz) +
                                                  " Hz; this element needs " + std::to_string(kRateHz) +
                                                  " Hz. Choose another model file."};
    if (info.stems < 1 || info.stems > BSM_MAX_STEMS || info.frame_hop_samples < 1 || info.tail_samples < 0)
      throw EngineError{BSM_ERROR_WRONG_TYPE,
                        "The model " + session_.model_file +
                            " describes itself with impossible sizes. Choose another model file."};
  } catch (const EngineError& error) {
    load_failed_ = true;
    if (session_.stopped() || error.status == BSM_ERROR_CANCELLED) {
      progress(session_, GST_PROGRESS_TYPE_CANCELED, kLoadCode, "Loading was cancelled");
      if (session_.stopped()) return;
    } else {
      progress(session_, GST_PROGRESS_TYPE_ERROR, kLoadCode, error.message);
    }
    fail(error, "loading the model", true);
    return;
  }
  const BsmModelInfo& info = model_.info();
  Timing timing = session_.timing();
  timing.frame_hop_samples = info.frame_hop_samples;
  timing.tail_samples = info.tail_samples;
  const StreamShape shape = derive_shape(session_.settings, info.frame_hop_samples, info.tail_samples);
  timing.delay_samples = shape.hop_samples + shape.lookahead_samples + info.tail_samples;
  session_.update_timing(timing);
  session_.set_current_device(info.device ? info.device : "");
  other_stems_.resize(static_cast<size_t>(info.stems - 1));
  progress(session_, GST_PROGRESS_TYPE_COMPLETE, kLoadCode, "Loaded " + session_.model_file);
}

void Worker::open_stream(int channels) {
  if (load_failed_ || (stream_.is_open() && channels == channels_)) return;
  channels_ = channels;
  const BsmModelInfo& model = model_.info();
  const StreamShape shape = derive_shape(session_.settings, model.frame_hop_samples, model.tail_samples);
  progress(session_, GST_PROGRESS_TYPE_START, kWarmUpCode, "Warming up");
  Timing timing = session_.timing();
  try {
    const BsmStreamOptions options{channels, session_.settings.streaming_mode, shape.hop_samples,
                                   shape.lookahead_samples, shape.context_samples};
    timing.warm_up_ns = stream_.open(session_.api, model_, options);
  } catch (const EngineError& error) {
    progress(session_, session_.stopped() ? GST_PROGRESS_TYPE_CANCELED : GST_PROGRESS_TYPE_ERROR, kWarmUpCode,
             error.message);
    load_failed_ = true;
    fail(error, "preparing the model for the stream", true);
    return;
  }
  timing.delay_samples = stream_.info().delay_samples;
  progress(session_, GST_PROGRESS_TYPE_COMPLETE, kWarmUpCode, "Ready");
  session_.update_timing(timing);
}

}  // namespace bsm
