// What can be asked of all rows of a table, whatever its kind.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/detail/core.hpp>
#include <kv/detail/table_storage.hpp>
#include <kv/runtime.hpp>
#include <kv/table_page.hpp>
#include <kv/table_types.hpp>

namespace kv {

/// The part of table_ref that all kinds have in common. See there for threads, rights and errors.
///
/// Rows stand in the table's order: that of `<` in an ordered_set; otherwise one of its own, which means nothing, but in
/// which a key has its place for as long as the table lives, whether it is there or not. So whatever goes through a table
/// goes on where it was, also when rows come and go: a key that is there throughout is met exactly once, any other at most
/// once; of what other keys hold at that moment, nothing is said. Nothing is held in between, so there is nothing to fix
/// and nothing to release, as `ets:safe_fixtable/2` would. Rows are read a batch at a time: a writer waits for none of it.
///
/// Functions that are passed in see copies, may do what they like, also write to the table or wait, and what they throw is
/// thrown. The objects of one key in a bag are together, in the order in which they were inserted, in both directions.
template <class Key, class Value, class Type>
class table_rows {
 protected:
  using storage = detail::table_storage<Key, Value, Type>;
  using row = typename storage::row;

 public:
  using key_type = Key;
  using mapped_type = Value;
  using key_arg = detail::key_view<Key>;
  using entry = std::pair<Key, Value>;

  /// Tells whether the key is there. Mirrors `ets:member/2`.
  bool member(key_arg key) const {
    return storage_->visit(key, [](const row* found) { return found != nullptr; });
  }

  // From key to key --------------------------------------------------------------------------------------------------

  /// Returns the first key; nothing when the table is empty. Mirrors `ets:first/1`.
  std::optional<Key> first() const { return neighbour(nullptr, detail::direction::forwards); }
  /// Returns the last key. Mirrors `ets:last/1`.
  std::optional<Key> last() const { return neighbour(nullptr, detail::direction::backwards); }
  /// Returns the key behind that one, which need not be there, nor ever have been; nothing when there is none. So this
  /// meets every row, and needs no fixation:
  ///
  ///     for (auto key = t.first(); key; key = t.next(*key)) t.erase(*key);
  ///
  /// Keys that have no `<` and whose std::hash is the same have no lasting order: what is written meanwhile may make this
  /// miss or repeat some of those. Mirrors `ets:next/2`, which outside of an ordered_set refuses a key that is not there.
  std::optional<Key> next(key_arg key) const { return beside(Key(key), detail::direction::forwards); }
  /// Returns the key before that one, in the same way. Mirrors `ets:prev/2`.
  std::optional<Key> prev(key_arg key) const { return beside(Key(key), detail::direction::backwards); }

  // All of them ------------------------------------------------------------------------------------------------------

  /// Folds `next(accumulator, key, value)` over all rows. Mirrors `ets:foldl/3`.
  template <class Accumulator, class F>
  Accumulator fold(Accumulator start, F next) const {
    return fold(std::move(start), std::move(next), detail::direction::forwards);
  }
  /// The same from the last to the first. Mirrors `ets:foldr/3`.
  template <class Accumulator, class F>
  Accumulator fold_back(Accumulator start, F next) const {
    return fold(std::move(start), std::move(next), detail::direction::backwards);
  }
  /// Calls `visit(key, value)` for every row: fold() without an accumulator.
  template <class F>
  void for_each(F visit) const {
    for_each(std::move(visit), detail::direction::forwards);
  }
  /// Returns all rows: fold() into a vector. Mirrors `ets:tab2list/1`.
  std::vector<entry> to_vector() const { return select(everything); }
  /// Returns the number of rows at one moment; O(shards). In a bag that of objects.
  /// Mirrors `ets:info(Tab, size)`.
  std::size_t size() const {
    storage_->home().interleave();
    const auto result = storage_->size();
    storage_->check_read();  // afterwards: rows that go with the table are not counted as missing
    return result;
  }

  // Some of them -----------------------------------------------------------------------------------------------------

