// Promises under test: a select returns the rows that it should, in the order of the table, at once or in pages; a page is
// followed by the next one whatever has become of the table; what a predicate throws is thrown, and harms nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kv/testing.hpp>

#include "refusal.hpp"
#include "table_kinds.hpp"

namespace table_select_test {

namespace {

constexpr auto all_rows = [](const auto&, const auto&) { return true; };
constexpr auto no_rows = [](const auto&, const auto&) { return false; };
constexpr auto even_keys = [](int key, const auto&) { return key % 2 == 0; };

template <class Kind>
kv::table<int, int, Kind> table_of(kv::runtime& home, int rows) {
  auto result = open_table<kv::table<int, int, Kind>>(home);
  for (int i = 0; i < rows; ++i) result.insert(i, i / 10);
  return result;
}

/// Goes through all pages, each of which must be full but the last; returns the rows of all.
template <class Page>
auto rows_of_pages(Page page, std::size_t limit) {
  auto result = page.rows;
  while (page.rest) {
    CHECK(page.rows.size() == limit);
    page = page.next();
    result.insert(result.end(), page.rows.begin(), page.rows.end());
  }
  CHECK(page.rows.size() <= limit);
  CHECK(page.next().rows.empty());
  return result;
}

template <class T>
auto reversed(std::vector<T> all) {
  std::ranges::reverse(all);
  return all;
}

}  // namespace

// At once -----------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a select returns the rows that are wanted", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  const auto t = table_of<Kind>(runtime, 500);
  CHECK(t.select(all_rows) == t.to_vector());
  CHECK(t.select(no_rows).empty());
  CHECK(t.select([](int key, int value) { return key == 77 && value == 7; }) == std::vector{std::pair(77, 7)});
  const auto even = t.select(even_keys);
  CHECK(even.size() == 250);
  CHECK(std::ranges::all_of(even, [](const auto& each) { return each.first % 2 == 0; }));
  CHECK(t.select_count(even_keys) == 250);
  CHECK(t.select_count(no_rows) == 0);
  CHECK(t.select_reverse(even_keys) == reversed(even));
  if (is_ordered<Kind>) CHECK(std::ranges::is_sorted(even));
}

TEST_CASE_TEMPLATE("a fold goes back as well", Kind, kv::set, kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  const auto t = table_of<Kind>(runtime, 300);
  const auto collect = [](std::vector<int> keys, int key, int) { return keys.push_back(key), keys; };
  const auto forwards = t.fold(std::vector<int>(), collect);
  CHECK(forwards.size() == 300);
  CHECK(t.fold_back(std::vector<int>(), collect) == reversed(forwards));
  CHECK(table_of<Kind>(runtime, 0).fold_back(7, [](int n, int, int) { return n + 1; }) == 7);
}

TEST_CASE_TEMPLATE("the keys of a value are found", Kind, kv::set, kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  const auto t = table_of<Kind>(runtime, 500);
  auto keys = t.match(7);
  CHECK(rows_of_pages(t.match(7, 3), 3) == keys);
  std::ranges::sort(keys);
  CHECK(keys == std::vector{70, 71, 72, 73, 74, 75, 76, 77, 78, 79});
  CHECK(t.match(1000).empty());
  CHECK(t.match(1000, 1).rows.empty());
  CHECK_FALSE(t.match(1000, 1).rest);
}

TEST_CASE_TEMPLATE("a predicate may use the table, and what it throws is thrown", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = table_of<Kind>(runtime, 300);
  const auto erased = t.select([&](int key, int) { return t.erase(key); });
  CHECK(erased.size() == 300);
  CHECK(t.size() == 0);
  t.insert(1, 1);
  const auto fail = [](int, int) -> bool { throw std::domain_error("no opinion"); };
  CHECK_THROWS_AS(t.select(fail), std::domain_error);
  CHECK_THROWS_AS(t.select(fail, 1), std::domain_error);
  CHECK_THROWS_AS(t.select_count(fail), std::domain_error);
  CHECK_THROWS_AS(t.fold(0, [](int, int, int) -> int { throw std::domain_error("full"); }), std::domain_error);
  CHECK(t.lookup(1) == 1);
}

