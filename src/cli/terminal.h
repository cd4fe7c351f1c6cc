// Standard error as people see it: messages, and one progress line that messages do not tear.
#pragma once

#include <string>

namespace bsm {

/// Prints `bsmamba2: message` on standard error, on a line of its own (above a progress line). Thread-safe.
void print_message(const std::string& message);

/// Whether standard error is a terminal.
bool stderr_is_terminal();

/// Shows `text` as the progress line, replacing the one before; empty removes it. Thread-safe.
void show_progress_line(const std::string& text);

/// "0:05", "12:34", "1:02:03".
std::string clock_text(double seconds);

}  // namespace bsm