  /// Returns the rows for which `is_wanted(key, value)` holds. Mirrors `ets:select/2`.
  template <std::predicate<const Key&, const Value&> F>
  std::vector<entry> select(F is_wanted) const {
    return select(std::move(is_wanted), detail::direction::forwards);
  }
  /// Returns the first `limit` of them, and how to go on; a few more when keys have the same hash, or it is a bag, whose
  /// keys are not taken apart. Throws std::invalid_argument when the limit is 0. Mirrors `ets:select/3`.
  template <std::predicate<const Key&, const Value&> F>
  page<table_rows, entry> select(F is_wanted, std::size_t limit) const {
    return select(from_start<entry>(limit, detail::direction::forwards, if_wanted(std::move(is_wanted))));
  }
  /// The same from the last to the first. Mirrors `ets:select_reverse/2`.
  template <std::predicate<const Key&, const Value&> F>
  std::vector<entry> select_reverse(F is_wanted) const {
    return select(std::move(is_wanted), detail::direction::backwards);
  }
  /// Mirrors `ets:select_reverse/3`.
  template <std::predicate<const Key&, const Value&> F>
  page<table_rows, entry> select_reverse(F is_wanted, std::size_t limit) const {
    return select(from_start<entry>(limit, detail::direction::backwards, if_wanted(std::move(is_wanted))));
  }
  /// Returns the next page. Mirrors `ets:select/1` and `ets:match/1`.
  template <class Row>
  page<table_rows, Row> select(continuation<Key, Value, Row> from) const;
  /// Returns for how many rows `is_wanted(key, value)` holds. Mirrors `ets:select_count/2`.
  template <std::predicate<const Key&, const Value&> F>
  std::size_t select_count(F is_wanted) const {
    std::size_t result = 0;
    for_each([&](const Key& key, const Value& value) { result += is_wanted(key, value) ? 1 : 0; });
    return result;
  }

  /// Returns the keys that hold exactly that. O(rows). Mirrors `ets:match_object/2`.
  std::vector<Key> match(const Value& wanted) const {
    std::vector<Key> result;
    for_each([&](const Key& key, const Value& value) {
      if (value == wanted) result.push_back(key);
    });
    return result;
  }
  /// Returns the first `limit` of them, and how to go on, as select() does. Mirrors `ets:match_object/3`.
  page<table_rows, Key> match(Value wanted, std::size_t limit) const {
    const auto if_equal = [wanted = std::move(wanted)](const Key& key, const Value& value) {
      return value == wanted ? std::optional(key) : std::nullopt;
    };
    return select(from_start<Key>(limit, detail::direction::forwards, if_equal));
  }

  // The table itself -------------------------------------------------------------------------------------------------

  /// Returns what it is. Anybody may ask. Throws table_error when it was dropped. Mirrors `ets:info/1`.
  table_info info() const { return storage_->info(); }
  /// Returns its owner; nobody when it was dropped, is ownerless or waits for an heir.
  pid owner() const noexcept { return storage_->owner(); }

  /// Tells whether both are the same table.
  friend bool operator==(const table_rows& a, const table_rows& b) noexcept { return a.storage_ == b.storage_; }

 protected:
  explicit table_rows(std::shared_ptr<storage> rows) : storage_(std::move(rows)) {}

  static std::shared_ptr<storage> find_storage(const runtime& home, std::string_view name) {
    return std::static_pointer_cast<storage>(detail::find_table(home.core(), name, storage::row_type()));
  }
  template <class F>
  static void for_each_object(const typename storage::stored& held, F f) {
    if constexpr (detail::many_objects<Type>) {
      for (const auto& object : held) f(object);
    } else {
      f(held);
    }
  }

  std::shared_ptr<storage> storage_;

 private:
  static constexpr auto everything = [](const Key&, const Value&) { return true; };

  /// Otherwise the engine takes all keys of one hash for one place: nothing stands behind one and before another.
  static constexpr bool has_order = std::totally_ordered<Key> || Type::name == ordered_set::name;

