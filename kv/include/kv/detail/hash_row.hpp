// A row of a hashed table.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <kv/detail/in_cells.hpp>

namespace kv::detail {

template <class Row>
class row_batch;

/// A row. Once published, its key and value never change: a write puts another row in its place.
template <class Key, class Stored>
struct hash_row : in_cells {
  template <class K>
  hash_row(std::uint64_t hash_of_key, K&& k, Stored v)
      : key(std::forward<K>(k)), value(std::move(v)), hash(hash_of_key) {}

  /// A row that is in no table any more is in a list.
  hash_row* next() const noexcept { return reinterpret_cast<hash_row*>(link_.load(std::memory_order_relaxed)); }
  void set_next(hash_row* row) noexcept {
    link_.store(reinterpret_cast<std::uintptr_t>(row), std::memory_order_relaxed);
  }

  /// One that is being put in is part of a batch until the batch is done. Relaxed: it is not published yet.
  void join(const row_batch<hash_row>& batch) noexcept {
    link_.store(reinterpret_cast<std::uintptr_t>(&batch) | pending, std::memory_order_relaxed);
  }
  /// Relaxed: a reader who still sees the row as pending asks the batch, which lives until he has left.
  void settle() noexcept { link_.store(0, std::memory_order_relaxed); }

  /// Inside. Returns what the table holds for this row's key: this, or what was there before when the batch that it
  /// belongs to is not done.
  const hash_row* settled() const noexcept {
    // Relaxed: the row was found by its word, and was part of the batch before that word was written.
    const auto link = link_.load(std::memory_order_relaxed);
    if ((link & pending) == 0) [[likely]]
      return this;
    return reinterpret_cast<const row_batch<hash_row>*>(link & ~pending)->settled(this);
  }

 private:
  static constexpr std::uintptr_t pending = 1;

  std::atomic<std::uintptr_t> link_{0};  // nothing, the next row of a list, or a batch and `pending`

 public:
  const Key key;
  const Stored value;
  const std::uint64_t hash;  // last: a lookup does not need it
};

/// Rows that come into a table all at once, in the eyes of every reader: until done() has been called, all of them see
/// what was there before.
template <class Row>
class row_batch {
 public:
  explicit row_batch(std::size_t rows) { before_.reserve(rows); }

  void add(Row* row) { before_.push_back({row, nullptr}); }
  /// After the last add().
  void sort() { std::ranges::sort(before_, {}, &change::row); }
  void set_before(const Row* row, const Row* what) noexcept { find(row).before = what; }

  /// The moment when all of them are there. Sequentially consistent: two readers agree on it.
  void done() noexcept { done_.store(true); }
  /// After done(): nobody needs to ask any more.
  void settle_all() noexcept {
    for (const auto& each : before_) each.row->settle();
  }
  /// Pairs with done(): who sees the new row of one key sees that of the others.
  const Row* settled(const Row* row) const noexcept { return done_.load() ? row : find(row).before; }

 private:
  struct change {
    Row* row;
    const Row* before;
  };
  const change& find(const Row* row) const noexcept {
    const auto found = std::ranges::lower_bound(before_, row, std::less<>{}, &change::row);
    assert(found != before_.end() && found->row == row);
    return *found;
  }
  change& find(const Row* row) noexcept { return const_cast<change&>(std::as_const(*this).find(row)); }

  std::vector<change> before_;  // by row; constant once the first row is published
  std::atomic<bool> done_{false};
};

}  // namespace kv::detail
