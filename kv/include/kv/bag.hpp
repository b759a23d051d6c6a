// Tables of many objects for a key.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/table_ref.hpp>
#include <kv/table_writes.hpp>

namespace kv {

/// A bag to read from. It holds objects: pairs of key and value. No two are equal; those of one key are in the order in
/// which they were inserted, and are read and written together: each operation is atomic for its key, with all that it
/// holds. What is said of table_ref holds here, too.
///
/// Writing one object takes as long as copying all of its key.
template <class Key, class Value, class Type>
  requires detail::many_objects<Type>
class table_ref<Key, Value, Type> : public table_rows<Key, Value, Type> {
 protected:
  using base = table_rows<Key, Value, Type>;
  using base::storage_;
  using typename base::row;
  using typename base::storage;

 public:
  using typename base::key_arg;
  using values = std::vector<Value>;

  /// Returns the table of that name, if there is one. Throws table_error when its rows are of another type.
  /// Mirrors `ets:whereis/1`.
  static std::optional<table_ref> find(const runtime& home, std::string_view name) {
    auto found = base::find_storage(home, name);
    return found ? std::optional(table_ref(std::move(found))) : std::nullopt;
  }

  /// Returns the values of a key; none when it is absent. O(values). Mirrors `ets:lookup/2`.
  values lookup(key_arg key) const { return storage_->visit(key, values_of); }
  /// Returns the values of many keys, in their order; each is read by itself. ETS has no such function.
  template <std::ranges::input_range Keys = std::initializer_list<std::remove_cvref_t<key_arg>>>
    requires std::convertible_to<std::ranges::range_reference_t<Keys>, key_arg>
  std::vector<values> lookup_many(Keys&& keys) const {
    return storage_->visit_each(keys, values_of);
  }
  /// Returns copies of one member of each value. Mirrors `ets:lookup_element/3`, which fails when the key is absent.
  template <class Row, class Member>
    requires std::is_object_v<Member>
  std::vector<Member> lookup_element(key_arg key, Member Row::* member) const {
    return storage_->visit(key, [member](const row* found) {
      std::vector<Member> result;
      if (found) {
        for (const auto& each : found->value) result.push_back(each.*member);
      }
      return result;
    });
  }
  /// Reads the values in their place, without a copy: see table_ref<Key, Value, set>::read.
  template <std::invocable<const values&> F>
  auto read(key_arg key, F visit) const {
    return storage_->read(key, [&](const values* found) { return detail::visit_if_there(found, visit); });
  }

 protected:
  explicit table_ref(std::shared_ptr<storage> rows) : base(std::move(rows)) {}

 private:
  static constexpr auto values_of = [](const row* found) { return found ? found->value : values(); };
};

/// The part of a bag that writes. What is said of table_writes for the other kinds holds here, too.
///
/// As in ETS, there is nothing that changes an object: it is erased, and another one is inserted.
template <class Key, class Value, class Type>
  requires detail::many_objects<Type>
class table_writes<Key, Value, Type> : public table_ref<Key, Value, Type> {
 protected:
  using base = table_ref<Key, Value, Type>;
  using typename base::storage;
  using verdict = typename storage::verdict;
  using base::storage_;

 public:
  using typename base::entry;
  using typename base::key_arg;
  using typename base::values;

  // Put in and take out ----------------------------------------------------------------------------------------------

