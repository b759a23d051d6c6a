// The reading half of a table.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/detail/core.hpp>
#include <kv/detail/table_storage.hpp>
#include <kv/process.hpp>
#include <kv/runtime.hpp>
#include <kv/table_types.hpp>

namespace kv {

/// A table to read from: what it cannot do does not compile. Every table is one, and a function that shall only read
/// takes this.
///
/// It is a reference: small, copied freely, and safe to hold after the table is gone. Every operation may be used from
/// any thread and any process that the table's access admits, is atomic for its key, takes no lock and never waits for
/// a writer. Anything that the access forbids, or on a table that was dropped, throws table_error.
///
/// Not promised: consistency across keys. `Key` needs `==` and std::hash, in an ordered_set also `<`; where it is
/// std::string, keys are passed as std::string_view and a lookup allocates nothing for them.
template <class Key, class Value, class Type = set>
class table_ref {
 protected:
  using storage = detail::table_storage<Key, Value, Type>;
  using row = typename storage::row;

 public:
  using key_arg = detail::key_view<Key>;
  using entry = std::pair<Key, Value>;

  /// Returns the table of that name, if there is one. Throws table_error when its rows are of another type.
  /// Mirrors `ets:whereis/1`.
  static std::optional<table_ref> find(const runtime& home, std::string_view name) {
    auto found = find_storage(home, name);
    return found ? std::optional(table_ref(std::move(found))) : std::nullopt;
  }

  // One key ----------------------------------------------------------------------------------------------------------

  /// Returns the value of a key. O(1); in an ordered_set O(log n). Mirrors `ets:lookup/2`.
  std::optional<Value> lookup(key_arg key) const {
    return storage_->visit(key, [](const row* found) { return found ? std::optional(found->value) : std::nullopt; });
  }
  /// Tells whether the key is there. Mirrors `ets:member/2`.
  bool member(key_arg key) const {
    return storage_->visit(key, [](const row* found) { return found != nullptr; });
  }

  // All of them ------------------------------------------------------------------------------------------------------

  /// Folds `next(accumulator, key, value)` over the rows. A key that is there throughout is visited exactly once, one
  /// that comes or goes meanwhile at most once; nothing is said of what other keys hold at that moment. The order is the
  /// table's: of keys, or none. `next` sees copies and may do what it likes, also write to the table or block. Mirrors
  /// `ets:foldl/3`.
  template <class Accumulator, class F>
  Accumulator fold(Accumulator start, F next) const {
    std::vector<entry> batch;
    std::optional<Key> last;
    for (bool more = true; more;) {
      storage_->home().interleave();
      batch.clear();
      more = storage_->rows.walk(last ? &*last : nullptr, detail::batch_size,
                                 [&](const row& each) { batch.emplace_back(each.key, each.value); });
      storage_->check_read();
      if (!batch.empty()) last = batch.back().first;
      for (const auto& [key, value] : batch) start = next(std::move(start), key, value);
    }
    return start;
  }
  /// Calls `visit(key, value)` for every row: fold() without an accumulator.
  template <class F>
  void for_each(F visit) const {
    fold(0, [&](int, const Key& key, const Value& value) { return visit(key, value), 0; });
  }
  /// Returns all rows: fold() into a vector. Mirrors `ets:tab2list/1`.
  std::vector<entry> to_vector() const {
    std::vector<entry> result;
    for_each([&](const Key& key, const Value& value) { result.emplace_back(key, value); });
    return result;
  }
  /// Returns the number of rows at one moment. O(shards).
  std::size_t size() const {
    storage_->home().interleave();
    const auto result = storage_->size();
    storage_->check_read();  // afterwards: rows that go with the table are not counted as missing
    return result;
  }

  // The table itself -------------------------------------------------------------------------------------------------

  /// Returns what it is. Anybody may ask. Throws table_error when it was dropped. Mirrors `ets:info/1`.
  table_info info() const { return storage_->info(); }
  /// Returns its owner; nobody when it was dropped, is ownerless or waits for an heir.
  pid owner() const noexcept { return storage_->owner(); }

  /// Tells whether both are the same table.
  friend bool operator==(const table_ref& a, const table_ref& b) noexcept { return a.storage_ == b.storage_; }

 protected:
  explicit table_ref(std::shared_ptr<storage> rows) : storage_(std::move(rows)) {}

  static std::shared_ptr<storage> find_storage(const runtime& home, std::string_view name) {
    return std::static_pointer_cast<storage>(detail::find_table(home.core(), name, storage::row_type()));
  }

  std::shared_ptr<storage> storage_;
};

}  // namespace kv
