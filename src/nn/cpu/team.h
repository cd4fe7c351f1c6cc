// The threads that the CPU operators share.
#pragma once

#include <cstdint>
#include <functional>

namespace bsm {

/// Calls body(i) once for each i < count, on as many threads as LibTorch is set to use here
/// (at::get_num_threads()), the calling one among them. Who is free takes the next i. The other threads are
/// the process's own team, asleep between calls: LibTorch's spin for a while, which costs a busy machine more
/// than waking them. Rethrows the first exception of a body when all have ended. Any thread may call, also
/// several at a time.
void for_each_on_team(int64_t count, const std::function<void(int64_t)>& body);

}  // namespace bsm
