// The worker's first task: the model, and once the caps are known the stream with its warm-up. Data waits in
// the ring.
#include <algorithm>
#include <cmath>
#include <mutex>

#include "debug.h"
#include "messages.h"
#include "worker.h"
#include "worker_thread.h"

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

/// "auto" may choose again: a GPU without room for the model, or that fails, is no reason not to start.
bool Worker::fall_back_to_cpu(const EngineError& error) {
  const bool on_cpu = model_.is_open() && std::string(model_.info().device) == "cpu";
  const bool gpu_at_fault = error.status == BSM_ERROR_OUT_OF_MEMORY || error.status == BSM_ERROR_DEVICE;
  if (!gpu_at_fault || session_.settings.device != "auto" || on_cpu) return false;
  if (const ElementPtr element = session_.element(); element && !session_.stopped())
    post_recovery(element.get(), error,
                  "Going on with the CPU; set the property device to cpu or cuda to choose.");
  return true;
}

void Worker::open_model(const std::string& device) {
  const Settings& settings = session_.settings;
  separation_.close();
  // The CPU has no half precision; what was asked for was meant for the GPU that is full.
  const bool other_device = device != settings.device;
  const ModelFiles& model = session_.model;
  const BsmModelOptions options{model.file.c_str(), model.gpu_file.empty() ? nullptr : model.gpu_file.c_str(),
                                device.c_str(),     other_device ? BSM_PRECISION_AUTO : settings.precision,
                                settings.threads,   settings.share_model};
  model_.open(session_.api, options, on_progress, this);
  const BsmModelInfo& info = model_.info();
  const std::string file = info.model_file ? info.model_file : model.file;
  if (info.sample_rate_hz != kRateHz)
    throw EngineError{BSM_ERROR_WRONG_TYPE, "The model " + file + " works at " +
                                                std::to_string(info.sample_rate_hz) +
                                                " Hz; this element needs " + std::to_string(kRateHz) +
                                                " Hz. Choose another model file."};
  if (info.stems < 1 || info.stems > BSM_MAX_STEMS || info.frame_hop_samples < 1 || info.tail_samples < 0)
    throw EngineError{
        BSM_ERROR_WRONG_TYPE,
        "The model " + file + " describes itself with impossible sizes. Choose another model file."};
  std::vector<std::string> names;
  for (int stem = 0; stem < info.stems; ++stem)
    names.emplace_back(info.stem_names[stem] ? info.stem_names[stem] : "");
  const auto voice = std::find(names.begin(), names.end(), "vocals");
  voice_stem_ = voice == names.end() ? 0 : static_cast<int>(voice - names.begin());
  stems_.resize(names.size());
  if (const int missing = session_.set_stem_names(std::move(names)); missing >= 0)
    throw EngineError{BSM_ERROR_SETTINGS,
                      "The pad " + pad_name(kFirstStem + missing) + " was requested, but the model " + file +
                          " has the pads stem_0 to stem_" + std::to_string(info.stems - 1) +
                          " only. Request one of these, or choose another model file."};
  session_.set_current_device(info.device ? info.device : "");
}

void Worker::load_model() {
  progress(session_, GST_PROGRESS_TYPE_START, kLoadCode, "Loading the model");
  try {
    try {
      open_model(session_.settings.device);
    } catch (const EngineError& error) {
      if (!fall_back_to_cpu(error)) throw;
      open_model("cpu");
    }
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
  GST_INFO_OBJECT(session_.element().get(), "%s on %s: %d stems, %" G_GINT64_FORMAT " parameters",
                  info.model_file ? info.model_file : session_.model.file.c_str(),
                  info.device ? info.device : "?", info.stems, info.parameters);
  static std::once_flag once;
  std::call_once(once, end_worker_threads_before_statics);
  progress(session_, GST_PROGRESS_TYPE_COMPLETE, kLoadCode,
           std::string("Loaded ") + (info.model_file ? info.model_file : session_.model.file.c_str()));
}

void Worker::open_stream(int channels) {
  if (load_failed_ || (separation_.is_open() && channels == channels_)) return;
  channels_ = channels;
  const StreamShape shape =
      derive_shape(session_.settings, model_.info().frame_hop_samples, model_.info().tail_samples);
  const BsmStreamOptions options{channels, session_.settings.streaming_mode, shape.hop_samples,
                                 shape.lookahead_samples, shape.context_samples};
  progress(session_, GST_PROGRESS_TYPE_START, kWarmUpCode, "Warming up");
  Timing timing = session_.timing();
  try {
    try {
      timing.warm_up_ns = separation_.open(session_.api, model_, options);
    } catch (const EngineError& error) {
      if (!fall_back_to_cpu(error)) throw;
      open_model("cpu");
      timing.warm_up_ns = separation_.open(session_.api, model_, options);
    }
  } catch (const EngineError& error) {
    load_failed_ = true;
    if (!session_.stopped()) {
      progress(session_, GST_PROGRESS_TYPE_ERROR, kWarmUpCode, error.message);
      fail(error, "preparing the model for the stream", true);
      return;
    }
  }
  if (session_.stopped()) {
    progress(session_, GST_PROGRESS_TYPE_CANCELED, kWarmUpCode, "Warming up was cancelled");
    return;
  }
  const BsmStreamInfo& stream = separation_.info();
  timing.delay_samples = stream.delay_samples;
  count_memory();
  GST_INFO_OBJECT(session_.element().get(),
                  "%d channels, samples of hop %" G_GINT64_FORMAT ", look-ahead %" G_GINT64_FORMAT
                  ", context %" G_GINT64_FORMAT ", delay %" G_GINT64_FORMAT
                  ", an inference %" GST_TIME_FORMAT,
                  channels, stream.hop_samples, stream.lookahead_samples, stream.context_samples,
                  stream.delay_samples, GST_TIME_ARGS(timing.warm_up_ns));
  progress(session_, GST_PROGRESS_TYPE_COMPLETE, kWarmUpCode, "Ready");
  session_.update_timing(timing);
  // A first inference makes statics as a first load does.
  static std::once_flag once;
  std::call_once(once, end_worker_threads_before_statics);
}

}  // namespace bsm
