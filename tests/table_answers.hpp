// What tables and models answer, as text, so that it can be compared and read.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "table_kinds.hpp"
#include "table_models.hpp"

template <class T>
concept model = std::derived_from<T, any_model>;
/// Whether the order of what all rows are asked for is known. Otherwise it is the order of the keys for the comparison.
template <class T>
inline constexpr bool has_known_order = false;
template <class Key, class Value, class Kind>
inline constexpr bool has_known_order<kv::table<Key, Value, Kind>> = is_ordered<Kind>;

inline int number(int key) { return key; }
inline int number(const crowded& key) { return key.number; }
inline int number(const faceless& key) { return key.number; }
inline int number(const item& i) { return i.level; }

using plain_rows = std::vector<std::pair<int, item>>;

/// In the order of the keys; the objects of a key stay in theirs.
inline plain_rows by_key(const plain_rows& rows) {
  std::map<int, plain_rows> groups;
  for (const auto& each : rows) groups[each.first].push_back(each);
  plain_rows result;
  for (const auto& [key, all] : groups) result.insert(result.end(), all.begin(), all.end());
  return result;
}

inline std::string text() { return "done"; }
inline std::string text(bool yes) { return yes ? "true" : "false"; }
inline std::string text(std::size_t n) { return std::to_string(n); }
inline std::string text(int n) { return std::to_string(n); }
inline std::string text(const crowded& key) { return std::to_string(key.number); }
inline std::string text(const faceless& key) { return std::to_string(key.number); }
inline std::string text(const item& i) { return (std::ostringstream() << i).str(); }
template <class T>
std::string text(const std::vector<T>& all);
template <class A, class B>
std::string text(const std::pair<A, B>& both);
template <class T>
std::string text(const std::optional<T>& value) {
  return value ? text(*value) : "nothing";
}
template <class T>
std::string text(const std::vector<T>& all) {
  std::string result = "[";
  for (const auto& each : all) result += text(each) + ' ';
  return result + ']';
}
template <class A, class B>
std::string text(const std::pair<A, B>& both) {
  return text(both.first) + ':' + text(both.second);
}

template <class Rows>
plain_rows plain(const Rows& rows) {
  plain_rows result;
  for (const auto& [key, value] : rows) result.emplace_back(number(key), value);
  return result;
}
/// Rows in the order of their keys. In a table with a known order they come in it.
template <class T, class Rows>
std::string in_order(const Rows& rows) {
  return text(has_known_order<T> ? plain(rows) : by_key(plain(rows)));
}
template <class T, class Keys>
std::string keys_in_order(const Keys& keys) {
  std::vector<int> result;
  for (const auto& key : keys) result.push_back(number(key));
  if (!has_known_order<T>) std::ranges::sort(result);
  return text(result);
}
template <class Rows>
Rows reversed(Rows rows) {
  std::ranges::reverse(rows);
  return rows;
}
/// The objects of a key come in one order in both directions: turns them round again.
template <class T, class Rows>
std::string in_order_backwards(const Rows& rows) {
  auto forwards = reversed(plain(rows));
  for (auto i = forwards.begin(); i != forwards.end();) {
    const auto end = std::find_if(i, forwards.end(), [&](const auto& each) { return each.first != i->first; });
    std::reverse(i, end);
    i = end;
  }
  return text(has_known_order<T> ? forwards : by_key(forwards));
}
