// A part of a hashed table: the rows whose hashes begin alike, and the lock of those who write them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <kv/detail/limbo.hpp>
#include <kv/detail/rows.hpp>
#include <kv/detail/shard_mutex.hpp>
#include <kv/detail/slot_array.hpp>

namespace kv::detail {

/// Invariants, which hold whenever a reader looks:
///
/// (S1) A key stands in at most one slot. A row is put in, replaced and taken out by one store of a word; no row moves
///      within an array.
/// (S2) No slot between a row's home and its slot is empty, or becomes empty while the row is there. So a search from
///      the home of a key that ends at an empty slot has passed the slot of its row.
/// (S3) A slot is emptied only when the next one is empty: no row of anybody's stands behind it.
/// (S4) An array that was replaced never changes again: it stays what it was at that moment, which lies within the
///      operation of every reader who still looks at it.
/// (S5) At least an eighth of the slots is empty, so every search ends.
///
/// Writers hold the lock. A reader loads the array and its words sequentially consistently, as (E1) demands.
template <class Row, class Counts>
class alignas(64) hash_shard {
 public:
  using array_word = std::atomic<std::uint64_t>;  // of a slot_array

  hash_shard() = default;
  hash_shard(const hash_shard&) = delete;
  hash_shard& operator=(const hash_shard&) = delete;
  ~hash_shard() {
    row_list<Row> doomed;
    take_all(doomed, [&] { doomed.clear(); });
  }

  /// Before anything else: where readers find its slots, apart from what writers write all the time.
  void publish_at(array_word& where) noexcept { slots_ = &where; }

  /// Inside. Returns the row of that key, whatever batch it belongs to; null when there is none.
  template <class IsKey>
  static const Row* search(slot_array slots, std::uint64_t hash, IsKey is_key) {
    if (!slots) return nullptr;
    for (auto i = slots.home(hash);; i = slots.next(i)) {
      const auto word = slots.load(i);
      if (word == slot_word::empty) return nullptr;
      if (!slot_word::may_be(word, hash)) continue;
      const auto* const row = slot_word::row_of<const Row>(word);
      if (is_key(*row)) return row;
    }
  }

  // Under the lock ---------------------------------------------------------------------------------------------------

  /// Where a key stands, or where it would.
  struct place {
    std::size_t slot = 0;
    Row* row = nullptr;     // null when it is not there
    bool is_fresh = false;  // the slot is empty; otherwise its row is there, or was erased
  };
  template <class IsKey>
  place find(std::uint64_t hash, IsKey is_key) const {
    const auto all = slots();
    if (!all) return {};
    std::optional<std::size_t> reusable;
    for (auto i = all.home(hash);; i = all.next(i)) {
      const auto word = all.peek(i);
      if (word == slot_word::empty) return {.slot = reusable.value_or(i), .is_fresh = !reusable};
      if (word == slot_word::erased && !reusable) reusable = i;
      if (!slot_word::may_be(word, hash)) continue;
      auto* const row = slot_word::row_of<Row>(word);
      __builtin_prefetch(&row->hash);  // where it ends: it may stand in two cache lines
      if (is_key(*row)) return {.slot = i, .row = row};
    }
  }
  /// Tells whether that many rows more leave enough slots empty (S5).
  bool has_room(std::size_t more = 1) const noexcept { return 8 * (used_ + more) <= 7 * capacity(); }
  /// Returns the size that an array for so many rows more had better have.
  unsigned bits_for(std::size_t more = 1) const noexcept {
    unsigned bits = 3;
    while (7 * (std::size_t{1} << bits) < 9 * (live_ + more)) ++bits;
    return bits;
  }
  /// There is room.
  void put(const place& where, Row* row) noexcept {
    slots().store(where.slot, slot_word::make(row, row->hash));  // (S1), (S2)
    live_ += where.row == nullptr;
    used_ += where.is_fresh;
    size_ += Counts::of(row->value) - (where.row == nullptr ? 0 : Counts::of(where.row->value));
  }
  void erase(const place& where) noexcept {
    const auto all = slots();
    --live_;
    size_ -= Counts::of(where.row->value);
    if (all.peek(all.next(where.slot)) != slot_word::empty) {
      all.store(where.slot, slot_word::erased);
      return;
    }
    auto i = where.slot;
    do {
      all.store(i, slot_word::empty);  // (S3)
      --used_;
      i = all.previous(i);
    } while (all.peek(i) == slot_word::erased);
  }
  /// Publishes an array that has the same rows, and returns the one it replaces: somebody may be inside. O(rows).
  owned_slot_array move_to(owned_slot_array fresh) noexcept {
    owned_slot_array old(slots());
    if (old != nullptr) copy_rows(old.get(), fresh.get());
    used_ = live_;
    slots_->store(fresh.release().word(), std::memory_order_seq_cst);
    return old;  // (S4)
  }
  /// Takes out all rows, also those that wait. Nobody is inside, or finds this shard any more. Calls when_many() whenever
  /// there is a batch of them.
  template <class F>
  void take_all(row_list<Row>& rows, F when_many) noexcept {
    gone.take_all(rows);
    const owned_slot_array old(slots());
    slots_->store(0, std::memory_order_seq_cst);
    live_ = used_ = size_ = 0;
    for (std::size_t i = 0; i < old.get().size(); ++i) {
      if (rows.size() >= doomed_batch) when_many();
      if (const auto word = old.get().peek(i); slot_word::is_row(word)) rows.push(slot_word::row_of<Row>(word));
    }
  }
  std::size_t size() const noexcept { return size_; }
  std::size_t rows() const noexcept { return live_; }
  std::size_t capacity() const noexcept { return slots().size(); }

  shard_mutex mutex;
  limbo<Row> gone;  // under mutex, as what follows

 private:
  slot_array slots() const noexcept { return slot_array(slots_->load(std::memory_order_relaxed)); }

  /// Begins behind an empty slot, so that rows of equal hashes keep their order.
  static void copy_rows(slot_array from, slot_array to) noexcept {
    std::size_t i = 0;
    while (from.peek(i) != slot_word::empty) ++i;
    for (std::size_t n = 0; n < from.size(); ++n, i = from.next(i)) {
      const auto word = from.peek(i);
      const auto later = from.peek(from.next(i, 16));  // on its way, while those before it are copied
      if (slot_word::is_row(later)) __builtin_prefetch(&slot_word::row_of<Row>(later)->hash);
      if (!slot_word::is_row(word)) continue;
      auto slot = to.home(slot_word::row_of<Row>(word)->hash);
      while (to.peek(slot) != slot_word::empty) slot = to.next(slot);
      to.fill(slot, word);
    }
  }

  array_word* slots_ = nullptr;
  std::size_t live_ = 0;  // rows
  std::size_t used_ = 0;  // slots that are not empty
  std::size_t size_ = 0;  // what its rows count
};

}  // namespace kv::detail
