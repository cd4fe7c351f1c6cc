// What main() knows of a subcommand: its options (a CLI::App) and what to run once they are parsed.
#pragma once

#include <functional>
#include <string>

#include "core/error.h"

namespace CLI {
class App;
}

namespace bsm {

/// Exit statuses of the program.
enum ExitStatus { kExitOk = 0, kExitFailed = 1, kExitUsage = 2 };

struct Command {
  CLI::App* app = nullptr;
  /// Runs with the parsed options and returns the exit status. Throws Error.
  std::function<int()> run;
};

/// Arguments that parse but cannot go together: reported like an Error, exit status 2.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& sentence) : Error(ErrorCode::kSettings, sentence) {}
};

// One per file of this folder.
Command add_separate(CLI::App& program);
Command add_evaluate(CLI::App& program);
Command add_score(CLI::App& program);
Command add_train(CLI::App& program);
Command add_bench(CLI::App& program);
Command add_convert(CLI::App& program);
Command add_info(CLI::App& program);

}  // namespace bsm
