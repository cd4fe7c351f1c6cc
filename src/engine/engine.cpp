// The C ABI of engine.h over Model and StreamingSeparator. No exception leaves a function here: what was
// thrown becomes a status and a sentence.
#include "engine/engine.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "core/error.h"
#include "core/log.h"
#include "separate/device_choice.h"
#include "separate/model.h"
#include "separate/process_statics.h"
#include "separate/shared_model.h"
#include "separate/streaming.h"

struct BsmModel {
  std::shared_ptr<const bsm::Model> model;
  std::string file;
};

struct BsmStream {
  std::shared_ptr<const bsm::Model> model;
  bsm::StreamingSeparator separator;
};

namespace bsm {
namespace {

BsmStatus status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kSettings:
      return BSM_ERROR_SETTINGS;
    case ErrorCode::kNotFound:
      return BSM_ERROR_NOT_FOUND;
    case ErrorCode::kOpenRead:
      return BSM_ERROR_OPEN_READ;
    case ErrorCode::kWrongType:
      return BSM_ERROR_WRONG_TYPE;
    case ErrorCode::kLibrary:
      return BSM_ERROR_LIBRARY;
    case ErrorCode::kOutOfMemory:
      return BSM_ERROR_OUT_OF_MEMORY;
    case ErrorCode::kDevice:
      return BSM_ERROR_DEVICE;
    case ErrorCode::kCancelled:
      return BSM_ERROR_CANCELLED;
    case ErrorCode::kOpenWrite:
    case ErrorCode::kFailed:
      return BSM_ERROR_FAILED;
  }
  return BSM_ERROR_FAILED;
}

BsmStatus fill(BsmError* error, BsmStatus status, const char* message) {
  if (error == nullptr) return status;
  error->status = status;
  size_t length = std::min(std::strlen(message), sizeof(error->message) - 1);
  // A character of several bytes is not cut in two: bytes 10xxxxxx continue one.
  if (message[length] != '\0')
    while (length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0) == 0x80) --length;
  std::memcpy(error->message, message, length);
  error->message[length] = '\0';
  return status;
}

template <typename Work>
BsmStatus guarded(BsmError* error, Work&& work) {
  try {
    work();
    return fill(error, BSM_OK, "");
  } catch (const Error& thrown) {
    return fill(error, status_of(thrown.code()), thrown.what());
  } catch (const std::bad_alloc&) {
    return fill(error, BSM_ERROR_OUT_OF_MEMORY,
                "Memory ran out. Use a smaller model or close other programs.");
  } catch (const std::exception& thrown) {
    return fill(error, BSM_ERROR_FAILED, thrown.what());
  } catch (...) {
    return fill(error, BSM_ERROR_FAILED, "The engine failed for an unknown reason.");
  }
}

/// For functions that cannot report: the failure goes to the log.
template <typename Work>
void guarded_quietly(const char* function, Work&& work) {
  BsmError error;
  if (guarded(&error, work) == BSM_OK) return;
  guarded(nullptr, [&] { log(LogLevel::kError, std::string(function) + ": " + error.message); });
}

void require(bool given, const char* what) {
  if (!given) throw Error(ErrorCode::kSettings, std::string(what) + " is missing in a call to the engine.");
}

struct LogTarget {
  std::mutex mutex;
  BsmLogFunc function = nullptr;
  void* user = nullptr;
};

LogTarget& log_target() {
  static LogTarget target;
  return target;
}

void forward_log(LogLevel level, const char* message, void*) {
  LogTarget& target = log_target();
  const std::lock_guard<std::mutex> lock(target.mutex);
  if (target.function != nullptr) target.function(static_cast<BsmLogLevel>(level), message, target.user);
}

void set_log(BsmLogFunc function, void* user) {
  guarded_quietly("set_log", [&] {
    {
      LogTarget& target = log_target();
      const std::lock_guard<std::mutex> lock(target.mutex);
      target.function = function;
      target.user = user;
    }
    set_log_sink(function != nullptr ? &forward_log : nullptr, nullptr);
  });
}

Precision precision_of(BsmPrecision precision) {
  switch (precision) {
    case BSM_PRECISION_AUTO:
      return Precision::kAuto;
    case BSM_PRECISION_FP32:
      return Precision::kFp32;
    case BSM_PRECISION_BF16:
      return Precision::kBf16;
    case BSM_PRECISION_FP16:
      return Precision::kFp16;
  }
  throw Error(ErrorCode::kSettings, "There is no precision number " + std::to_string(precision) + ".");
}

BsmPrecision precision_of(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return BSM_PRECISION_BF16;
    case Precision::kFp16:
      return BSM_PRECISION_FP16;
    default:
      return BSM_PRECISION_FP32;
  }
}

BsmStatus model_open(const BsmModelOptions* options, BsmProgressFunc progress, void* user, BsmModel** model,
                     BsmError* error) {
  return guarded(error, [&] {
    require(model != nullptr, "The place for the model");
    *model = nullptr;
    require(options != nullptr && options->model_file != nullptr, "The model file");
    ModelOptions wanted;
    wanted.model_file = options->model_file;
    wanted.device = options->device != nullptr ? options->device : "auto";
    if (options->gpu_model_file != nullptr && runs_on_gpu(wanted.device))
      wanted.model_file = options->gpu_model_file;
    wanted.precision = precision_of(options->precision);
    wanted.threads = static_cast<int>(std::min<uint32_t>(options->threads, 1u << 20));
    LoadProgress report;
    if (progress != nullptr)
      report = [progress, user](const char* step, double fraction) {
        return progress(step, fraction, user) != 0;
      };
    auto loaded = std::make_unique<BsmModel>();
    loaded->model = options->share != 0 ? load_shared_model(wanted, report) : Model::load(wanted, report);
    if (loaded->model->config().stems.size() > BSM_MAX_STEMS)
      throw Error(ErrorCode::kWrongType, "The model " + wanted.model_file + " has more than 16 stems.");
    loaded->file = wanted.model_file;
    *model = loaded.release();
  });
}