  template <class F>
  void for_each(F visit, detail::direction way) const {
    storage_->for_each(way, [&](const Key& key, const typename storage::stored& held) {
      for_each_object(held, [&](const Value& value) { visit(key, value); });
    });
  }
  template <class Accumulator, class F>
  Accumulator fold(Accumulator start, F next, detail::direction way) const {
    for_each([&](const Key& key, const Value& value) { start = next(std::move(start), key, value); }, way);
    return start;
  }
  template <class F>
  std::vector<entry> select(F is_wanted, detail::direction way) const {
    std::vector<entry> result;
    const auto take = [&](const Key& key, const Value& value) {
      if (is_wanted(key, value)) result.emplace_back(key, value);
    };
    for_each(take, way);
    return result;
  }

  std::optional<Key> neighbour(const Key* key, detail::direction way) const {
    std::optional<Key> result;
    storage_->walk(key, way, 1, [&](const row& each) {
      if (!result) result = each.key;
    });
    return result;
  }
  std::optional<Key> beside(const Key& key, detail::direction way) const {
    if constexpr (!has_order) {
      if (auto sibling = next_of_same_hash(key, way)) return sibling;
    }
    return neighbour(&key, way);
  }
  std::optional<Key> next_of_same_hash(const Key& key, detail::direction way) const;

  static bool is_same_place(const Key& a, const Key& b) {
    if constexpr (has_order) return false;
    return std::hash<Key>{}(a) == std::hash<Key>{}(b);
  }

  template <class F>
  static auto if_wanted(F is_wanted) {
    return [is_wanted = std::move(is_wanted)](const Key& key, const Value& value) {
      return is_wanted(key, value) ? std::optional(entry(key, value)) : std::nullopt;
    };
  }
  template <class Row, class F>
  static continuation<Key, Value, Row> from_start(std::size_t limit, detail::direction way, F choose) {
    if (limit == 0) throw std::invalid_argument("a page has room for 1 row or more, not for 0");
    return {.behind = {}, .limit = limit, .way = way, .choose = std::move(choose)};
  }
};

template <class Key, class Value, class Type>
template <class Row>
auto table_rows<Key, Value, Type>::select(continuation<Key, Value, Row> from) const -> page<table_rows, Row> {
  page<table_rows, Row> result{.rows = {}, .rest = {}, .table = *this};
  std::vector<std::pair<Key, typename storage::stored>> batch;
  const auto is_full = [&] { return result.rows.size() >= from.limit; };
  bool more = true;
  for (auto count = from.limit; more && !is_full(); count *= 2) {  // few are wanted, or few are chosen
    batch.clear();
    count = std::min(count, detail::batch_size);
    more = storage_->walk(from.behind ? &*from.behind : nullptr, from.way, count,
                          [&](const row& each) { batch.emplace_back(each.key, each.value); });
    for (const auto& [key, held] : batch) {
      if (is_full() && !is_same_place(*from.behind, key)) {
        more = true;
        break;
      }
      for_each_object(held, [&](const Value& value) {
        if (auto chosen = from.choose(key, value)) result.rows.push_back(*std::move(chosen));
      });
      from.behind = key;
    }
  }
  if (more) result.rest = std::move(from);
  return result;
}

/// Goes to what stands before all of that hash, and from there through them.
template <class Key, class Value, class Type>
std::optional<Key> table_rows<Key, Value, Type>::next_of_same_hash(const Key& key, detail::direction way) const {
  const auto before = neighbour(&key, detail::direction::backwards);
  std::vector<Key> siblings;
  storage_->walk(before ? &*before : nullptr, detail::direction::forwards, 1, [&](const row& each) {
    if (is_same_place(each.key, key)) siblings.push_back(each.key);
  });
  if (way == detail::direction::backwards) std::ranges::reverse(siblings);
  const auto self = std::ranges::find(siblings, key);
  if (self == siblings.end()) return siblings.empty() ? std::nullopt : std::optional(siblings.front());
  return std::next(self) == siblings.end() ? std::nullopt : std::optional(*std::next(self));
}

}  // namespace kv
