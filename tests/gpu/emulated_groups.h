// Products by a warpgroup on the host: stands in for the machine-specific part of src/nn/cuda/wgmma.cuh. They
// are done at once, from shared memory as the 128-byte swizzle permutes it: bits 4 to 6 of an address are
// those of its row.
#pragma once

#include "emulator.h"

namespace bsm::emulator {

template <typename T>
T in_tile(const void* start, int row, int column) {
  uintptr_t address = reinterpret_cast<uintptr_t>(start) + static_cast<uintptr_t>(row * 128 + column * 2);
  address ^= (address >> 7 & 7) << 4;
  T value;
  std::memcpy(static_cast<void*>(&value), reinterpret_cast<const void*>(address), sizeof(T));
  return value;
}

/// Two elements as a register holds them.
template <typename T>
uint32_t pair_of(T low, T high) {
  const T pair[2] = {low, high};
  uint32_t word;
  std::memcpy(&word, static_cast<const void*>(pair), sizeof(word));
  return word;
}

}  // namespace bsm::emulator

namespace bsm::kernels {

inline void fence_for_products() {}
inline void products_begin() {}
inline void products_commit() {}
template <int, int Tiles>
void products_wait(Tile (&)[Tiles]) {}
class TileMap {
 public:
  cudaError_t init(const void* data, int64_t rows, int64_t columns, int tile_rows) {
    if (reinterpret_cast<uintptr_t>(data) % 16 != 0 || columns % 8 != 0 || tile_rows > 256)
      return cudaErrorInvalidValue;
    data_ = static_cast<unsigned char*>(const_cast<void*>(data));
    rows_ = rows, columns_ = columns, tile_rows_ = tile_rows;
    return cudaSuccess;
  }
  void store(const void* from, int row, int column) const {
    for_each(
        [&](int r, int c, unsigned char* element) {
          if (element != nullptr) std::memcpy(element, place(from, r, c), 2);
        },
        row, column);
  }
  void load(void* to, int row, int column) const {
    for_each(
        [&](int r, int c, const unsigned char* element) {
          if (element != nullptr) {
            std::memcpy(place(to, r, c), element, 2);
          } else {
            std::memset(place(to, r, c), 0, 2);
          }
        },
        row, column);
  }
  int tile_bytes() const { return tile_rows_ * kTileColumns * 2; }

 private:
  static unsigned char* place(const void* tile, int row, int column) {
    const unsigned at = tile_at(static_cast<unsigned>(row), static_cast<unsigned>(column) / 8);
    return static_cast<unsigned char*>(const_cast<void*>(tile)) +
           2 * (at + static_cast<unsigned>(column) % 8);
  }
  /// body(row, column, element of the matrix or null outside of it)
  template <typename Body>
  void for_each(Body body, int row, int column) const {
    for (int r = 0; r < tile_rows_; ++r)
      for (int c = 0; c < kTileColumns; ++c)
        body(r, c,
             row + r < rows_ && column + c < columns_ ? data_ + 2 * ((row + r) * columns_ + column + c)
                                                      : nullptr);
  }

  unsigned char* data_ = nullptr;
  int64_t rows_ = 0, columns_ = 0;
  int tile_rows_ = 0;
};
inline void tile_stores_wait() {}

/// Copies are made at once, and must be those that were expected.
class ArrivalBarrier {
 public:
  void init(int threads = 1) {
    threads_ = left_ = threads;
    rounds_ = bytes_ = 0;
  }
  void arrive() {
    --left_;
    end_round();
  }
  void expect(int bytes) {
    bytes_ += bytes;
    arrive();
  }
  void copy(void* to, const void* from, int bytes) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    arrived(bytes);
  }
  void copy_tile(void* to, const TileMap& from, int row, int column) {
    from.load(to, row, column);
    arrived(from.tile_bytes());
  }
  void wait(int round) {
    emulator::wait_until([&] { return rounds_ > round; });
  }

 private:
  void arrived(int bytes) {
    bytes_ -= bytes;
    end_round();
  }
  void end_round() {
    if (left_ > 0 || bytes_ != 0) return;
    left_ = threads_;
    ++rounds_;
    emulator::progress();
  }

  int threads_, left_, bytes_, rounds_;
};
inline void prefetch(const void*, int) {}
inline void group_barrier(int number, int threads) { emulator::group_barrier(number, threads); }
inline bool runs_here(const void*) { return emulator::has_group_products; }

inline void store_matrices(void* row, const uint32_t (&r)[4]) {
  const unsigned char* all = emulator::exchange(&row, sizeof(row));
  for (int matrix = 0; matrix < 4; ++matrix) {
    unsigned char* address;
    std::memcpy(&address, all + (8 * matrix + emulator::lane() / 4) * emulator::kSlotBytes, sizeof(address));
    std::memcpy(address + 4 * (emulator::lane() % 4), &r[matrix], 4);
  }
}

template <typename T>
struct GroupOperand {
  const T* start;

  explicit GroupOperand(const T* tile) : start(tile) {}
  GroupOperand operator+(int elements) const { return GroupOperand(start + elements); }
};

template <bool ByRows, typename T, int Tiles>
void multiply_tiles_of_group(Tile (&d)[Tiles], const FragmentA<T>& a, const T* b_tile) {
  const int g = emulator::lane() / 4, c = 2 * (emulator::lane() % 4);
  for (int tile = 0; tile < Tiles; ++tile) {
    uint32_t b[2];
    for (int half = 0; half < 2; ++half) {
      const auto at = [&](int k) {
        const int n = 8 * tile + g;
        return ByRows ? emulator::in_tile<T>(b_tile, k, n) : emulator::in_tile<T>(b_tile, n, k);
      };
      b[half] = emulator::pair_of(at(c + 8 * half), at(c + 8 * half + 1));
    }
    mma_16bit<T>(d[tile], a.r, b);
  }
}

template <bool ByRows, typename T>
void multiply_group(Tile (&d)[8], const FragmentA<T>& a, GroupOperand<T> b) {
  multiply_tiles_of_group<ByRows>(d, a, b.start);
}

template <int Tiles, typename T>
void multiply_group(Tile (&d)[Tiles], GroupOperand<T> left, GroupOperand<T> right) {
  const int row = static_cast<int>(threadIdx.x) / 32 % 4 * 16 + emulator::lane() / 4,
            c = 2 * (emulator::lane() % 4);
  FragmentA<T> a;
  for (int i = 0; i < 4; ++i) {
    const int m = row + (i & 1 ? 8 : 0), k = c + (i & 2 ? 8 : 0);
    a.r[i] =
        emulator::pair_of(emulator::in_tile<T>(left.start, m, k), emulator::in_tile<T>(left.start, m, k + 1));
  }
  multiply_tiles_of_group<false>(d, a, right.start);
}

}  // namespace bsm::kernels
