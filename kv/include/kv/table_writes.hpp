// The writing of a table of one value for each key.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <kv/table_counter.hpp>
#include <kv/table_ref.hpp>

namespace kv {

/// The part of kv::table that writes: see there for threads, locks and errors. A bag has one of its own, in kv/bag.hpp.
///
/// Each of these is one step for its key. Functions that are passed in are called with the row as it is in its place,
/// must not wait, and are called again when somebody else has written it meanwhile: only the last call counts. What they
/// throw is thrown, and that row is as it was. A right that is missing is an error also when there is nothing to write.
template <class Key, class Value, class Type>
class table_writes : public table_ref<Key, Value, Type> {
 protected:
  using base = table_ref<Key, Value, Type>;
  using typename base::storage;
  using expectation = typename storage::expectation;
  using verdict = typename storage::verdict;
  using base::storage_;

 public:
  using typename base::entry;
  using typename base::key_arg;

  // Put in and take out ----------------------------------------------------------------------------------------------

  /// Sets the value of a key, whether it was there or not. Mirrors `ets:insert/2`.
  void insert(key_arg key, Value value) { storage_->put(key, std::move(value)); }
  /// Inserts them all in one step: who sees one of them sees all. When it throws, none is there. Of two with the same key
  /// the later wins. Mirrors `ets:insert/2` with a list.
  void insert(std::vector<entry> entries) { storage_->put_all(rows_of(entries), false); }
  /// Sets the value of a key that is not there; otherwise returns what is there and changes nothing.
  /// Mirrors `ets:insert_new/2`.
  std::optional<Value> insert_new(key_arg key, Value value) {
    const auto result = storage_->put(key, std::move(value), expectation::absent());
    return result.done ? std::nullopt : std::optional(result.before->value);
  }
  /// Inserts them all in one step, if none of the keys is there; otherwise returns the first that is, and changes nothing.
  /// Mirrors `ets:insert_new/2` with a list.
  std::optional<Key> insert_new(std::vector<entry> entries) {
    const auto in_the_way = storage_->put_all(rows_of(entries), true);
    return in_the_way ? std::optional(std::move(entries[*in_the_way].first)) : std::nullopt;
  }
  /// Removes a key; tells whether it was there. Mirrors `ets:delete/2`.
  bool erase(key_arg key) { return bool(storage_->remove(key).before); }
  /// Removes a key; returns what it held. Mirrors `ets:take/2`.
  std::optional<Value> take(key_arg key) {
    const auto result = storage_->remove(key);
    return result.before ? std::optional(result.before->value) : std::nullopt;
  }
  /// Removes a key if it holds exactly that; tells whether it did. Mirrors `ets:delete_object/2`.
  bool erase_if_equal(key_arg key, const Value& expected) {
    return storage_->modify(key, [&](const Value* found) { return verdict::remove_if(found && *found == expected); });
  }

  // Change -----------------------------------------------------------------------------------------------------------

