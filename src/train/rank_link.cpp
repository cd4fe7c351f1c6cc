#include "train/rank_link.h"

#include <sys/socket.h>

#include <cerrno>

#include "core/error.h"

namespace bsm {
namespace {

constexpr const char* kEnded = "Another process of this training has ended, so this one stops.";

}  // namespace

RankLink::RankLink(RankOptions options) : options_(std::move(options)) {
  const RankOptions& o = options_;
  const size_t sockets = o.rank == 0 ? static_cast<size_t>(o.count - 1) : 1;
  if (o.count < 1 || o.rank < 0 || o.rank >= o.count || o.sockets.size() != sockets)
    throw Error(ErrorCode::kSettings,
                "Process " + std::to_string(o.rank) + " of " + std::to_string(o.count) + " has " +
                    std::to_string(o.sockets.size()) +
                    " sockets; processes of a training are started by `bsmamba2 train --gpus`.");
}

void RankLink::exchange(void* value, size_t bytes) const {
  for (const int socket : options_.sockets) {
    size_t done = 0;
    while (done < bytes) {
      char* at = static_cast<char*>(value) + done;
      const ssize_t moved = is_first() ? send(socket, at, bytes - done, MSG_NOSIGNAL)
                                       : recv(socket, at, bytes - done, MSG_WAITALL);
      if (moved < 0 && errno == EINTR) continue;
      if (moved <= 0) throw Error(ErrorCode::kCancelled, kEnded);
      done += static_cast<size_t>(moved);
    }
  }
}

}  // namespace bsm
