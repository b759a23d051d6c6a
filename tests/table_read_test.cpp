// Promises under test: what is read of a key is one row, in its place or as a copy of what was asked for; who goes from
// key to key meets every row that stays exactly once, whatever is written meanwhile, and holds nothing for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "table_kinds.hpp"
#include "threads.hpp"

namespace table_read_test {

namespace {

/// Counts how often it was copied.
struct document {
  int number = 0;
  std::string title = {};
  static inline int copies = 0;

  document(int n, std::string t) : number(n), title(std::move(t)) {}
  document(const document& other) : number(other.number), title(other.title) { ++copies; }
  document(document&&) noexcept = default;
  document& operator=(const document&) = delete;
  document& operator=(document&&) = delete;
  ~document() = default;
};

template <class Table>
auto keys_forwards(const Table& t) {
  std::vector<typename Table::key_type> result;
  for (auto key = t.first(); key; key = t.next(*key)) result.push_back(*key);
  return result;
}
template <class Table>
auto keys_backwards(const Table& t) {
  std::vector<typename Table::key_type> result;
  for (auto key = t.last(); key; key = t.prev(*key)) result.push_back(*key);
  return result;
}
template <class Table>
auto keys_of_all_rows(const Table& t) {
  std::vector<typename Table::key_type> result;
  for (const auto& [key, value] : t.to_vector()) result.push_back(key);
  return result;
}
template <class Table>
void fill(Table& t, int rows) {
  for (int i = 0; i < rows; ++i) t.insert(i, -i);
}

template <class T>
auto reversed(std::vector<T> all) {
  std::ranges::reverse(all);
  return all;
}

}  // namespace

// One key -----------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("many keys are looked up in their order", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  using answers = std::vector<std::optional<int>>;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<std::string, int, Kind>>(runtime);
  t.insert({{"milk", 1}, {"eggs", 2}});
  CHECK(t.lookup_many({"eggs", "bread", "milk", "eggs"}) == answers{2, std::nullopt, 1, 2});
  CHECK(t.lookup_many(std::vector<std::string>{"milk"}) == answers{std::optional(1)});
  CHECK(t.lookup_many(std::set<std::string_view>{"milk", "eggs"}) == answers{2, 1});
  CHECK(t.lookup_many({}).empty());
}

TEST_CASE_TEMPLATE("one element is read without the others", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, document, Kind>>(runtime);
  t.insert(1, {7, "seven"});
  document::copies = 0;
  CHECK(t.lookup_element(1, &document::number) == 7);
  CHECK(t.lookup_element(1, &document::title) == "seven");
  CHECK(t.lookup_element(1, &document::title, "none") == "seven");
  CHECK_FALSE(t.lookup_element(2, &document::title));
  CHECK(t.lookup_element(2, &document::title, "none") == "none");
  CHECK(document::copies == 0);
}

TEST_CASE_TEMPLATE("a row is read in its place", Kind, kv::set, kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, document, Kind>>(runtime);
  t.insert(1, {7, "seven"});
  document::copies = 0;
  int called = 0;
  CHECK(t.read(1, [](const document& d) { return d.title.size(); }) == 5);
  CHECK(t.read(1, [&](const document&) { ++called; }));
  CHECK(called == 1);
  CHECK_FALSE(t.read(2, [&](const document& d) { return ++called, d.number; }));
  CHECK_FALSE(t.read(2, [&](const document&) { ++called; }));
  CHECK(called == 1);
  CHECK(document::copies == 0);
  const auto name = t.read(1, [](const document& d) -> const std::string& { return d.title; });
  static_assert(std::is_same_v<decltype(name), const std::optional<std::string>>);  // nothing of the row leaves it
  CHECK(name == "seven");
  CHECK_THROWS_AS(t.read(1, [](const document&) { throw std::domain_error("torn"); }), std::domain_error);
  CHECK(t.member(1));
}

TEST_CASE_TEMPLATE("what is read stays as it is while others replace and erase it" * needs_threads, Kind, kv::set,
                   kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, std::string, Kind>>(runtime);
  t.insert(1, "a text that is too long for the small string buffer");
  const auto seen = t.read(1, [&](const std::string& text) {
    t.insert(1, "another text that is too long for the small string buffer");
    t.erase(1);
    for (int i = 2; i < 1000; ++i) t.insert(i, "filler"), t.erase(i);
    return text;
  });
  CHECK(seen == "a text that is too long for the small string buffer");
  CHECK(t.size() == 0);
}

// From key to key ---------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("an empty table has no first key and no last, and nothing beside any", Kind, kv::set,
                   kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  CHECK_FALSE(t.first());
  CHECK_FALSE(t.last());
  CHECK_FALSE(t.next(1));
  CHECK_FALSE(t.prev(1));
  t.insert(1, 0);
  CHECK(t.first() == 1);
  CHECK(t.last() == 1);
  CHECK_FALSE(t.next(1));
  CHECK_FALSE(t.prev(1));
}

