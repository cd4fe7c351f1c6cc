#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "cli/terminal.h"
#include "core/error.h"

namespace bsm {
namespace {

int signal_pipe[2] = {-1, -1};
std::mutex cleanup_mutex;
std::vector<std::string> part_paths;

// A signal handler may do next to nothing; sigwait() is no way either, because threads that libraries start
// before main() would take the signal with its default action. So the handler passes the signal's number to a
// thread.
void forward_signal(int number) {
  const int saved_errno = errno;
  const auto byte = static_cast<unsigned char>(number);
  const ssize_t written = write(signal_pipe[1], &byte, 1);
  static_cast<void>(written);  // a full pipe holds the answer to an earlier signal already
  errno = saved_errno;
}

void clean_up_on_signal() {
  unsigned char number = 0;
  while (read(signal_pipe[0], &number, 1) != 1) {
  }
  const std::lock_guard lock(cleanup_mutex);  // held until the end: nothing is created or renamed any more
  for (const std::string& path : part_paths) unlink(path.c_str());
  show_progress_line("");
  print_message(number == SIGINT ? "interrupted; unfinished files were removed"
                                 : "terminated; unfinished files were removed");
  _exit(128 + number);
}

void install() {
  if (pipe(signal_pipe) != 0) {
    throw Error(ErrorCode::kFailed,
                "Cannot make a pipe for signals: too many open files? Raise `ulimit -n`.");
  }
  std::thread(clean_up_on_signal).detach();
  struct sigaction action {};
  action.sa_handler = forward_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN)
      sigaction(number, &action, nullptr);  // nohup and background jobs stay so
  }
}

}  // namespace

void install_interrupt_cleanup() {
  static std::once_flag installed;
  std::call_once(installed, install);
}

PartFiles::PartFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {
  const std::lock_guard lock(cleanup_mutex);
  part_paths.insert(part_paths.end(), paths_.begin(), paths_.end());
}

PartFiles::~PartFiles() {
  const std::lock_guard lock(cleanup_mutex);
  for (const std::string& path : paths_) {
    part_paths.erase(std::find(part_paths.begin(), part_paths.end(), path));
  }
}

std::unique_lock<std::mutex> hold_interrupts() { return std::unique_lock(cleanup_mutex); }

}  // namespace bsm
