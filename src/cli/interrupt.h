// SIGINT and SIGTERM while files are being written: the unfinished ones are removed at once, without waiting
// for the network call that is under way (seconds with a large model on a CPU), and the program ends with 130
// or 143.
#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace bsm {

/// Starts to answer the two signals, if that was not done before. Call before the first PartFiles. Throws
/// Error(kFailed).
void install_interrupt_cleanup();

/// Files that an interrupt removes, for as long as this object lives.
class PartFiles {
 public:
  explicit PartFiles(std::vector<std::string> paths);
  ~PartFiles();
  PartFiles(const PartFiles&) = delete;
  PartFiles& operator=(const PartFiles&) = delete;

 private:
  std::vector<std::string> paths_;
};

/// Holds interrupts off while files are created, so that none appears after the clean-up has run.
std::unique_lock<std::mutex> hold_interrupts();

}  // namespace bsm
