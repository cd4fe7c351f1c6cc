#include "inference.h"

#include <exception>
#include <new>
#include <utility>

namespace bsm {
namespace {

/// Calls into the engine; every exception becomes an EngineError.
template <typename Call>
auto guarded(Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const std::bad_alloc&) {
    throw EngineError{BSM_ERROR_OUT_OF_MEMORY, "The separation engine ran out of memory."};
  } catch (const std::exception& e) {
    throw EngineError{BSM_ERROR_FAILED, std::string("The separation engine failed: ") + e.what()};
  } catch (...) {
    throw EngineError{BSM_ERROR_FAILED, "The separation engine failed for an unknown reason."};
  }
}

/// The same for a function that reports through BsmStatus.
template <typename Call>
void checked(Call&& call) {
  BsmError error{};
  const BsmStatus status = guarded([&] { return call(&error); });
  if (status == BSM_OK) return;
  error.message[sizeof error.message - 1] = '\0';
  throw EngineError{status,
                    error.message[0] ? error.message : "The separation engine failed and gave no reason."};
}

}  // namespace

void EngineModel::open(const BsmEngineApi* api, const BsmModelOptions& options, BsmProgressFunc progress,
                       void* user) {
  close();
  api_ = api;
  checked([&](BsmError* error) { return api->model_open(&options, progress, user, &model_, error); });
  guarded([&] { api->model_info(model_, &info_); });
}

BsmDeviceMemory EngineModel::memory() const {
  BsmDeviceMemory memory{};
  guarded([&] { api_->model_memory(model_, &memory); });
  return memory;
}

void EngineModel::close() {
  if (model_) api_->model_close(std::exchange(model_, nullptr));
}

int64_t EngineStream::open(const BsmEngineApi* api, const EngineModel& model,
                           const BsmStreamOptions& options) {
  close();
  api_ = api;
  int64_t warm_up_ns = 0;
  checked(
      [&](BsmError* error) { return api->stream_open(model.get(), &options, &stream_, &warm_up_ns, error); });
  guarded([&] { api->stream_info(stream_, &info_); });
  return warm_up_ns;
}

void EngineStream::close() {
  if (stream_) api_->stream_close(std::exchange(stream_, nullptr));
}

void EngineStream::push(const float* interleaved, int64_t frames) {
  checked([&](BsmError* error) { return api_->stream_push(stream_, interleaved, frames, error); });
}

int64_t EngineStream::available() {
  return guarded([&] { return api_->stream_available(stream_); });
}

int64_t EngineStream::pull(float* const* outputs, int64_t max_frames) {
  return guarded([&] { return api_->stream_pull(stream_, outputs, max_frames); });
}

void EngineStream::finish() {
  checked([&](BsmError* error) { return api_->stream_finish(stream_, error); });
}

void EngineStream::reset() {
  guarded([&] { api_->stream_reset(stream_); });
}

}  // namespace bsm
