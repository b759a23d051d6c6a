// What a table should be, so plainly written that it is right: a std::map. The models have the functions of tables, as far
// as tests/table_operations.hpp uses them, and know nothing of rights, threads and pages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>
#include <vector>

/// A value with a number that soon overflows.
struct item {
  std::int8_t level = 0;
  int other = 0;
  friend auto operator<=>(const item&, const item&) = default;
  friend std::ostream& operator<<(std::ostream& out, const item& i) { return out << int{i.level} << '/' << i.other; }
};

/// How to count a level.
struct counting {
  int increment;
  std::optional<std::pair<int, int>> limit;  // threshold and start
};

class any_model {
 public:
  using key_type = int;
  using entry = std::pair<int, item>;
  using values = std::vector<item>;

  bool member(int key) const { return held_.contains(key); }
  bool erase(int key) { return held_.erase(key) != 0; }
  void clear() { held_.clear(); }
  std::size_t size() const { return to_vector().size(); }

  std::vector<entry> to_vector() const {
    std::vector<entry> result;
    for (const auto& [key, all] : held_) {
      for (const auto& value : all) result.emplace_back(key, value);
    }
    return result;
  }
  template <class F>
  std::vector<entry> select(F is_wanted) const {
    auto result = to_vector();
    std::erase_if(result, [&](const entry& each) { return !is_wanted(each.first, each.second); });
    return result;
  }
  template <class F>
  std::size_t select_count(F is_wanted) const {
    return select(is_wanted).size();
  }
  std::vector<int> match(const item& wanted) const {
    std::vector<int> result;
    for (const auto& [key, value] : to_vector()) {
      if (value == wanted) result.push_back(key);
    }
    return result;
  }
  template <class F>
  std::size_t select_delete(F is_wanted) {
    const auto before = size();
    for (auto& [key, all] : held_) {
      std::erase_if(all, [&](const item& value) { return is_wanted(key, value); });
    }
    std::erase_if(held_, [](const auto& each) { return each.second.empty(); });
    return before - size();
  }

  std::optional<int> first() const { return key_at(held_.begin()); }
  std::optional<int> last() const { return held_.empty() ? std::nullopt : key_at(std::prev(held_.end())); }
  std::optional<int> next(int key) const { return key_at(held_.upper_bound(key)); }
  std::optional<int> prev(int key) const {
    const auto behind = held_.lower_bound(key);
    return behind == held_.begin() ? std::nullopt : key_at(std::prev(behind));
  }

 protected:
  using map = std::map<int, values>;

  values at(int key) const { return held_.contains(key) ? held_.at(key) : values(); }
  std::optional<int> key_at(map::const_iterator i) const {
    return i == held_.end() ? std::nullopt : std::optional(i->first);
  }
  std::optional<int> first_there(const std::vector<entry>& entries) const {
    for (const auto& [key, value] : entries) {
      if (member(key)) return key;
    }
    return std::nullopt;
  }

  map held_;
};

class set_model : public any_model {
 public:
  std::optional<item> lookup(int key) const { return member(key) ? std::optional(at(key).front()) : std::nullopt; }

  void insert(int key, item value) { held_[key] = {value}; }
  void insert(const std::vector<entry>& entries) {
    for (const auto& [key, value] : entries) insert(key, value);
  }
  std::optional<item> insert_new(int key, item value) {
    const auto before = lookup(key);
    if (!before) insert(key, value);
    return before;
  }
  std::optional<int> insert_new(const std::vector<entry>& entries) {
    const auto in_the_way = first_there(entries);
    if (!in_the_way) insert(entries);
    return in_the_way;
  }
  std::optional<item> take(int key) {
    const auto before = lookup(key);
    erase(key);
    return before;
  }
  bool erase_if_equal(int key, const item& value) { return lookup(key) == value && erase(key); }

  template <class F>
  std::optional<item> update(int key, F change) {
    if (member(key)) insert(key, change(*lookup(key)));
    return lookup(key);
  }
  template <class F>
  item update(int key, F change, const item& fallback) {
    const auto after = change(lookup(key).value_or(fallback));
    insert(key, after);
    return after;
  }
  bool replace_if(int key, const item& expected, const item& fresh) {
    const bool is_that = lookup(key) == expected;
    if (is_that) insert(key, fresh);
    return is_that;
  }
  template <class F, class Change>
  std::size_t select_replace(F is_wanted, Change change) {
    const auto wanted = select(is_wanted);
    for (const auto& [key, value] : wanted) insert(key, change(key, value));
    return wanted.size();
  }
  /// All or none, as kv::table::update_counter.
  std::optional<std::vector<int>> count(int key, const std::vector<counting>& steps, std::optional<item> fallback) {
    auto value = member(key) ? lookup(key) : fallback;
    if (!value) return std::nullopt;
    std::vector<int> result;
    for (const auto& step : steps) result.push_back(value->level = after(value->level, step));
    insert(key, *value);
    return result;
  }

 private:
  static std::int8_t after(int level, const counting& step) {
    level += step.increment;
    if (step.limit) {
      const auto [threshold, start] = *step.limit;
      if (step.increment < 0 ? level < threshold : level > threshold) level = start;
    }
    if (level < -128 || level > 127) throw std::overflow_error("level");
    return static_cast<std::int8_t>(level);
  }
};

class bag_model : public any_model {
 public:
  values lookup(int key) const { return at(key); }

  void insert(int key, item value) {
    if (std::ranges::find(held_[key], value) == held_[key].end()) held_[key].push_back(value);
  }
  void insert(const std::vector<entry>& entries) {
    for (const auto& [key, value] : entries) insert(key, value);
  }
  values insert_new(int key, item value) {
    const auto before = at(key);
    if (before.empty()) insert(key, value);
    return before;
  }
  std::optional<int> insert_new(const std::vector<entry>& entries) {
    const auto in_the_way = first_there(entries);
    if (!in_the_way) insert(entries);
    return in_the_way;
  }
  values take(int key) {
    const auto before = at(key);
    erase(key);
    return before;
  }
  bool erase_if_equal(int key, const item& value) {
    return select_delete([&](int k, const item& v) { return k == key && v == value; }) == 1;
  }
};