void model_info(const BsmModel* model, BsmModelInfo* info) {
  *info = {};
  const ModelConfig& config = model->model->config();
  info->model_file = model->file.c_str();
  info->sample_rate_hz = config.sample_rate_hz;
  info->stems = static_cast<int32_t>(config.stems.size());
  for (size_t s = 0; s < config.stems.size(); ++s) info->stem_names[s] = config.stems[s].c_str();
  info->frame_hop_samples = config.stft.hop;
  info->tail_samples = static_cast<int32_t>(config.stft.tail_samples());
  info->device = model->model->device_name().c_str();
  info->precision = precision_of(model->model->precision());
  info->parameters = model->model->parameters();
}

void model_memory(const BsmModel* model, BsmDeviceMemory* memory) {
  *memory = {};
  guarded_quietly("model_memory", [&] {
    const DeviceMemory held = model->model->device_memory();
    *memory = {held.bytes, held.peak_bytes};
  });
}

void model_close(BsmModel* model) {
  guarded_quietly("model_close", [&] { delete model; });
}

int64_t frames_of(int64_t samples, int hop, const char* what) {
  constexpr int64_t kMostSamples = int64_t{1} << 40;
  if (samples < 0 || samples > kMostSamples)
    throw Error(ErrorCode::kSettings, std::string("The ") + what + " of " + std::to_string(samples) +
                                          " samples cannot work; expected 0 or more.");
  return (samples + hop - 1) / hop;
}

BsmStatus stream_open(BsmModel* model, const BsmStreamOptions* options, BsmStream** stream,
                      int64_t* warm_up_ns, BsmError* error) {
  return guarded(error, [&] {
    require(stream != nullptr, "The place for the stream");
    *stream = nullptr;
    require(model != nullptr, "The model");
    require(options != nullptr, "The options of the stream");
    if (options->mode != BSM_STREAMING_CARRY && options->mode != BSM_STREAMING_ROLLING)
      throw Error(ErrorCode::kSettings,
                  "There is no streaming mode number " + std::to_string(options->mode) + ".");
    const int hop = model->model->config().stft.hop;
    StreamingOptions wanted;
    wanted.mode = options->mode == BSM_STREAMING_CARRY ? StreamingMode::kCarry : StreamingMode::kRolling;
    wanted.channels = options->channels;
    wanted.hop_frames = std::max<int64_t>(frames_of(options->hop_samples, hop, "hop"), 1);
    wanted.lookahead_frames = frames_of(options->lookahead_samples, hop, "look-ahead");
    if (wanted.mode == StreamingMode::kRolling)
      wanted.context_frames = frames_of(options->context_samples, hop, "context");
    std::unique_ptr<BsmStream> opened(new BsmStream{model->model, StreamingSeparator(model->model, wanted)});
    const int64_t spent_ns = opened->separator.warm_up_ns();
    if (warm_up_ns != nullptr) *warm_up_ns = spent_ns;
    *stream = opened.release();
  });
}

void stream_info(const BsmStream* stream, BsmStreamInfo* info) {
  const int64_t hop = stream->model->config().stft.hop;
  const StreamingOptions& options = stream->separator.options();
  *info = {stream->separator.delay_samples(), options.hop_frames * hop, options.lookahead_frames * hop,
           options.context_frames * hop};
}

BsmStatus stream_push(BsmStream* stream, const float* interleaved, int64_t frames, BsmError* error) {
  return guarded(error, [&] {
    require(stream != nullptr && (interleaved != nullptr || frames == 0) && frames >= 0,
            "The stream or its audio");
    stream->separator.push(interleaved, frames);
  });
}

int64_t stream_available(const BsmStream* stream) { return stream->separator.available(); }

int64_t stream_pull(BsmStream* stream, float* const* outputs, int64_t max_frames) {
  int64_t pulled = 0;
  guarded_quietly("stream_pull", [&] { pulled = stream->separator.pull(outputs, max_frames); });
  return pulled;
}

BsmStatus stream_finish(BsmStream* stream, BsmError* error) {
  return guarded(error, [&] {
    require(stream != nullptr, "The stream");
    stream->separator.finish();
  });
}

void stream_reset(BsmStream* stream) {
  guarded_quietly("stream_reset", [&] { stream->separator.reset(); });
}

void stream_close(BsmStream* stream) {
  guarded_quietly("stream_close", [&] { delete stream; });
}

}  // namespace
}  // namespace bsm

const BsmEngineApi* bsm_engine_api(uint32_t abi_version) {
  if (abi_version != BSM_ENGINE_ABI_VERSION) return nullptr;
  static std::string& version =
      *new std::string;  // never destroyed, like all that a worker may still use at exit
  static BsmEngineApi api;
  static std::once_flag once;
  const BsmStatus status = bsm::guarded(nullptr, [] {
    std::call_once(once, [] {
      version = std::string(BSM_VERSION " (") + bsm::describe_libtorch() + ")";
      bsm::make_process_statics();
      api = {BSM_ENGINE_ABI_VERSION, version.c_str(),   bsm::set_log,          bsm::model_open,
             bsm::model_info,        bsm::model_memory, bsm::model_close,      bsm::stream_open,
             bsm::stream_info,       bsm::stream_push,  bsm::stream_available, bsm::stream_pull,
             bsm::stream_finish,     bsm::stream_reset, bsm::stream_close};
    });
  });
  return status == BSM_OK ? &api : nullptr;
}
