// Memory for tables: cells of one size, close together.
//
// A table is read at random, so what a read costs is the pages and cache lines that it touches. Cells stand side by side
// in slabs, each as large as a large page of the system, and on one where it has them. A thread keeps some free cells of
// each size, and exchanges them with the slabs by the magazine: so it mostly takes no lock. After Bonwick, "The Slab
// Allocator" (USENIX 1994), and Bonwick and Adams, "Magazines and Vmem" (USENIX 2001).
//
// (C1) A cell is used, or in the magazine of one thread, or in its slab.
// (C2) A slab to which all its cells have come back is given back to the system; of each size, one may be kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace kv::detail {

/// A cell that nobody uses.
struct free_cell {
  free_cell* next;
};

/// All cells of one size that no thread has. Any thread may call this, and waits for others no longer than it takes to
/// move a magazine's worth.
class slabs {
 public:
  static constexpr std::size_t slab_size = std::size_t{2} << 20U;

  /// Bytes of a cell: a multiple of the size of a pointer.
  constexpr explicit slabs(std::size_t cell_size) noexcept : cell_size_(cell_size) {}

  /// Returns some cells, and at most so many. Throws std::bad_alloc.
  free_cell* take(unsigned count);
  void give(free_cell* cells) noexcept;
  /// Gives back the slab that is kept although nobody uses it (C2).
  void trim() noexcept;
  /// How many slabs there are.
  std::size_t count() const;

 private:
  struct slab;
  struct unmap_slab {
    void operator()(slab* s) const noexcept;
  };
  using owned_slab = std::unique_ptr<slab, unmap_slab>;  // in no list

  void link(slab& s) noexcept;
  void unlink(slab& s) noexcept;

  const std::size_t cell_size_;
  // Orders what one thread did in a cell before what the next does there that gets it; without it two would get the same.
  mutable std::mutex mutex_;
  // Under mutex_: those that have a cell to give. The first is in use; so the others can become empty.
  slab* first_ = nullptr;
  slab* last_ = nullptr;
  std::size_t count_ = 0;
};

/// The free cells of one thread, which alone calls its functions. Waits for others only in `slabs`.
///
/// Keeps none where the library is built with a sanitizer, and takes each from malloc: the sanitizer would not see when
/// one is used after its end.
class cell_cache {
 public:
  static constexpr std::size_t largest = 1024;  // bytes; larger ones are malloc's business

  /// How large the cell for so many bytes is. Cells of whole cache lines stand in no more lines than they must, so what
  /// is a little smaller gets one of those, too: at most an eighth of that is lost.
  static constexpr std::size_t cell_size(std::size_t size) noexcept {
    constexpr std::size_t line = 64;
    const auto whole = (size + line - 1) / line * line;
    const auto least = (size + sizeof(void*) - 1) / sizeof(void*) * sizeof(void*);
    return (whole - least) * 8 <= whole ? whole : least;
  }

  cell_cache() noexcept;

  /// Throws std::bad_alloc.
  void* take(std::size_t size) {
    auto& mine = magazine_of(size);
    if (mine.first == nullptr) [[unlikely]]
      fill(mine, size);
    --mine.count;
    return std::exchange(mine.first, mine.first->next);
  }
  void put(void* cell, std::size_t size) noexcept {
    auto& mine = magazine_of(size);
    mine.first = new (cell) free_cell{mine.first};
    if (++mine.count == most_) [[unlikely]]
      shrink(mine, size);
  }
  /// Keeps none.
  void give_all() noexcept;

  /// For who has no cache.
  static void give(void* cell, std::size_t size) noexcept;

 private:
  struct magazine {
    free_cell* first = nullptr;
    unsigned count = 0;
  };
  magazine& magazine_of(std::size_t size) noexcept { return magazines_[cell_size(size) / sizeof(void*) - 1]; }
  void fill(magazine& mine, std::size_t size) const;
  void shrink(magazine& mine, std::size_t size) const noexcept;

  const unsigned most_;  // cells of one size that a thread keeps
  std::array<magazine, largest / sizeof(void*)> magazines_{};
};

/// Zeroed memory for an array: so many bytes, a power of two. On a large page where that is worth it. Throws
/// std::bad_alloc.
void* allocate_array(std::size_t bytes);
void free_array(void* memory, std::size_t bytes) noexcept;

}  // namespace kv::detail
