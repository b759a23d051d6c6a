#include <kv/detail/cells.hpp>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>

// Asked here alone, and not where cells are used: all parts of a program have to agree, however they are built.
#include "sanitized.hpp"

namespace kv::detail {

namespace {

/// Zeroed memory of the system's, aligned to a large page. As large as one, or a multiple, it stands on such pages, if the
/// system has some.
std::byte* map(std::size_t size) {
  const auto length = size + slabs::slab_size;  // holds an aligned part, wherever it begins
  void* const all = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(all);
  const auto before = -reinterpret_cast<std::uintptr_t>(begin) % slabs::slab_size;
  if (before != 0) ::munmap(begin, before);
  ::munmap(begin + before + size, length - before - size);
#ifdef MADV_HUGEPAGE
  ::madvise(begin + before, size, MADV_HUGEPAGE);  // it does as well without
#endif
  return begin + before;
}
void unmap(void* memory, std::size_t size) noexcept { ::munmap(memory, size); }

template <std::size_t... i>
constexpr std::array<slabs, sizeof...(i)> slabs_of_sizes(std::index_sequence<i...>) {
  return {slabs((i + 1) * sizeof(void*))...};
}
constinit std::array all_slabs = slabs_of_sizes(std::make_index_sequence<cell_cache::largest / sizeof(void*)>());

slabs& slabs_of(std::size_t size) noexcept { return all_slabs[cell_cache::cell_size(size) / sizeof(void*) - 1]; }

}  // namespace

/// Stands at the beginning of its memory; a bit for each cell follows, and the cells stand at the end.
struct alignas(64) slabs::slab {
  slab* next = nullptr;  // in the list of those that have a cell to give
  slab* previous = nullptr;
  std::byte* end = nullptr;
  std::size_t cells = 0;
  std::size_t used = 0;   // handed out
  std::size_t first = 0;  // no word of bits before this one has one set

  static slab& of(const free_cell* cell) noexcept {
    return *reinterpret_cast<slab*>(reinterpret_cast<std::uintptr_t>(cell) & ~(slabs::slab_size - 1));
  }
  /// A small one begins like any other, and ends early: for few cells a large page is too much memory.
  static owned_slab make(std::size_t cell_size, bool is_small) {
    const auto size = is_small ? small_size : slabs::slab_size;
    auto* const memory = map(size);
    auto* const made = new (memory) slab;
    made->end = memory + size;
    made->cells = (size - sizeof(slab) - sizeof(std::uint64_t)) * 8 / (cell_size * 8 + 1);
    for (std::size_t i = 0; i < made->cells; i += 64) {
      made->bits()[i / 64] = ~std::uint64_t{0} >> (64 - std::min<std::size_t>(64, made->cells - i));
    }
    return owned_slab(made);
  }
  void unmap() noexcept { detail::unmap(this, static_cast<std::size_t>(end - reinterpret_cast<std::byte*>(this))); }

  bool is_empty() const noexcept { return used == cells; }
  /// There is one. The lowest: cells that are taken together lie together, whoever had them before.
  free_cell* take(std::size_t cell_size) noexcept {
    while (bits()[first] == 0) ++first;
    const auto i = first * 64 + static_cast<std::size_t>(std::countr_zero(bits()[first]));
    bits()[first] &= bits()[first] - 1;
    ++used;
    return new (end - cell_size * (cells - i)) free_cell{nullptr};
  }
  void give(const free_cell* cell, std::size_t cell_size) noexcept {
    const auto distance = static_cast<std::size_t>(end - reinterpret_cast<const std::byte*>(cell));
    const auto i = cells - distance / cell_size;
    assert((bits()[i / 64] >> i % 64 & 1) == 0 && "a cell was released twice");
    bits()[i / 64] |= std::uint64_t{1} << i % 64;
    first = std::min(first, i / 64);
    --used;
  }

 private:
  static constexpr std::size_t small_size = std::size_t{64} << 10U;

