#include "fake_engine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using bsm::fake::Control;
using bsm::fake::Fault;
using bsm::fake::kFrameHopSamples;
using bsm::fake::kTailSamples;
using bsm::fake::kVoiceShare;

struct BsmModel {
  int stems;
  int sample_rate_hz;
  int voice;
  std::string device;
  std::string file;
  float voice_share;
};

struct BsmStream {
  int channels = 2;
  int stems = 1;
  bool on_gpu = false;
  bool ended = false;  ///< finish() was called: only a reset allows a push
  float voice_share = kVoiceShare;
  BsmStreamInfo info{};
  std::vector<float> held;  ///< interleaved, pushed and not pulled
  int64_t pushed = 0, pulled = 0, finished = 0;
};

namespace {

Control& control() {
  static Control instance;
  return instance;
}

void wait_while(const std::atomic<bool>& flag) {
  ++control().blocked;
  while (flag) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  --control().blocked;
}

BsmStatus fail(BsmStatus status, BsmError* error, const char* what) {
  if (error) {
    error->status = status;
    std::snprintf(error->message, sizeof error->message, "fake engine: %s", what);
  }
  return status;
}

BsmStatus model_open(const BsmModelOptions* options, BsmProgressFunc progress, void* user, BsmModel** model,
                     BsmError* error) {
  Control& c = control();
  ++c.model_opens;
  c.inferences = 0;
  c.share = options->share;
  c.threads = options->threads;
  c.precision = options->precision;
  c.gpu_model = options->gpu_model_file != nullptr;
  if (c.block_open) wait_while(c.block_open);
  const int steps = c.load_ms;
  for (int i = 0; i < steps; ++i) {
    if (progress && !progress("reading", static_cast<double>(i) / steps, user))
      return fail(BSM_ERROR_CANCELLED, error, "cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (c.open_status != BSM_OK) return fail(c.open_status, error, "this model cannot be opened");
  const std::string device = options->device;
  if (c.gpu_open_status != BSM_OK && device != "cpu")
    return fail(c.gpu_open_status, error, "the GPU is full or gone");
  ++c.open_models;
  const bool cpu = device == "cpu";
  const std::string file = cpu || !options->gpu_model_file ? options->model_file : options->gpu_model_file;
  std::string head(std::strlen(bsm::fake::kHalfModel), ' ');
  std::ifstream(file).read(head.data(), static_cast<std::streamsize>(head.size()));
  const float voice_share = head == bsm::fake::kHalfModel ? 2.0F * kVoiceShare : kVoiceShare;
  *model = new BsmModel{c.stems, c.sample_rate_hz, c.voice, cpu ? "cpu" : "fake", file, voice_share};
  return BSM_OK;
}

void model_info(const BsmModel* model, BsmModelInfo* info) {
  *info = {};
  info->model_file = model->file.c_str();
  info->sample_rate_hz = model->sample_rate_hz;
  info->stems = model->stems;
  static const char* const others[] = {"drums", "bass", "guitar", "piano", "other"};
  for (int i = 0, other = 0; i < model->stems; ++i)
    info->stem_names[i] = i == model->voice ? "vocals" : others[std::min(other++, 4)];
  info->frame_hop_samples = kFrameHopSamples;
  info->tail_samples = kTailSamples;
  info->device = model->device.c_str();
  info->precision = BSM_PRECISION_FP32;
  info->parameters = 1;
}

void model_memory(const BsmModel* model, BsmDeviceMemory* memory) {
  const uint64_t bytes = model->device == "cpu" ? 0 : control().gpu_bytes.load();
  *memory = {bytes, 2 * bytes};
}

void model_close(BsmModel* model) {
  if (!model) return;
  --control().open_models;
  delete model;
}

int64_t whole_frames(int64_t samples) {
  return (samples + kFrameHopSamples - 1) / kFrameHopSamples * kFrameHopSamples;
}

BsmStatus stream_open(BsmModel* model, const BsmStreamOptions* options, BsmStream** stream,
                      int64_t* warm_up_ns, BsmError* error) {
  Control& c = control();
  ++c.stream_opens;
  c.streaming_mode = options->mode;
  if (c.block_stream_open) wait_while(c.block_stream_open);
  if (c.stream_open_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(c.stream_open_ms));
  const bool on_gpu = model->device != "cpu";
  if (c.gpu_stream_open_status != BSM_OK && on_gpu)
    return fail(c.gpu_stream_open_status, error, "the GPU is full or gone");
  if (c.stream_open_status != BSM_OK) return fail(c.stream_open_status, error, "no stream");
  if (options->channels < 1 || options->channels > 2) return fail(BSM_ERROR_SETTINGS, error, "channels");
  auto s = std::make_unique<BsmStream>();
  s->channels = options->channels;
  s->stems = model->stems;
  s->on_gpu = on_gpu;
  s->voice_share = model->voice_share;
  s->info.hop_samples = std::max<int64_t>(kFrameHopSamples, whole_frames(options->hop_samples));
  s->info.lookahead_samples = whole_frames(options->lookahead_samples);
  s->info.context_samples = whole_frames(options->context_samples);
  s->info.delay_samples = s->info.hop_samples + s->info.lookahead_samples + kTailSamples;
  c.hop_samples = s->info.hop_samples;
  c.lookahead_samples = s->info.lookahead_samples;
  c.context_samples = s->info.context_samples;
  c.channels = s->channels;
  if (warm_up_ns) *warm_up_ns = c.warm_up_ns;
  ++c.open_streams;
  *stream = s.release();
  return BSM_OK;
}

void stream_info(const BsmStream* stream, BsmStreamInfo* info) { *info = stream->info; }

/// One inference: may take its time, wait, or fail.
BsmStatus infer(BsmError* error) {
  Control& c = control();
  const int number = c.inferences++;
  if (c.block_push) wait_while(c.block_push);
  if (c.inference_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(c.inference_ms));
  if (number != c.fail_at_inference) return BSM_OK;
  switch (c.fault.load()) {
    case Fault::kStdException:
      throw std::runtime_error("fake exception");
    case Fault::kInt:
      throw 42;
    case Fault::kBadAlloc:
      throw std::bad_alloc();
    case Fault::kStatusOutOfMemory:
      return fail(BSM_ERROR_OUT_OF_MEMORY, error, "out of memory");
    case Fault::kStatusFailed:
      return fail(BSM_ERROR_FAILED, error, "failed");
    case Fault::kLoseSamples:
    case Fault::kNone:
      break;
  }
  return BSM_OK;
}

BsmStatus stream_push(BsmStream* stream, const float* interleaved, int64_t frames, BsmError* error) {
  if (stream->ended) return fail(BSM_ERROR_FAILED, error, "samples after the end of the signal");
  stream->held.insert(stream->held.end(), interleaved, interleaved + frames * stream->channels);
  stream->pushed += frames;
  while (stream->pushed - stream->finished >= stream->info.delay_samples) {
    if (const BsmStatus status = control().gpu_push_status; status != BSM_OK && stream->on_gpu)
      return fail(status, error, "the GPU is gone");
    if (const BsmStatus status = infer(error); status != BSM_OK) return status;
    stream->finished += stream->info.hop_samples;
  }
  return BSM_OK;
}

int64_t stream_available(const BsmStream* stream) { return stream->finished - stream->pulled; }

int64_t stream_pull(BsmStream* stream, float* const* outputs, int64_t max_frames) {
  const int64_t frames = std::min(max_frames, stream_available(stream));
  const int64_t floats = frames * stream->channels;
  for (int64_t i = 0; i < floats; ++i) {
    // Every stem of the network is a quarter; what they leave is the rest.
    const float x = stream->held[static_cast<size_t>(i)];
    float rest = x;
    for (int stem = 0; stem < stream->stems; ++stem) {
      if (outputs[stem]) outputs[stem][i] = stream->voice_share * x;
      rest -= stream->voice_share * x;
    }
    if (outputs[stream->stems]) outputs[stream->stems][i] = rest;
  }
  stream->held.erase(stream->held.begin(), stream->held.begin() + floats);
  stream->pulled += frames;
  return frames;
}

BsmStatus stream_finish(BsmStream* stream, BsmError* error) {
  ++control().finishes;
  if (stream->ended) return fail(BSM_ERROR_FAILED, error, "the signal ends twice");
  stream->ended = true;
  if (stream->pushed > stream->finished) {
    if (const BsmStatus status = infer(error); status != BSM_OK) return status;
  }
  stream->finished = stream->pushed;
  if (control().fault == Fault::kLoseSamples) --stream->finished;
  return BSM_OK;
}

void stream_reset(BsmStream* stream) {
  ++control().resets;
  stream->ended = false;
  stream->held.clear();
  stream->pushed = stream->pulled = stream->finished = 0;
}

void stream_close(BsmStream* stream) {
  if (!stream) return;
  --control().open_streams;
  delete stream;
}

void set_log(BsmLogFunc log, void* user) {
  if (log) log(BSM_LOG_INFO, "fake engine: log connected", user);
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) const BsmEngineApi* bsm_engine_api(uint32_t abi_version) {
  static const BsmEngineApi api = {
      BSM_ENGINE_ABI_VERSION, "fake",      set_log,       model_open,   model_info,
      model_memory,           model_close, stream_open,   stream_info,  stream_push,
      stream_available,       stream_pull, stream_finish, stream_reset, stream_close};
  return abi_version == BSM_ENGINE_ABI_VERSION ? &api : nullptr;
}

__attribute__((visibility("default"))) Control* fake_engine_control() { return &control(); }
}
