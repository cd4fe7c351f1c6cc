// The program as a function, so that tests need not start a process (and load LibTorch) for each command
// line.
#pragma once

namespace bsm {

/// Parses the command line, runs the subcommand and reports errors on standard error.
/// Returns the exit status: 0 all done, 1 something failed, 2 wrong usage. An interrupt ends the process (130
/// / 143).
int run_program(int argc, const char* const* argv);

}  // namespace bsm
