#include "emulator.h"

#include <ucontext.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace bsm::emulator {

namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr int kLanes = 32;
constexpr size_t kSharedAlignment = 1024;

struct Barrier {
  int members = 0, arrived = 0, round = 0;
};

struct Warp {
  Barrier barrier;
  alignas(16) unsigned char slots[2][kLanes * kSlotBytes];
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<unsigned char[]> stack{new unsigned char[kStackBytes]};
  Place place;
  int exchanges = 0;
  bool done = false;
};

/// The block that runs.
struct Block {
  ucontext_t scheduler;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Barrier barrier;
  std::array<Barrier, 8> groups;
  std::vector<unsigned char> shared;
  const std::function<void()>* body = nullptr;
  Fiber* running = nullptr;
  bool progress = false;  ///< a barrier opened, a round of arrivals or a thread ended
} block;

void yield() {
  Fiber* self = block.running;
  swapcontext(&self->context, &block.scheduler);
}

void arrive(Barrier& barrier) {
  const int round = barrier.round;
  if (++barrier.arrived == barrier.members) {
    barrier.arrived = 0;
    ++barrier.round;
    block.progress = true;
    return;
  }
  while (barrier.round == round) yield();
}

void fiber_main() {
  (*block.body)();
  block.running->done = block.progress = true;
  swapcontext(&block.running->context, &block.scheduler);
}

void run_block(int threads, dim3 grid, uint3 index) {
  block.barrier = {threads, 0, 0};
  block.groups.fill({});
  for (auto& warp : block.warps) {
    warp.barrier = {kLanes, 0, 0};
  }
  // Uninitialised shared memory must not help: NaN in every format.
  std::fill(block.shared.begin(), block.shared.end(), static_cast<unsigned char>(0xff));
  for (int i = 0; i < threads; ++i) {
    Fiber& fiber = block.fibers[static_cast<size_t>(i)];
    fiber.place = {{static_cast<unsigned>(i), 0, 0}, index, grid, dim3(static_cast<unsigned>(threads))};
    fiber.done = false;
    fiber.exchanges = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
  }
  for (int left = threads; left > 0;) {
    block.progress = false;
    for (int i = 0; i < threads; ++i) {
      Fiber& fiber = block.fibers[static_cast<size_t>(i)];
      if (fiber.done) continue;
      block.running = &fiber;
      swapcontext(&block.scheduler, &fiber.context);
      left -= fiber.done;
    }
    if (!block.progress) {
      std::fprintf(stderr, "emulator: the threads of a block wait at different barriers\n");
      std::abort();
    }
  }
}

}  // namespace

Place& place() { return block.running->place; }

unsigned char* shared_memory() {
  void* start = block.shared.data();
  size_t space = block.shared.size();
  return static_cast<unsigned char*>(std::align(kSharedAlignment, 1, start, space));
}

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) {
    yield();
    block.progress |= condition();
  }
}

void progress() { block.progress = true; }

void block_barrier() { arrive(block.barrier); }

void group_barrier(int number, int threads) {
  Barrier& barrier = block.groups.at(static_cast<size_t>(number));
  barrier.members = threads;
  arrive(barrier);
}

const unsigned char* exchange(const void* mine, size_t size) {
  Fiber& self = *block.running;
  Warp& warp = block.warps[self.place.thread.x / kLanes];
  // Two sets of slots: a lane can be one exchange ahead of the slowest, never two.
  unsigned char* slots = warp.slots[self.exchanges++ % 2];
  if (size > 0) std::memcpy(slots + self.place.thread.x % kLanes * kSlotBytes, mine, size);
  arrive(warp.barrier);
  return slots;
}

void run(dim3 grid, int threads, size_t shared_bytes, const std::function<void()>& body) {
  if (threads % kLanes != 0) std::abort();
  block.body = &body;
  block.fibers = std::vector<Fiber>(static_cast<size_t>(threads));
  block.warps = std::vector<Warp>(static_cast<size_t>(threads / kLanes));
  block.shared.resize(shared_bytes + kSharedAlignment);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) run_block(threads, grid, {x, y, z});
}

}  // namespace bsm::emulator