  std::uint64_t* bits() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
};

void slabs::unmap_slab::operator()(slab* s) const noexcept { s->unmap(); }

free_cell* slabs::take(unsigned count) {
  owned_slab made;
  std::unique_lock lock(mutex_);
  while (first_ == nullptr) {
    const bool is_small = count_ == 0 && cell_size_ <= cell_cache::largest;
    lock.unlock();
    made = slab::make(cell_size_, is_small);  // the system clears its memory: nobody waits for that
    lock.lock();
    if (first_ != nullptr) break;  // somebody else has made one meanwhile
    link(*made.release());
    ++count_;
  }
  free_cell* result = nullptr;
  for (auto** end = &result; count > 0 && !first_->is_empty(); --count, end = &(*end)->next) {
    *end = first_->take(cell_size_);
  }
  if (first_->is_empty()) unlink(*first_);
  return result;
}

void slabs::give(free_cell* cells) noexcept {
  slab* unused = nullptr;
  {
    const std::lock_guard lock(mutex_);
    while (cells != nullptr) {
      auto* const cell = std::exchange(cells, cells->next);
      auto& home = slab::of(cell);
      if (home.is_empty()) link(home);
      home.give(cell, cell_size_);
      if (home.used > 0 || first_ == last_) continue;  // (C2)
      unlink(home);
      --count_;
      home.next = std::exchange(unused, &home);
    }
  }
  while (unused != nullptr) std::exchange(unused, unused->next)->unmap();
}

void slabs::trim() noexcept {
  owned_slab unused;
  const std::lock_guard lock(mutex_);
  if (first_ == nullptr || first_ != last_ || first_->used > 0) return;
  unused.reset(first_);
  unlink(*unused);
  --count_;
}

std::size_t slabs::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void slabs::link(slab& s) noexcept {
  s.previous = last_;
  s.next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = &s;
  last_ = &s;
}

void slabs::unlink(slab& s) noexcept {
  (s.previous == nullptr ? first_ : s.previous->next) = s.next;
  (s.next == nullptr ? last_ : s.next->previous) = s.previous;
}

cell_cache::cell_cache() noexcept : most_(is_sanitized ? 1 : 64) {}

void cell_cache::fill(magazine& mine, std::size_t size) const {
  mine.first = is_sanitized ? new (::operator new(size)) free_cell{nullptr} : slabs_of(size).take(most_ / 2);
  for (const auto* each = mine.first; each != nullptr; each = each->next) ++mine.count;
}

void cell_cache::shrink(magazine& mine, std::size_t size) const noexcept {
  if (is_sanitized) return give(std::exchange(mine, {}).first, size);
  // The upper half stays: it may still be in a cache.
  auto* last = mine.first;
  for (unsigned n = 1; n < most_ / 2; ++n) last = last->next;
  mine.count = most_ / 2;
  slabs_of(size).give(std::exchange(last->next, nullptr));
}

void cell_cache::give_all() noexcept {
  for (std::size_t i = 0; i < magazines_.size(); ++i) {
    if (auto& each = magazines_[i]; each.first != nullptr) all_slabs[i].give(std::exchange(each, {}).first);
  }
}

void cell_cache::give(void* cell, std::size_t size) noexcept {
  is_sanitized ? ::operator delete(cell) : slabs_of(size).give(new (cell) free_cell{nullptr});
}

namespace {

/// Of smaller arrays a table has no more than a few pages; two of the next larger ones have no place in a slab.
constexpr std::size_t smallest_array = std::size_t{16} << 10U;
constexpr std::size_t largest_array = std::size_t{512} << 10U;

constinit slabs array_slabs[] = {slabs(smallest_array),     slabs(smallest_array * 2),  slabs(smallest_array * 4),
                                 slabs(smallest_array * 8), slabs(smallest_array * 16), slabs(largest_array)};

slabs* array_slabs_of(std::size_t bytes) noexcept {
  if (is_sanitized || bytes < smallest_array || bytes > largest_array) return nullptr;
  return &array_slabs[std::bit_width(bytes / smallest_array) - 1];
}
bool is_mapped(std::size_t bytes) noexcept { return !is_sanitized && bytes >= slabs::slab_size; }

}  // namespace

void* allocate_array(std::size_t bytes) {
  if (auto* const all = array_slabs_of(bytes)) return std::memset(all->take(1), 0, bytes);
  // Zeroed already, and touched here all the same: where it is filled, somebody holds a lock.
  if (is_mapped(bytes)) return std::memset(map(bytes), 0, bytes);
  void* const memory = std::calloc(1, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void free_array(void* memory, std::size_t bytes) noexcept {
  if (auto* const all = array_slabs_of(bytes)) return all->give(new (memory) free_cell{nullptr});
  is_mapped(bytes) ? unmap(memory, bytes) : std::free(memory);
}

}  // namespace kv::detail
