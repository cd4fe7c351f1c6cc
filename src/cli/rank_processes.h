// `bsmamba2 train --gpus N`: this program N times, one process per GPU, watched by one that does no work
// itself.
#pragma once

#include <string>
#include <vector>

#include "train/rank_link.h"

namespace bsm {

/// Runs this program `count` times with the arguments of this process plus the option --rank (see
/// parse_rank), and waits for all. SIGINT and SIGTERM go on to the first process, with which the others end;
/// a second one ends all at once. When a process fails, the others get a moment to end by themselves. Call
/// before anything of LibTorch is used. Returns the exit status. Throws Error(kFailed).
int run_rank_processes(int count);

/// The value of --rank: "RANK/COUNT:RENDEZVOUS:SOCKET,...". Throws Error(kSettings).
RankOptions parse_rank(const std::string& text);

}  // namespace bsm
