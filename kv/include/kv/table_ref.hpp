// The reading half of a table.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/table_rows.hpp>

namespace kv {

namespace detail {

template <class Held, class F>
auto visit_if_there(const Held* found, F& visit) {
  using result = std::remove_cvref_t<std::invoke_result_t<F&, const Held&>>;
  if constexpr (std::is_void_v<result>) {
    if (found) visit(*found);
    return found != nullptr;
  } else {
    return found ? std::optional<result>(visit(*found)) : std::nullopt;
  }
}

}  // namespace detail

/// A table to read from: what it cannot do does not compile. Every table is one, and a function that shall only read
/// takes this. What can be asked of all rows is in its base, table_rows; a bag has a table_ref of its own, in kv/bag.hpp.
///
/// It is a reference: small, copied freely, and safe to hold after the table is gone. Every operation may be used from
/// any thread and any process that the table's access admits, is atomic for its key, takes no lock and never waits for
/// a writer. Anything that the access forbids, or on a table that was dropped, throws table_error, also when there is
/// nothing to read.
///
/// Not promised: consistency across keys. `Key` needs `==` and std::hash, in an ordered_set also `<`; where it is
/// std::string, keys are passed as std::string_view and a lookup allocates nothing for them. Keys and values are copied.
template <class Key, class Value, class Type = set>
class table_ref : public table_rows<Key, Value, Type> {
  static_assert(!detail::many_objects<Type>, "#include <kv/bag.hpp>");

 protected:
  using base = table_rows<Key, Value, Type>;
  using base::storage_;
  using typename base::row;
  using typename base::storage;

 public:
  using typename base::key_arg;

  /// Returns the table of that name, if there is one. Throws table_error when its rows are of another type.
  /// Mirrors `ets:whereis/1`.
  static std::optional<table_ref> find(const runtime& home, std::string_view name) {
    auto found = base::find_storage(home, name);
    return found ? std::optional(table_ref(std::move(found))) : std::nullopt;
  }

  /// Returns the value of a key. O(1); in an ordered_set O(log n). Mirrors `ets:lookup/2`.
  std::optional<Value> lookup(key_arg key) const { return storage_->visit(key, value_of); }
  /// Returns the values of many keys, in their order; each is read by itself. ETS has no such function.
  template <std::ranges::input_range Keys = std::initializer_list<std::remove_cvref_t<key_arg>>>
    requires std::convertible_to<std::ranges::range_reference_t<Keys>, key_arg>
  std::vector<std::optional<Value>> lookup_many(Keys&& keys) const {
    return storage_->visit_each(keys, value_of);
  }
  /// Returns a copy of one member of the value: `t.lookup_element("milk", &item::price)`. Mirrors `ets:lookup_element/3`,
  /// which fails when the key is absent.
  template <class Row, class Member>
    requires std::is_object_v<Member>
  std::optional<Member> lookup_element(key_arg key, Member Row::* member) const {
    return storage_->visit(
        key, [member](const row* found) { return found ? std::optional<Member>(found->value.*member) : std::nullopt; });
  }
  /// The same, or `fallback` when the key is absent. Mirrors `ets:lookup_element/4`.
  template <class Row, class Member>
    requires std::is_object_v<Member>
  Member lookup_element(key_arg key, Member Row::* member, std::type_identity_t<Member> fallback) const {
    return lookup_element(key, member).value_or(std::move(fallback));
  }
  /// Reads the value in its place, without a copy: returns what `visit(const Value&)` returns, nothing when the key is
  /// absent; if it returns void, whether the key is there. The value stays as it is meanwhile, whoever replaces it: they
  /// do not wait. `visit` must not wait; no reference to the value may leave it. Like `lookup/2`, whose copy is ETS's only
  /// way.
  template <std::invocable<const Value&> F>
  auto read(key_arg key, F visit) const {
    return storage_->read(key, [&](const Value* found) { return detail::visit_if_there(found, visit); });
  }

 protected:
  explicit table_ref(std::shared_ptr<storage> rows) : base(std::move(rows)) {}

 private:
  static constexpr auto value_of = [](const row* found) {
    return found ? std::optional<Value>(found->value) : std::nullopt;
  };
};

}  // namespace kv