  /// Adds an object, behind the others of its key, unless there is an equal one. Mirrors `ets:insert/2`.
  void insert(key_arg key, const Value& value) {
    storage_->modify(key, [&](const values* found) {
      auto next = found ? *found : values();
      return add(next, value) ? verdict::put(std::move(next)) : verdict::leave();
    });
  }
  /// Adds them all in one step: who sees one of them sees all. When it throws, none is there. It begins again when
  /// somebody else has written one of these keys, or of few others, meanwhile. Mirrors `ets:insert/2` with a list.
  void insert(const std::vector<entry>& entries);
  /// Adds an object if its key is absent; otherwise returns what that holds and changes nothing. Mirrors
  /// `ets:insert_new/2`.
  values insert_new(key_arg key, Value value) {
    values fresh;
    fresh.push_back(std::move(value));
    const auto result = storage_->put(key, std::move(fresh), storage::expectation::absent());
    return result.done ? values() : result.before->value;
  }
  /// Adds them all in one step, if none of the keys is there; otherwise returns the first that is, and changes nothing.
  /// Mirrors `ets:insert_new/2` with a list.
  std::optional<Key> insert_new(const std::vector<entry>& entries) {
    const auto all = grouped(entries, [](const Key&) { return values(); });
    const auto in_the_way = storage_->put_all(rows_of(all), true);
    return in_the_way ? std::optional(all[*in_the_way].first) : std::nullopt;
  }
  /// Removes all objects of a key; tells whether there were any. Mirrors `ets:delete/2`.
  bool erase(key_arg key) { return bool(storage_->remove(key).before); }
  /// Removes all objects of a key; returns what they held. Mirrors `ets:take/2`.
  values take(key_arg key) {
    const auto result = storage_->remove(key);
    return result.before ? result.before->value : values();
  }
  /// Removes that object; tells whether it was there. Mirrors `ets:delete_object/2`.
  bool erase_if_equal(key_arg key, const Value& value) {
    return erase_of(key, [&](const Value& each) { return each == value; }) != 0;
  }

  // Many -------------------------------------------------------------------------------------------------------------

  /// Removes the objects for which `is_wanted(key, value)` holds; returns how many. Takes one key after the other; when
  /// `is_wanted` throws, what was done before stays done. Mirrors `ets:select_delete/2`.
  template <std::predicate<const Key&, const Value&> F>
  std::size_t select_delete(F is_wanted) {
    storage_->check_write();
    std::size_t result = 0;
    storage_->for_each_key(
        [&](const Key& key) { result += erase_of(key, [&](const Value& value) { return is_wanted(key, value); }); });
    return result;
  }
  /// Removes every object, in one step. While they are destroyed, other processes have their turn in between. Mirrors
  /// `ets:delete_all_objects/1`.
  void clear() { storage_->clear(); }

 protected:
  using base::base;

 private:
  using groups = std::vector<std::pair<Key, values>>;

  /// Somebody else was faster.
  struct overtaken {};

  static bool add(values& to, const Value& value) {
    if (std::ranges::find(to, value) != to.end()) return false;
    to.push_back(value);
    return true;
  }
  /// Returns what the keys hold when these are added to `start(key)`. The first that is named comes first.
  template <class F>
  static groups grouped(const std::vector<entry>& entries, F start) {
    groups result;
    std::unordered_map<Key, std::size_t> places;
    for (const auto& [key, value] : entries) {
      const auto [place, is_new] = places.try_emplace(key, result.size());
      if (is_new) result.emplace_back(key, start(key));
      add(result[place->second].second, value);
    }
    return result;
  }
  auto rows_of(const groups& all) const {
    std::vector<typename storage::owned> result;
    result.reserve(all.size());
    for (const auto& [key, held] : all) result.push_back(storage_->rows.make(key, held));
    return result;
  }
  template <class F>
  std::size_t erase_of(key_arg key, F is_wanted) {
    std::size_t result = 0;
    storage_->modify(key, [&](const values* found) {
      auto next = found ? *found : values();
      result = std::erase_if(next, is_wanted);
      if (result == 0) return verdict::leave();
      return next.empty() ? verdict::remove_if(true) : verdict::put(std::move(next));
    });
    return result;
  }
};

template <class Key, class Value, class Type>
  requires detail::many_objects<Type>
void table_writes<Key, Value, Type>::insert(const std::vector<entry>& entries) {
  using journal = detail::write_journal;
  for (;;) {
    journal::state before;
    const auto read = [&](const Key& key) {
      const auto stripe = journal::stripe_of<Key>(key);
      const auto found = storage_->find_locked(key, [&] { before.note(storage_->writes, stripe); });
      return found ? found->value : values();
    };
    const auto all = grouped(entries, read);
    const auto check = [&](const auto& mine) {
      if (!mine.is_first_since(before)) throw overtaken{};
    };
    try {
      storage_->put_all(rows_of(all), false, check);
      return;
    } catch (const overtaken&) {
    }
  }
}

}  // namespace kv
