// Every operation of tables as a function of a table or a model that returns its answer as text, so that answers can be
// compared.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "table_answers.hpp"
#include "table_kinds.hpp"
#include "table_models.hpp"

/// What one operation is about, and to be done with.
struct step {
  struct verb {
    std::size_t index = 0;
    std::string_view name = {};
  };
  verb what = {};
  int key = 0;
  int other_key = 0;
  item value = {};
  item other = {};

  friend std::ostream& operator<<(std::ostream& out, const step& s) {
    return out << s.what.name << '(' << s.key << ", " << s.value << ", " << s.other_key << ", " << s.other << ')';
  }
};
using script = std::vector<step>;

/// Some rows that follow from the step, perhaps with a key twice.
template <class T>
auto list(const step& s) {
  std::vector<std::pair<typename T::key_type, item>> result;
  if (s.other.other != 0) result.emplace_back(s.key, s.value);
  if (s.other.other != 1) result.emplace_back(s.other_key, s.other);
  if (s.other.other == 2) result.emplace_back(s.key, s.other);
  return result;
}

// What is done where a model is simpler than a table -----------------------------------------------------------------

constexpr auto if_wanted = [](const step& s) {
  return [=](const auto& key, const item& value) { return (number(key) + value.other) % 3 == s.value.other % 3; };
};
constexpr auto change = [](const step& s) {
  return [=](const item& old) { return item{old.level, old.other + s.value.other}; };
};
constexpr auto change_row = [](const step& s) {
  return [=](const auto& key, const item& old) { return item{s.value.level, old.other + number(key)}; };
};

/// Steps of a counter that follow from the step.
inline std::vector<counting> countings(const step& s) {
  std::vector<counting> result;
  if (s.other.other != 0) result.push_back({s.value.level, std::nullopt});
  const auto limit = std::pair(int{s.value.level}, s.value.other);
  if (s.other.other != 1) result.push_back({s.other.level, s.other_key % 2 == 0 ? std::nullopt : std::optional(limit)});
  return result;
}
template <model T>
std::optional<std::vector<int>> count(T& t, const step& s, std::optional<item> fallback) {
  return t.count(s.key, countings(s), fallback);
}
template <class T>
std::optional<std::vector<int>> count(T& t, const step& s, std::optional<item> fallback) {
  std::vector<decltype(kv::add(1).to(&item::level))> steps;
  for (const auto& each : countings(s)) {
    const auto step = kv::add(each.increment).to(&item::level);
    steps.push_back(each.limit ? step.wrap_past(each.limit->first, each.limit->second) : step);
  }
  const auto plain = [](const std::vector<std::int8_t>& levels) {
    return std::vector<int>(levels.begin(), levels.end());
  };
  if (fallback) return plain(t.update_counter(s.key, steps, *fallback));
  const auto counted = t.update_counter(s.key, steps);
  return counted ? std::optional(plain(*counted)) : std::nullopt;
}

template <class Page>
auto all_rows(Page page) {
  auto result = page.rows;
  while (page.rest) {
    page = page.next();
    result.insert(result.end(), page.rows.begin(), page.rows.end());
  }
  return result;
}
inline std::size_t limit(const step& s) { return 1 + static_cast<std::size_t>(s.other_key); }

/// Tells whether next() and prev() go through all keys, each once, and are the reverse of each other, and where a key is
/// that is not there.
template <class T>
bool can_be_stepped_through(const T& t, const step& s) {
  std::vector<typename T::key_type> there, back;
  for (auto key = t.first(); key; key = t.next(*key)) there.push_back(*key);
  for (auto key = t.last(); key; key = t.prev(*key)) back.push_back(*key);
  if (there != reversed(back)) return false;
  auto rows = plain(t.to_vector());
  const auto same = std::ranges::unique(rows, {}, &std::pair<int, item>::first);
  rows.erase(same.begin(), same.end());
  if (!std::ranges::equal(
          there, rows, {}, [](const auto& key) { return number(key); }, [](const auto& each) { return each.first; }))
    return false;
  const auto behind = t.next(s.key);
  return !behind || t.member(*behind);
}

// The operations -----------------------------------------------------------------------------------------------------

template <class T>
struct operation {
  std::string_view name;
  std::string (*run)(T&, const step&);
};

