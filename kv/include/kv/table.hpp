// Tables: state that is shared, owned by a process, and found by name.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/detail/core.hpp>
#include <kv/detail/table_storage.hpp>
#include <kv/process.hpp>
#include <kv/runtime.hpp>
#include <kv/table_types.hpp>

namespace kv {

/// How a table is created.
struct table_options {
  /// By which others find it; one table of a name in a runtime. Empty: it has none.
  std::string name;
  table_access access = table_access::protected_;
  /// Who owns it. The calling process when it is left out; on a plain thread it must be given.
  pid owner = {};
};

/// A concurrent hash table of unique keys, in memory, owned by a process and dropped with it. ETS for C++.
///
/// A table value is a reference to it: small, copied freely, and safe to hold after the table is gone. Every operation
/// may be used from any thread and any process that the table's access admits, is atomic for its key, and never
/// switches fibers. Reads take no lock that other readers take, and never wait for a read. Anything that the access
/// forbids, or on a table that was dropped, throws table_error and changes nothing.
///
/// Not promised: consistency across keys. `Key` needs `==` and std::hash, `Value` copying; where `Key` is std::string,
/// keys are passed as std::string_view and a lookup allocates nothing for them.
template <class Key, class Value>
class table {
  using storage = detail::table_storage<Key, Value>;

 public:
  using key_arg = detail::key_view<Key>;

  /// Creates a table. Throws table_error when the name is taken or the owner is dead, std::invalid_argument when there
  /// is no owner. Mirrors `ets:new/2`.
  static table create(runtime& home, table_options options = {}) { return make(home.core(), std::move(options)); }
  /// The same in the runtime of the calling process.
  static table create(table_options options = {}) { return make(*detail::this_process().home, std::move(options)); }

  /// Returns the table of that name, if there is one. Throws table_error when its rows are of another type.
  /// Mirrors `ets:whereis/1`.
  static std::optional<table> find(const runtime& home, std::string_view name) {
    auto found = detail::find_table(home.core(), name, row_type());
    if (!found) return std::nullopt;
    return table(std::static_pointer_cast<storage>(std::move(found)));
  }

  // Read -----------------------------------------------------------------------------------------------------------

  /// Returns the value of a key. O(1). Mirrors `ets:lookup/2`.
  std::optional<Value> lookup(key_arg key) const {
    return rows_->read(key, [](const Value* found) { return found ? std::optional(*found) : std::nullopt; });
  }
  /// Tells whether the key is there. Mirrors `ets:member/2`.
  bool member(key_arg key) const {
    return rows_->read(key, [](const Value* found) { return found != nullptr; });
  }
  /// Folds `next(accumulator, key, value)` over the rows. A key that is there throughout is visited exactly once, one
  /// that comes or goes meanwhile at most once; nothing is said of the order, or of what other keys hold at that
  /// moment. `next` sees copies and may do what it likes, also write to the table or block. Mirrors `ets:foldl/3`.
  template <class Accumulator, class F>
  Accumulator fold(Accumulator start, F next) const {
    rows_->home().interleave();
    for (std::size_t i = 0; i < storage::shard_count; ++i) {
      const auto rows = rows_->copy_shard(i);
      if (!rows.empty()) rows_->home().interleave();
      for (const auto& [key, value] : rows) start = next(std::move(start), key, value);
    }
    return start;
  }
  /// Calls `visit(key, value)` for every row: fold() without an accumulator.
  template <class F>
  void for_each(F visit) const {
    fold(0, [&](int, const Key& key, const Value& value) { return visit(key, value), 0; });
  }
  /// Returns all rows: fold() into a vector. Mirrors `ets:tab2list/1`.
  std::vector<std::pair<Key, Value>> to_vector() const {
    std::vector<std::pair<Key, Value>> result;
    for_each([&](const Key& key, const Value& value) { result.emplace_back(key, value); });
    return result;
  }
  /// Returns the number of rows; while others write, that of some moment for each part of the table. O(shards).
  std::size_t size() const {
    rows_->home().interleave();
    const auto result = rows_->size();
    rows_->check_read();  // afterwards: rows that go with the table are not counted as missing
    return result;
  }