TEST_CASE_TEMPLATE("from key to key is the order of all rows, and back its reverse", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  fill(t, 500);
  const auto all = keys_of_all_rows(t);
  CHECK(all.size() == 500);
  CHECK(std::set(all.begin(), all.end()).size() == 500);
  CHECK(keys_forwards(t) == all);
  CHECK(keys_backwards(t) == reversed(all));
  if (is_ordered<Kind>) CHECK(std::ranges::is_sorted(all));
}

TEST_CASE_TEMPLATE("text keys are stepped through by views", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<std::string, int, Kind>>(runtime);
  t.insert({{"a", 1}, {"b", 2}, {"", 3}});
  CHECK(keys_forwards(t) == reversed(keys_backwards(t)));
  CHECK(keys_forwards(t).size() == 3);
  if (is_ordered<Kind>) CHECK(t.next("ab") == "b");
}

TEST_CASE_TEMPLATE("an ordered table knows what is beside a key that is not there", Kind, kv::ordered_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  for (const int key : {5, 1, 3}) t.insert(key, key);
  CHECK(t.first() == 1);
  CHECK(t.last() == 5);
  CHECK(t.next(0) == 1);
  CHECK(t.next(1) == 3);
  CHECK(t.next(2) == 3);
  CHECK_FALSE(t.next(5));
  CHECK_FALSE(t.next(9));
  CHECK(t.prev(9) == 5);
  CHECK(t.prev(4) == 3);
  CHECK_FALSE(t.prev(1));
  CHECK_FALSE(t.prev(0));
}

TEST_CASE_TEMPLATE("a key that is erased keeps its place", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  fill(t, 300);
  const auto all = keys_forwards(t);
  for (std::size_t i = 1; i + 1 < all.size(); i += 2) t.erase(all[i]);
  for (std::size_t i = 1; i + 1 < all.size(); i += 2) {
    CHECK(t.next(all[i]) == all[i + 1]);
    CHECK(t.prev(all[i]) == all[i - 1]);
  }
  for (std::size_t i = 1; i + 1 < all.size(); i += 2) t.insert(all[i], 0);
  CHECK(keys_forwards(t) == all);
}

TEST_CASE_TEMPLATE("rows are erased while they are stepped through, and each is met once", Kind, kv::set,
                   kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  fill(t, 300);
  const auto all = keys_forwards(t);
  std::vector<int> seen;
  for (auto key = t.first(); key; key = t.next(*key)) seen.push_back(*key), t.erase(*key);
  CHECK(seen == all);
  CHECK(t.size() == 0);
  fill(t, 300);
  seen.clear();
  for (auto key = t.last(); key; key = t.prev(*key)) seen.push_back(*key), t.erase(*key);
  CHECK(seen == reversed(all));
}

TEST_CASE_TEMPLATE("whatever comes and goes, who steps through a table meets each row that stays once", Kind, kv::set,
                   kv::ordered_set, locked_set, locked_ordered_set) {
  constexpr int rows = 400;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  fill(t, rows);
  std::vector<int> seen(10 * rows);
  int fresh = rows;
  for (auto key = t.first(); key; key = t.next(*key)) {
    ++seen[static_cast<std::size_t>(*key)];
    if (*key % 2 == 0) t.erase((*key * 7 + 1) % rows / 2 * 2);  // even ones go, perhaps this one
    if (fresh < 10 * rows) t.insert(fresh++, 0);                // the table grows
    if (*key < rows) t.update(*key, [](int n) { return n + 1; });
  }
  for (std::size_t key = 0; key < seen.size(); ++key) {
    CHECK(seen[key] <= 1);
    if (key < rows && key % 2 == 1) CHECK(seen[key] == 1);
  }
}

// Keys of one hash --------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("keys of one hash are stepped through like others", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<crowded, int, Kind>>(runtime);
  for (int i = 300; i-- > 0;) t.insert(i, i);
  std::vector<crowded> wanted;
  for (int i = 0; i < 300; ++i) wanted.emplace_back(i);
  CHECK(keys_forwards(t) == wanted);
  CHECK(keys_backwards(t) == reversed(wanted));
  t.erase(100);
  CHECK(t.next(100)->number == 101);
  CHECK(t.prev(100)->number == 99);
  int met = 0;
  for (auto key = t.first(); key; key = t.next(*key)) t.erase(*key), ++met;
  CHECK(met == 299);
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("keys of one hash that have no order are each met once", Kind, kv::set, locked_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<faceless, int, Kind>>(runtime);
  for (int i = 0; i < 100; ++i) t.insert(i, i);
  const auto check_all = [](const std::vector<faceless>& met) {
    std::set<int> different;
    for (const auto& key : met) different.insert(key.number);
    CHECK(met.size() == 100);
    CHECK(different.size() == 100);
  };
  check_all(keys_of_all_rows(t));
  check_all(keys_forwards(t));
  check_all(keys_backwards(t));
  std::vector<faceless> met;
  for (auto key = t.first(); key; key = t.next(*key)) met.push_back(*key), t.erase(*key);
  check_all(met);
  CHECK(t.size() == 0);
}

}  // namespace table_read_test