  /// Replaces the value of a key by `change(old)`, where `old` is a `const Value&`; returns the new value, or nothing
  /// when the key is absent. ETS has no such function: a client of its own would race.
  template <std::invocable<const Value&> F>
  std::optional<Value> update(key_arg key, F change) {
    return exchange(key, nullptr, anew(change));
  }
  /// The same, as if an absent key held `fallback`. Returns the new value.
  template <std::invocable<const Value&> F>
  Value update(key_arg key, F change, const Value& fallback) {
    return *exchange(key, &fallback, anew(change));
  }
  /// Sets one member of the value: `t.update_element("milk", &item::price, 3)`; tells whether the key is there. For
  /// several at once see update(). Mirrors `ets:update_element/3`.
  template <class Row, class Member>
    requires std::is_object_v<Member>
  bool update_element(key_arg key, Member Row::* member, const std::type_identity_t<Member>& fresh) {
    return exchange(key, nullptr, in_copy([&](Value& value) { return value.*member = fresh, true; })).has_value();
  }
  /// The same, as if an absent key held `fallback`. Mirrors `ets:update_element/4`.
  template <class Row, class Member>
    requires std::is_object_v<Member>
  void update_element(key_arg key, Member Row::* member, const std::type_identity_t<Member>& fresh,
                      const Value& fallback) {
    exchange(key, &fallback, in_copy([&](Value& value) { return value.*member = fresh, true; }));
  }
  /// Replaces the value of a key if it is exactly that; tells whether it was. Mirrors `ets:select_replace/2` with a key
  /// and a value.
  bool replace_if(key_arg key, const Value& expected, const Value& fresh) {
    return storage_->modify(
        key, [&](const Value* found) { return found && *found == expected ? verdict::put(fresh) : verdict::leave(); });
  }
  /// Counts, and returns what the number is now; nothing when the key is absent. `how` is one of:
  ///
  ///     t.update_counter("milk", 1)                                       // where the value is a number
  ///     t.update_counter("milk", kv::add(1).wrap_past(99, 0))
  ///     t.update_counter("milk", kv::add(1).to(&item::sold))              // where a member is
  ///     t.update_counter("milk", std::vector{kv::add(1).to(&item::sold), kv::add(-1).to(&item::left)})
  ///
  /// A list does all of its steps, one after the other, or none, and returns a vector with the result of each. Throws
  /// std::overflow_error when a number would leave the range of its type: ETS's have none. Mirrors `ets:update_counter/3`.
  template <detail::counts<Value> Op>
  auto update_counter(key_arg key, const Op& how) {
    return exchange(key, nullptr, in_copy([&](Value& value) { return detail::count(how, value); }));
  }
  /// The same, as if an absent key held `fallback`. Mirrors `ets:update_counter/4`.
  template <detail::counts<Value> Op>
  auto update_counter(key_arg key, const Op& how, const Value& fallback) {
    return *exchange(key, &fallback, in_copy([&](Value& value) { return detail::count(how, value); }));
  }

  // Many -------------------------------------------------------------------------------------------------------------

  // Each goes from key to key, as table_rows says, and takes every row in a step of its own. When a function throws, what
  // was done before stays done.

  /// Removes the rows for which `is_wanted(key, value)` holds; returns how many. Mirrors `ets:select_delete/2`.
  template <std::predicate<const Key&, const Value&> F>
  std::size_t select_delete(F is_wanted) {
    return modify_each([&](const Key& key, const Value& value) { return verdict::remove_if(is_wanted(key, value)); });
  }
  /// Replaces the values of the rows for which `is_wanted(key, value)` holds by `change(key, value)`; returns how many.
  /// What is replaced is what both have seen. Mirrors `ets:select_replace/2`.
  template <std::predicate<const Key&, const Value&> F, std::invocable<const Key&, const Value&> Change>
  std::size_t select_replace(F is_wanted, Change change) {
    return modify_each([&](const Key& key, const Value& value) {
      return is_wanted(key, value) ? verdict::put(change(key, value)) : verdict::leave();
    });
  }
  /// Removes every row, in one step. While they are destroyed, other processes have their turn in between. Mirrors
  /// `ets:delete_all_objects/1`.
  void clear() { storage_->clear(); }

 protected:
  using base::base;

 private:
  auto rows_of(std::vector<entry>& entries) const {
    std::vector<typename storage::owned> result;
    result.reserve(entries.size());
    for (auto& [key, value] : entries) result.push_back(storage_->rows.make(key, std::move(value)));
    return result;
  }
  /// Puts the first of what `step(const Value&)` returns in the place of the value; returns the second. What is absent is
  /// left absent when `fallback` is null.
  template <class F>
  auto exchange(key_arg key, const Value* fallback, F step) {
    std::optional<typename std::invoke_result_t<F, const Value&>::second_type> result;
    storage_->modify(key, [&](const Value* found) {
      result.reset();
      const auto* const old = found ? found : fallback;
      if (!old) return verdict::leave();
      auto made = step(*old);
      result.emplace(std::move(made.second));
      return verdict::put(std::move(made.first));
    });
    return result;
  }
  template <class F>
  static auto anew(F& change) {
    return [&change](const Value& old) {
      Value next = change(old);
      Value result = next;
      return std::pair(std::move(next), std::move(result));
    };
  }
  template <class F>
  static auto in_copy(F change) {
    return [change](const Value& old) {
      Value next = old;
      auto result = change(next);
      return std::pair(std::move(next), std::move(result));
    };
  }
  template <class F>
  std::size_t modify_each(F judge) {
    storage_->check_write();
    std::size_t result = 0;
    storage_->for_each_key([&](const Key& key) {
      result +=
          storage_->modify(key, [&](const Value* found) { return found ? judge(key, *found) : verdict::leave(); });
    });
    return result;
  }
};

}  // namespace kv