  // Write ----------------------------------------------------------------------------------------------------------

  /// Sets the value of a key, whether it was there or not. Mirrors `ets:insert/2`.
  void insert(key_arg key, Value value) {
    rows_->write(key, [&](auto& rows, auto row) {
      if (row == rows.end()) {
        rows.emplace(Key(key), std::move(value));
      } else {
        std::swap(row->second, value);  // the old value is destroyed outside the lock
      }
    });
  }
  /// Sets the value of a key that is not there; otherwise returns what is there and changes nothing.
  /// Mirrors `ets:insert_new/2`.
  std::optional<Value> insert_new(key_arg key, Value value) {
    return rows_->write(key, [&](auto& rows, auto row) -> std::optional<Value> {
      if (row != rows.end()) return row->second;
      rows.emplace(Key(key), std::move(value));
      return std::nullopt;
    });
  }
  /// Removes a key; tells whether it was there. Mirrors `ets:delete/2`.
  bool erase(key_arg key) { return take(key).has_value(); }
  /// Removes a key; returns what it held. Mirrors `ets:take/2`.
  std::optional<Value> take(key_arg key) {
    return rows_->write(key, [](auto& rows, auto row) -> std::optional<Value> {
      if (row == rows.end()) return std::nullopt;
      std::optional<Value> gone(std::move(row->second));
      rows.erase(row);
      return gone;
    });
  }
  /// Removes a key if it holds exactly that; tells whether it did. Mirrors `ets:delete_object/2`.
  bool erase_if_equal(key_arg key, const Value& expected) {
    std::optional<Value> gone;  // destroyed outside the lock
    rows_->write(key, [&](auto& rows, auto row) {
      if (row == rows.end() || !(row->second == expected)) return;
      gone.emplace(std::move(row->second));
      rows.erase(row);
    });
    return gone.has_value();
  }
  /// Replaces the value of a key by `change(old)`, where `old` is a `const Value&`; returns the new value, or nothing
  /// when the key is absent. When `change` throws, that is thrown and nothing has changed. It runs inside the table's
  /// lock: it must be short, and must neither block nor use any table. Mirrors `ets:update_element/3` and
  /// `ets:update_counter/3`.
  template <std::invocable<const Value&> F>
  std::optional<Value> update(key_arg key, F change) {
    std::optional<Value> old;  // destroyed outside the lock
    return rows_->write(key, [&](auto& rows, auto row) -> std::optional<Value> {
      if (row == rows.end()) return std::nullopt;
      Value next = change(std::as_const(row->second));
      std::optional<Value> result(next);
      old.emplace(std::exchange(row->second, std::move(next)));
      return result;
    });
  }

  // The table itself -----------------------------------------------------------------------------------------------

  /// Drops the table with all its rows. Only the owner may, even when the table is public: ETS lets everybody, and one
  /// careless client then loses everybody's data. Mirrors `ets:delete/1`.
  void drop() { detail::drop_table(*rows_); }
  /// Returns what it is. Anybody may ask. Throws table_error when it was dropped. Mirrors `ets:info/1`.
  table_info info() const { return rows_->info(); }
  /// Returns its owner; nobody when it was dropped.
  pid owner() const noexcept { return rows_->owner(); }

  /// Tells whether both are the same table.
  friend bool operator==(const table& a, const table& b) noexcept { return a.rows_ == b.rows_; }

 private:
  static table make(detail::core& home, table_options options) {
    const auto owner = options.owner ? options.owner : self_if_any().value_or(pid{});
    auto made = std::make_shared<storage>(std::move(options.name), options.access, row_type(), home);
    detail::add_table(home, made, owner);
    return table(std::move(made));
  }
  explicit table(std::shared_ptr<storage> rows) : rows_(std::move(rows)) {}
  static std::type_index row_type() { return typeid(std::pair<Key, Value>); }

  std::shared_ptr<storage> rows_;
};

/// Returns what every table of the runtime is, in no order. Mirrors `ets:all/0`.
std::vector<table_info> all_tables(const runtime& home);

}  // namespace kv
