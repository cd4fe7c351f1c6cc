#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/terminal.h"
#include "core/log.h"
#include "separate/model.h"

namespace bsm {
namespace {

void print_log(LogLevel level, const char* message, void* /*user*/) {
  if (level == LogLevel::kDebug) return;
  const char* prefix = level == LogLevel::kError ? "error: " : level == LogLevel::kWarning ? "warning: " : "";
  print_message(std::string(prefix) + message);
}

std::string version_text() { return "bsmamba2 " BSM_VERSION " (" + describe_libtorch() + ")"; }

int run(int argc, const char* const* argv) {
  CLI::App program{"Separates singing from music with the BSMamba2 network.", "bsmamba2"};
  program.require_subcommand(1);
  program.set_version_flag("--version", version_text, "Print the version and the libraries in use, and exit");
  program.footer("Exit status: 0 all done, 1 something failed, 2 wrong usage.");
  const std::vector<Command> commands = {
      add_separate(program), add_evaluate(program), add_score(program), add_train(program),
      add_bench(program),    add_convert(program),  add_info(program),
  };
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return kExitUsage;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  set_log_sink(print_log, nullptr);
  try {
    const int status = run(argc, argv);
    if (std::fflush(stdout) != 0) throw Error(ErrorCode::kOpenWrite, "Cannot write to standard output.");
    return status;
  } catch (const UsageError& error) {
    print_message(error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    print_message(error.what());
    return kExitFailed;
  }
}

}  // namespace bsm
