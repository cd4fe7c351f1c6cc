#include "cli/rank_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "cli/command.h"
#include "cli/terminal.h"
#include "core/error.h"

namespace bsm {
namespace {

/// What the other processes get to end by themselves when one has ended.
constexpr std::chrono::seconds kGrace{10};

int signal_pipe[2] = {-1, -1};

void forward_signal(int number) {
  const int saved_errno = errno;
  const auto byte = static_cast<unsigned char>(number);
  const ssize_t written = write(signal_pipe[1], &byte, 1);
  static_cast<void>(written);  // a full pipe holds enough to wake the reader
  errno = saved_errno;
}

/// While it lives, SIGCHLD, SIGINT and SIGTERM arrive as bytes of signal_pipe, whichever thread they hit.
class SignalPipe {
 public:
  SignalPipe() {
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
      throw Error(ErrorCode::kFailed,
                  std::string("Cannot make a pipe for signals: ") + std::strerror(errno) + ".");
    struct sigaction action {};
    action.sa_handler = forward_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < 3; ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~SignalPipe() {
    for (size_t i = 0; i < 3; ++i) sigaction(kSignals[i], &before_[i], nullptr);
    for (const int end : signal_pipe) close(end);
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  /// The next signal, 0 when none comes in time.
  int wait(std::chrono::milliseconds time) const {
    pollfd input{signal_pipe[0], POLLIN, 0};
    poll(&input, 1, static_cast<int>(time.count()));
    unsigned char number = 0;
    return read(signal_pipe[0], &number, 1) == 1 ? number : 0;
  }

 private:
  static constexpr int kSignals[3] = {SIGCHLD, SIGINT, SIGTERM};
  struct sigaction before_[3];
};

/// Removed, with what is in it, at the end.
class RendezvousFolder {
 public:
  RendezvousFolder() {
    path_ = (std::filesystem::temp_directory_path() / "bsmamba2-train-XXXXXX").string();
    if (!mkdtemp(path_.data()))
      throw Error(ErrorCode::kFailed, "Cannot make the folder " + path_ + ": " + std::strerror(errno) + ".");
  }
  ~RendezvousFolder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  RendezvousFolder(const RendezvousFolder&) = delete;
  RendezvousFolder& operator=(const RendezvousFolder&) = delete;
  std::string file() const { return path_ + "/rendezvous"; }

 private:
  std::string path_;
};

struct RankProcess {
  pid_t id = 0;
  std::vector<int> sockets;
  bool running = false;
};

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

/// A socket from the first process to each of the others. Inherited, but closed in all whose they are not.
std::vector<RankProcess> connect_processes(int count) {
  std::vector<RankProcess> processes(static_cast<size_t>(count));
  for (int rank = 1; rank < count; ++rank) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw Error(ErrorCode::kFailed,
                  std::string("Cannot connect the processes: ") + std::strerror(errno) + ".");
    processes[0].sockets.push_back(ends[0]);
    processes[static_cast<size_t>(rank)].sockets.push_back(ends[1]);
  }
  return processes;
}

std::string rank_text(int rank, int count, const std::string& rendezvous, const std::vector<int>& sockets) {
  std::ostringstream text;
  text << rank << '/' << count << ':' << rendezvous << ':';
  for (size_t i = 0; i < sockets.size(); ++i) text << (i ? "," : "") << sockets[i];
  return text.str();
}

/// fork and exec. In the child only calls that are allowed between the two.
void start(RankProcess& process, std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  process.id = fork();
  if (process.id < 0)
    throw Error(ErrorCode::kFailed, std::string("Cannot start a process: ") + std::strerror(errno) + ".");
  if (process.id == 0) {
    setpgid(0, 0);  // a terminal's Ctrl-C reaches the watching process alone, which passes it on
    prctl(PR_SET_PDEATHSIG,
          SIGTERM);  // when that one is killed, the first saves and stops, and the others with it
    if (getppid() != parent) _exit(kExitFailed);
    for (const int socket : process.sockets) fcntl(socket, F_SETFD, 0);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  process.running = true;
}

/// What a process that failed could not say itself; empty when it could.
std::string last_words(int rank, int count, int wait_status) {
  const std::string name = "process " + std::to_string(rank + 1) + " of " + std::to_string(count);
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return name + " was ended by signal " + std::to_string(number) + " (" + strsignal(number) +
           "), so the training stopped; --resume continues from its last saved state.";
  }
  const int status = WEXITSTATUS(wait_status);
  if (status == kExitFailed || status == kExitUsage) return "";
  return name + " ended with exit status " + std::to_string(status) + ", so the training stopped.";
}

void end_all(const std::vector<RankProcess>& processes) {
  for (const RankProcess& process : processes)
    if (process.running) kill(process.id, SIGKILL);
}

/// Until all have ended. Returns the exit status.
int watch(std::vector<RankProcess>& processes, const SignalPipe& signals) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::time_point::max();  // those that still run then are ended
  int status = kExitOk;
  int stop_signal = 0;
  size_t running = processes.size();
  while (running > 0) {
    const int number = signals.wait(std::chrono::milliseconds(500));
    if (number == SIGINT || number == SIGTERM) {
      if (stop_signal == 0 && processes[0].running)
        kill(processes[0].id, number);
      else
        end_all(processes);
      stop_signal = number;
    }
    for (size_t rank = 0; rank < processes.size(); ++rank) {
      RankProcess& process = processes[rank];
      int wait_status = 0;
      if (!process.running || waitpid(process.id, &wait_status, WNOHANG) != process.id) continue;
      process.running = false;
      --running;
      const bool ended_here = Clock::now() >= deadline;
      deadline = std::min(deadline, Clock::now() + kGrace);
      if (wait_status == 0 || ended_here) continue;
      const bool interrupted = stop_signal != 0 && WIFSIGNALED(wait_status);
      if (status == kExitOk)
        status = interrupted              ? 128 + stop_signal
                 : WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
                                          : kExitFailed;
      const std::string words =
          last_words(static_cast<int>(rank), static_cast<int>(processes.size()), wait_status);
      if (!interrupted && !words.empty()) print_message(words);
    }
    if (Clock::now() >= deadline) end_all(processes);
  }
  return status;
}

}  // namespace

int run_rank_processes(int count) {
  // The processes share the processors, unless the user has said how.
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency() / static_cast<unsigned>(count));
  setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), /*overwrite=*/0);
  const RendezvousFolder folder;
  const SignalPipe signals;
  std::vector<RankProcess> processes = connect_processes(count);
  for (int rank = 0; rank < count; ++rank) {
    RankProcess& process = processes[static_cast<size_t>(rank)];
    std::vector<std::string> arguments = own_arguments();
    arguments.insert(arguments.end(), {"--rank", rank_text(rank, count, folder.file(), process.sockets)});
    start(process, arguments);
  }
  for (const RankProcess& process : processes)
    for (const int socket : process.sockets)
      close(socket);  // else nobody would see that the other side has ended
  return watch(processes, signals);
}

RankOptions parse_rank(const std::string& text) {
  RankOptions options;
  const size_t first = text.find(':'), last = text.rfind(':');
  if (first == last || std::sscanf(text.c_str(), "%d/%d:", &options.rank, &options.count) != 2)
    throw Error(ErrorCode::kSettings,
                "--rank is set by `bsmamba2 train --gpus` for the processes that it starts.");
  options.rendezvous = text.substr(first + 1, last - first - 1);
  std::istringstream sockets(text.substr(last + 1));
  for (std::string socket; std::getline(sockets, socket, ',');) options.sockets.push_back(std::stoi(socket));
  return options;
}

}  // namespace bsm
