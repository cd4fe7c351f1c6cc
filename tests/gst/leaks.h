// GStreamer's leaks tracer as an oracle: what a test has made must be gone when it ends. Needs
// GST_TRACERS=leaks.
#pragma once

#include <map>
#include <string>

namespace bsm::test {

/// Objects made since the last start() that live, but for those that live as long as the process (factories,
/// plugins, pad templates, the clock). One tracker at a time, since the tracer has one list.
class LeakTracker {
 public:
  void start();
  /// Address -> type, now. Objects are not touched: another thread may be at their end.
  const std::map<std::string, std::string>& live();
  /// The same without what is marked as never freed, such as the caps of templates, which are made on first
  /// use. For a moment when nothing is at its end.
  const std::map<std::string, std::string>& leaked();

 private:
  std::map<std::string, std::string> live_;  ///< address, type
  std::map<std::string, int> balance_;       ///< address, how often made minus how often freed
};

}  // namespace bsm::test
