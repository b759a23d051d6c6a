// The kinds of tables that suites run over, and keys that make it hard for them.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string_view>

#include <kv/table.hpp>

#include "locked_rows.hpp"
#include "servers.hpp"

// The same kinds on an engine behind one lock, so simple that it is right.

struct locked_set {
  static constexpr std::string_view name = "set";
  template <class Key, class Stored>
  using rows = locked_rows<Key, Stored, false>;
};
struct locked_ordered_set {
  static constexpr std::string_view name = "ordered_set";
  template <class Key, class Stored>
  using rows = locked_rows<Key, Stored, true>;
};
struct locked_bag {
  static constexpr std::string_view name = "bag";
  static constexpr bool has_many_objects = true;
  template <class Key, class Stored>
  using rows = locked_rows<Key, Stored, false, kv::detail::all_it_holds>;
};

template <class Kind>
inline constexpr bool is_ordered = Kind::name == kv::ordered_set::name;

/// A key whose hash is that of all others.
struct crowded {
  int number = 0;
  crowded(int n) : number(n) {}
  friend auto operator<=>(const crowded&, const crowded&) = default;
  friend std::ostream& operator<<(std::ostream& out, const crowded& k) { return out << k.number; }
};
/// The same without an order.
struct faceless {
  int number = 0;
  faceless(int n) : number(n) {}
  friend bool operator==(const faceless&, const faceless&) = default;
  friend std::ostream& operator<<(std::ostream& out, const faceless& k) { return out << k.number; }
};

template <>
struct std::hash<crowded> {
  std::size_t operator()(const crowded&) const noexcept { return 7; }
};
template <>
struct std::hash<faceless> {
  std::size_t operator()(const faceless&) const noexcept { return 7; }
};

/// A public table of a process that lives as long as the runtime.
template <class Table>
Table open_table(kv::runtime& home) {
  return Table::create(home, {.name = {}, .access = kv::table_access::public_, .owner = home.spawn<blank>()});
}