/// What all kinds have.
template <class T>
std::vector<operation<T>> common_operations() {
  return {
      {"insert", [](T& t, const step& s) { return t.insert(s.key, s.value), text(); }},
      {"insert", [](T& t, const step& s) { return t.insert(s.other_key, s.other), text(); }},
      {"insert_list", [](T& t, const step& s) { return t.insert(list<T>(s)), text(); }},
      {"insert_new", [](T& t, const step& s) { return text(t.insert_new(s.key, s.value)); }},
      {"insert_new_list", [](T& t, const step& s) { return text(t.insert_new(list<T>(s))); }},
      {"lookup", [](T& t, const step& s) { return text(t.lookup(s.key)); }},
      {"member", [](T& t, const step& s) { return text(t.member(s.key)); }},
      {"erase", [](T& t, const step& s) { return text(t.erase(s.key)); }},
      {"take", [](T& t, const step& s) { return text(t.take(s.key)); }},
      {"erase_if_equal", [](T& t, const step& s) { return text(t.erase_if_equal(s.key, s.value)); }},
      {"select_delete", [](T& t, const step& s) { return text(t.select_delete(if_wanted(s))); }},
      {"clear", [](T& t, const step& s) { return s.value.other == 0 ? (t.clear(), text()) : text(); }},
      {"size", [](T& t, const step&) { return text(t.size()); }},
      {"to_vector", [](T& t, const step&) { return in_order<T>(t.to_vector()); }},
      {"select", [](T& t, const step& s) { return in_order<T>(t.select(if_wanted(s))); }},
      {"select_count", [](T& t, const step& s) { return text(t.select_count(if_wanted(s))); }},
      {"match", [](T& t, const step& s) { return keys_in_order<T>(t.match(s.value)); }},
      {"select_in_pages",
       [](T& t, const step& s) {
         if constexpr (model<T>)
           return in_order<T>(t.select(if_wanted(s)));
         else
           return in_order<T>(all_rows(t.select(if_wanted(s), limit(s))));
       }},
      {"select_reverse_in_pages",
       [](T& t, const step& s) {
         if constexpr (model<T>)
           return in_order<T>(t.select(if_wanted(s)));
         else
           return in_order_backwards<T>(all_rows(t.select_reverse(if_wanted(s), limit(s))));
       }},
      {"match_in_pages",
       [](T& t, const step& s) {
         if constexpr (model<T>)
           return keys_in_order<T>(t.match(s.value));
         else
           return keys_in_order<T>(all_rows(t.match(s.value, limit(s))));
       }},
      {"fold_back",
       [](T& t, const step&) {
         if constexpr (model<T>)
           return in_order<T>(t.to_vector());
         else
           return in_order_backwards<T>(
               t.fold_back(plain_rows(), [](plain_rows all, const auto& key, const item& value) {
                 return all.emplace_back(number(key), value), all;
               }));
       }},
      {"step_through",
       [](T& t, const step& s) {
         if constexpr (model<T>)
           return text(true);
         else
           return text(can_be_stepped_through(t, s));
       }},
  };
}

template <class T>
std::string lookup_two(T& t, const step& s) {
  if constexpr (model<T>) {
    return text(std::vector{t.lookup(s.key), t.lookup(s.other_key)});
  } else {
    return text(t.lookup_many({s.key, s.other_key}));
  }
}

/// What only sets have.
template <class T>
std::vector<operation<T>> set_operations() {
  return {
      {"lookup_many", lookup_two<T>},
      {"lookup_element",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           return text(t.member(s.key) ? t.lookup(s.key)->other : 7);
         } else {
           return text(t.lookup_element(s.key, &item::other, 7));
         }
       }},
      {"read",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           return text(t.lookup(s.key));
         } else {
           return text(t.read(s.key, [](const item& i) { return i; }));
         }
       }},
      {"update", [](T& t, const step& s) { return text(t.update(s.key, change(s))); }},
      {"update_or", [](T& t, const step& s) { return text(t.update(s.key, change(s), s.other)); }},
      {"update_element",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           return text(t.update(s.key, [&](const item& old) { return item{old.level, 7}; }).has_value());
         } else {
           return text(t.update_element(s.key, &item::other, 7));
         }
       }},
      {"update_element_or",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           t.update(s.key, [&](const item& old) { return item{old.level, 7}; }, s.other);
         } else {
           t.update_element(s.key, &item::other, 7, s.other);
         }
         return text();
       }},
      {"replace_if", [](T& t, const step& s) { return text(t.replace_if(s.key, s.value, s.other)); }},
      {"update_counter", [](T& t, const step& s) { return text(count(t, s, std::nullopt)); }},
      {"update_counter_or", [](T& t, const step& s) { return text(count(t, s, s.other)); }},
      {"select_replace", [](T& t, const step& s) { return text(t.select_replace(if_wanted(s), change_row(s))); }},
  };
}

/// What is known only of a table in the order of its keys.
template <class T>
std::vector<operation<T>> ordered_operations() {
  return {
      {"first", [](T& t, const step&) { return text(t.first()); }},
      {"last", [](T& t, const step&) { return text(t.last()); }},
      {"next", [](T& t, const step& s) { return text(t.next(s.key)); }},
      {"prev", [](T& t, const step& s) { return text(t.prev(s.key)); }},
  };
}

/// What only bags have.
template <class T>
std::vector<operation<T>> bag_operations() {
  return {
      {"lookup_many", lookup_two<T>},
      {"lookup_element",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           std::vector<int> result;
           for (const auto& each : t.lookup(s.key)) result.push_back(each.other);
           return text(result);
         } else {
           return text(t.lookup_element(s.key, &item::other));
         }
       }},
      {"read",
       [](T& t, const step& s) {
         if constexpr (model<T>) {
           return text(t.lookup(s.key).size());
         } else {
           return text(t.read(s.key, [](const auto& all) { return all.size(); }).value_or(0));
         }
       }},
  };
}
