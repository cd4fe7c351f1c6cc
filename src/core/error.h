// The one exception type of the project. Inside, errors are thrown; at the C ABI (src/engine) and at main()
// (src/cli) they are caught and become a code and a sentence: what, where, what was expected, what to do.
#pragma once

#include <stdexcept>
#include <string>

namespace bsm {

/// What went wrong, coarse enough that a caller can choose a reaction (an exit code, a GStreamer error domain).
enum class ErrorCode {
  kSettings,        ///< an option or property has a value that cannot work
  kNotFound,        ///< a file or device does not exist
  kOpenRead,        ///< a file exists but cannot be opened or read
  kOpenWrite,       ///< a file cannot be created or written
  kWrongType,       ///< a file is readable but is not what it should be (format, truncation, shapes)
  kLibrary,         ///< a library is missing or unusable
  kOutOfMemory,     ///< host or device memory ran out
  kDevice,          ///< a GPU failed or went away
  kCancelled,       ///< the caller asked to stop
  kFailed,          ///< anything else, e.g. an exception of the inference library
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace bsm
