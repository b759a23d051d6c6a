// Walks over a hashed table in the order of the hashes.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include <kv/detail/slot_array.hpp>

namespace kv::detail {

/// Reads some rows that follow a key, or that stand before it, in the order of their hashes; rows of equal hashes in the
/// order of their keys; if those have none, they take one place, before and behind which a walk goes on. Used inside.
///
/// A hash has its place whether or not a row has it: so a walk that goes on from the last key it has seen visits every
/// row that is there throughout exactly once, whatever is erased, put in or moved to another array meanwhile. The rows
/// that are at home in a range of slots all stand before the first empty slot behind the range (S2), and rows of one
/// hash have one home: so they are always visited in one go.
template <class Row>
class hash_walk {
 public:
  using array_words = std::array<std::atomic<std::uint64_t>, std::size_t{1} << slot_array::shard_bits>;
  using key_type = std::remove_const_t<decltype(Row::key)>;

  /// From where a walk goes on.
  struct position {
    std::uint64_t hash;
    const key_type* key;
  };

  /// `arrays` may be null: there are no rows.
  explicit hash_walk(const array_words* arrays) noexcept : arrays_(arrays) {}

  template <class Visit>
  bool forward(const std::optional<position>& after, std::size_t limit, Visit f) {
    if (arrays_ == nullptr) return false;
    for (std::size_t i = after ? shard_of(after->hash) : 0; i < arrays_->size(); ++i) {
      const slot_array slots((*arrays_)[i].load(std::memory_order_seq_cst));
      if (!slots) continue;
      const bool is_first = after && i == shard_of(after->hash);
      for (auto home = is_first ? slots.home(after->hash) : 0; home < slots.size();) {
        const auto end = std::min(slots.size(), home + std::max(limit, least));
        collect(slots, home, end);
        home = end;
        if (is_first) drop_until(*after);
        if (found_.empty()) continue;
        for (const auto* const row : found_) f(*row);
        return true;  // there may be more; it costs the next walk little to find that there are not
      }
    }
    return false;
  }
  template <class Visit>
  bool backward(const std::optional<position>& before, std::size_t limit, Visit f) {
    if (arrays_ == nullptr) return false;
    for (std::size_t i = before ? shard_of(before->hash) + 1 : arrays_->size(); i-- > 0;) {
      const slot_array slots((*arrays_)[i].load(std::memory_order_seq_cst));
      if (!slots) continue;
      const bool is_first = before && i == shard_of(before->hash);
      for (auto end = is_first ? slots.home(before->hash) + 1 : slots.size(); end > 0;) {
        const auto home = end - std::min(end, std::max(limit, least));
        collect(slots, home, end);
        end = home;
        if (is_first) drop_from(*before);
        if (found_.empty()) continue;
        for (const auto* const row : found_ | std::views::reverse) f(*row);
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::size_t least = 8;  // homes, a cache line of words

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> (64 - slot_array::shard_bits); }

  /// Finds the rows that are at home in [home, end), in order.
  void collect(slot_array slots, std::size_t home, std::size_t end) {
    found_.clear();
    auto i = home;
    for (std::size_t n = 0; n < slots.size(); ++n, i = slots.next(i)) {
      const auto word = slots.load(i);
      if (word == slot_word::empty && n + 1 >= end - home) break;
      if (!slot_word::is_row(word)) continue;
      const auto* const in_slot = slot_word::row_of<const Row>(word);
      if (const auto at = slots.home(in_slot->hash); at < home || at >= end) continue;
      if (const auto* const row = in_slot->settled()) found_.push_back(row);
    }
    // They are nearly in order, and those of one hash shall stay as they stand.
    const auto is_before = [](const Row* a, const Row* b) { return precedes(*a, b->hash, b->key); };
    for (auto each = found_.begin(); each != found_.end(); ++each) {
      std::rotate(std::upper_bound(found_.begin(), each, *each, is_before), each, each + 1);
    }
  }
  static bool precedes(const Row& row, std::uint64_t hash, const key_type& key) {
    if (row.hash != hash) return row.hash < hash;
    if constexpr (std::totally_ordered<key_type>) return row.key < key;
    return false;
  }

  /// Leaves the rows that follow the position.
  void drop_until(const position& p) {
    std::erase_if(found_, [&](const Row* row) {
      if (row->hash != p.hash) return row->hash < p.hash;
      if constexpr (std::totally_ordered<key_type>) return !(*p.key < row->key);
      return true;
    });
  }
  /// Leaves the rows before the position.
  void drop_from(const position& p) {
    std::erase_if(found_, [&](const Row* row) { return !precedes(*row, p.hash, *p.key); });
  }

  const array_words* arrays_;
  std::vector<const Row*> found_;
};

}  // namespace kv::detail
