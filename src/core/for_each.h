// How a piece of work that falls into independent parts is spread over threads, for code that has none of its
// own.
#pragma once

#include <cstdint>
#include <functional>

namespace bsm {

/// Calls body(i) once for each i < count, in any order and perhaps several at a time; returns when all have
/// ended and rethrows the first exception of a body.
using ForEach = std::function<void(int64_t count, const std::function<void(int64_t)>& body)>;

}  // namespace bsm