// In pages ----------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("pages of any size hold together what a select returns", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  for (const int rows : {0, 1, 2, 20, 300}) {
    const auto t = table_of<Kind>(runtime, rows);
    const auto even = t.select(even_keys);
    for (const std::size_t limit : {1U, 2U, 3U, 9U, 10U, 11U, 127U, 128U, 129U, 1000U}) {
      CAPTURE(limit);
      CHECK(rows_of_pages(t.select(even_keys, limit), limit) == even);
      CHECK(rows_of_pages(t.select_reverse(even_keys, limit), limit) == reversed(even));
    }
  }
}

TEST_CASE_TEMPLATE("a page of rare rows looks until it is full", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  const auto t = table_of<Kind>(runtime, 2000);
  const auto page = t.select([](int key, int) { return key % 500 == 0; }, 3);
  CHECK(page.rows.size() == 3);
  CHECK(page.next().rows.size() == 1);
  CHECK_FALSE(page.next().rest);
}

TEST_CASE_TEMPLATE("a page of no rows is refused", Kind, kv::set, kv::ordered_set) {
  kv::runtime runtime({.threads = 1});
  const auto t = table_of<Kind>(runtime, 3);
  CHECK_THROWS_AS(t.select(all_rows, 0), std::invalid_argument);
  CHECK_THROWS_AS(t.select_reverse(all_rows, 0), std::invalid_argument);
  CHECK_THROWS_AS(t.match(0, 0), std::invalid_argument);
}

TEST_CASE_TEMPLATE("a continuation outlives what it stands on, and can be used again", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = table_of<Kind>(runtime, 100);
  const auto all = t.to_vector();
  const auto page = t.select(all_rows, 10);
  const auto second = std::vector(all.begin() + 10, all.begin() + 20);
  CHECK(page.next().rows == second);
  CHECK(t.select(*page.rest).rows == second);
  CHECK(page.rest->behind == all[9].first);
  for (const auto& [key, value] : page.rows) t.erase(key);
  CHECK(page.next().rows == second);
  t.insert(page.rows);
  CHECK(page.next().rows == second);
  t.clear();
  CHECK(page.next().rows.empty());
}

TEST_CASE_TEMPLATE("pages of a table that others erase are those of the rest", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = table_of<Kind>(runtime, 300);
  std::set<int> seen;
  for (auto page = t.select(all_rows, 7); !page.rows.empty(); page = page.next()) {
    for (const auto& [key, value] : page.rows) {
      CHECK(seen.insert(key).second);
      t.erase(key);
    }
  }
  CHECK(seen.size() == 300);
}

TEST_CASE("a page of a table that was dropped has no next") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe p(runtime);
  auto t = p.run([&] { return kv::table<int, int>::create(runtime); });
  p.run([&] { t.insert({{1, 1}, {2, 2}}); });
  const auto page = t.select(all_rows, 1);
  p.run([&] { t.drop(); });
  CHECK(refusal([&] { page.next(); }) == kv::table_error::code::no_table);
}

TEST_CASE_TEMPLATE("keys of one hash are cut into pages if they have an order", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<crowded, int, Kind>>(runtime);
  for (int i = 0; i < 300; ++i) t.insert(i, i);
  CHECK(rows_of_pages(t.select(all_rows, 7), 7) == t.to_vector());
  CHECK(rows_of_pages(t.select_reverse(all_rows, 7), 7) == reversed(t.to_vector()));
}

TEST_CASE_TEMPLATE("keys of one hash that have no order stay on one page", Kind, kv::set, locked_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<faceless, int, Kind>>(runtime);
  for (int i = 0; i < 300; ++i) t.insert(i, i);
  const auto page = t.select(all_rows, 7);
  CHECK(page.rows.size() == 300);
  CHECK(page.next().rows.empty());
  CHECK(t.select_reverse(all_rows, 7).rows.size() == 300);
}

}  // namespace table_select_test
