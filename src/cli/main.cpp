// bsmamba2: separates singing from music, scores separations, trains and inspects models.
// Exit status: 0 all done, 1 something failed, 2 wrong usage, 130 / 143 interrupted.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/terminal.h"
#include "core/log.h"
#include "separate/model.h"

namespace {

void print_log(bsm::LogLevel level, const char* message, void* /*user*/) {
  if (level == bsm::LogLevel::kDebug) return;
  const char* prefix = level == bsm::LogLevel::kError     ? "error: "
                       : level == bsm::LogLevel::kWarning ? "warning: "
                                                          : "";
  bsm::print_message(std::string(prefix) + message);
}

std::string version_text() { return "bsmamba2 " BSM_VERSION " (" + bsm::describe_libtorch() + ")"; }

int run(int argc, char** argv) {
  CLI::App program{"Separates singing from music with the BSMamba2 network.", "bsmamba2"};
  program.require_subcommand(1);
  program.set_version_flag("--version", version_text, "Print the version and the libraries in use, and exit");
  program.footer("Exit status: 0 all done, 1 something failed, 2 wrong usage.");
  const std::vector<bsm::Command> commands = {
      bsm::add_separate(program), bsm::add_evaluate(program), bsm::add_score(program),
      bsm::add_train(program),    bsm::add_convert(program),  bsm::add_info(program),
  };
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? bsm::kExitOk : bsm::kExitUsage;
  }
  for (const bsm::Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return bsm::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  bsm::set_log_sink(print_log, nullptr);
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0)
      throw bsm::Error(bsm::ErrorCode::kOpenWrite, "Cannot write to standard output.");
    return status;
  } catch (const bsm::UsageError& error) {
    bsm::print_message(error.what());
    return bsm::kExitUsage;
  } catch (const std::exception& error) {
    bsm::print_message(error.what());
    return bsm::kExitFailed;
  }
}
