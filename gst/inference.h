// The engine's C table as C++ objects: handles that close themselves, errors as exceptions. The table
// promises that no exception crosses it; one that does all the same is caught here and never reaches GLib's C
// frames.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace bsm {

struct EngineError {
  BsmStatus status;
  std::string message;
};

class EngineModel {
 public:
  EngineModel() = default;
  ~EngineModel() { close(); }
  EngineModel(const EngineModel&) = delete;
  EngineModel& operator=(const EngineModel&) = delete;

  /// Throws EngineError.
  void open(const BsmEngineApi* api, const BsmModelOptions& options, BsmProgressFunc progress, void* user);
  void close();
  bool is_open() const { return model_ != nullptr; }
  BsmModel* get() const { return model_; }
  const BsmModelInfo& info() const { return info_; }
  /// Zeros on a CPU. Throws EngineError.
  BsmDeviceMemory memory() const;

 private:
  const BsmEngineApi* api_ = nullptr;
  BsmModel* model_ = nullptr;
  BsmModelInfo info_{};
};

class EngineStream {
 public:
  EngineStream() = default;
  ~EngineStream() { close(); }
  EngineStream(const EngineStream&) = delete;
  EngineStream& operator=(const EngineStream&) = delete;

  /// Closes what was open. Throws EngineError. Returns the time of one warmed-up inference in ns.
  int64_t open(const BsmEngineApi* api, const EngineModel& model, const BsmStreamOptions& options);
  void close();
  bool is_open() const { return stream_ != nullptr; }
  const BsmStreamInfo& info() const { return info_; }

  /// All throw EngineError.
  void push(const float* interleaved, int64_t frames);
  int64_t available();
  int64_t pull(float* const* outputs, int64_t max_frames);
  void finish();
  void reset();

 private:
  const BsmEngineApi* api_ = nullptr;
  BsmStream* stream_ = nullptr;
  BsmStreamInfo info_{};
};

}  // namespace bsm
