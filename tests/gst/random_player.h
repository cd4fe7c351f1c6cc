// Plays random operations against the element and keeps account of what must come out: every sample once on
// both pads, perfect timestamps, stems that sum to the input, events and times of clocks at their sample, EOS
// last.
#pragma once

#include <random>
#include <vector>

#include "harness.h"
#include "random_metas.h"

namespace bsm::test {

class RandomPlayer {
 public:
  explicit RandomPlayer(uint32_t seed);

  /// Stops at the first broken invariant.
  void play(int operations);

 private:
  uint32_t random(uint32_t below) { return static_cast<uint32_t>(generator_() % below); }
  bool one_in(uint32_t n) { return random(n) == 0; }

  void step();
  void push();
  void push_frames(int64_t frames, guint flags);
  void jump();
  void short_gap();
  void long_gap();
  void segment();
  void seek();
  void flush();
  void eos();
  void caps();
  void equal_caps();
  void mark();
  void tag();
  void restart();
  void pause();
  void change_property();
  void relink();
  void stem_pad();
  void query();

  void begin_stream();
  void forget();
  void neutral();
  void check();

  std::mt19937 generator_;
  Stage stage_;
  GstPad* instrumental_;  ///< of the element
  GstPad* peer_;          ///< its peer in the harness
  GstPad* stem_ = nullptr;
  int channels_ = 2;
  double rate_ = 1.0;
  int64_t start_ = 0;                                  ///< of the segment, in frames
  int64_t position_ = 0;                               ///< in frames, of the next push
  std::vector<float> expected_;                        ///< the mixture since the last EOS, flush or restart
  std::vector<std::pair<std::string, size_t>> marks_;  ///< name, and how many samples were before it
  RandomMetas metas_;
  bool gains_touched_ = false;
  int mark_count_ = 0;

 public:
  ~RandomPlayer();
  RandomPlayer(const RandomPlayer&) = delete;
  RandomPlayer& operator=(const RandomPlayer&) = delete;
};

}  // namespace bsm::test
