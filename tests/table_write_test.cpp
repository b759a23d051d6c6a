// Promises under test: a list is inserted as a whole or not at all, whatever throws and whoever looks on; through a table_ref
// one can read, and nothing else compiles.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "table_kinds.hpp"
#include "threads.hpp"

namespace table_write_test {

namespace {

struct item {
  std::string shop = {};
  int price = 0;
};

/// Throws when the unlucky one is copied.
struct fragile {
  int number;
  fragile(int n) : number(n) {}
  fragile(const fragile& other) : number(other.number) {
    if (number == 13) throw std::domain_error("broken");
  }
  fragile& operator=(const fragile&) = default;
  ~fragile() = default;
};

template <class Kind>
using numbers = kv::table<int, int, Kind>;

/// Returns the rows in the order of their keys.
template <class Table>
auto sorted_rows(const Table& t) {
  auto result = t.to_vector();
  std::ranges::sort(result);
  return result;
}
using rows = std::vector<std::pair<int, int>>;

// What compiles -----------------------------------------------------------------------------------------------------

constexpr auto any = [](const auto&, const auto&) { return true; };
constexpr auto same = [](const auto& value) { return value; };
constexpr auto same_row = [](const auto&, const auto& value) { return value; };

// clang-format off
template <class T> concept can_insert = requires(T t, item i) { t.insert("milk", i); };
template <class T> concept can_insert_list = requires(T t) { t.insert({{"milk", item()}}); };
template <class T> concept can_insert_new = requires(T t, item i) { t.insert_new("milk", i); };
template <class T> concept can_insert_new_list = requires(T t) { t.insert_new({{"milk", item()}}); };
template <class T> concept can_erase = requires(T t) { t.erase("milk"); };
template <class T> concept can_erase_if_equal = requires(T t, item i) { t.erase_if_equal("milk", i); };
template <class T> concept can_take = requires(T t) { t.take("milk"); };
template <class T> concept can_update = requires(T t) { t.update("milk", same); };
template <class T> concept can_update_element = requires(T t) { t.update_element("milk", &item::price, 1); };
template <class T> concept can_update_counter = requires(T t) { t.update_counter("milk", kv::add(1).to(&item::price)); };
template <class T> concept can_replace_if = requires(T t, item i) { t.replace_if("milk", i, i); };
template <class T> concept can_select_delete = requires(T t) { t.select_delete(any); };
template <class T> concept can_select_replace = requires(T t) { t.select_replace(any, same_row); };
template <class T> concept can_clear = requires(T t) { t.clear(); };
template <class T> concept can_drop = requires(T t) { t.drop(); };
// clang-format on
template <class T>
constexpr int ways_to_put_in_and_take_out =
    can_insert<T> + can_insert_list<T> + can_insert_new<T> + can_insert_new_list<T> + can_erase<T> +
    can_erase_if_equal<T> + can_take<T> + can_select_delete<T> + can_clear<T> + can_drop<T>;
template <class T>
constexpr int ways_to_change =
    can_update<T> + can_update_element<T> + can_update_counter<T> + can_replace_if<T> + can_select_replace<T>;

template <class Kind, int changes>
constexpr bool only_a_table_writes = ways_to_put_in_and_take_out<kv::table<std::string, item, Kind>> == 10 &&
                                     ways_to_change<kv::table<std::string, item, Kind>> == changes &&
                                     ways_to_put_in_and_take_out<kv::table_ref<std::string, item, Kind>> == 0 &&
                                     ways_to_change<kv::table_ref<std::string, item, Kind>> == 0;
static_assert(only_a_table_writes<kv::set, 5>);
static_assert(only_a_table_writes<kv::ordered_set, 5>);
static_assert(only_a_table_writes<kv::bag, 0>);  // as in ETS
template <class Kind>
constexpr bool is_read_only = std::is_convertible_v<kv::table<int, int, Kind>, kv::table_ref<int, int, Kind>> &&
                              !std::is_convertible_v<kv::table_ref<int, int, Kind>, kv::table<int, int, Kind>> &&
                              !std::is_constructible_v<kv::table<int, int, Kind>, kv::table_ref<int, int, Kind>>;
static_assert(is_read_only<kv::set> && is_read_only<kv::ordered_set> && is_read_only<kv::bag>);

}  // namespace

// Lists -------------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a list is inserted, over what is there", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  t.insert({});
  CHECK(t.size() == 0);
  t.insert({{1, 10}, {2, 20}});
  t.insert({{2, 21}, {3, 30}, {3, 31}});  // the later wins
  CHECK(sorted_rows(t) == rows{{1, 10}, {2, 21}, {3, 31}});
  rows many;
  for (int i = 0; i < 1000; ++i) many.emplace_back(i, -i);
  t.insert(many);
  CHECK(sorted_rows(t) == many);
}

TEST_CASE_TEMPLATE("a list is inserted if it is all new, otherwise the first key in the way is told", Kind, kv::set,
                   kv::ordered_set, locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  CHECK_FALSE(t.insert_new({}));
  CHECK_FALSE(t.insert_new({{1, 10}, {2, 20}}));
  CHECK(t.insert_new({{3, 30}, {2, 0}, {1, 0}}) == 2);
  CHECK(t.insert_new({{1, 0}}) == 1);
  CHECK(sorted_rows(t) == rows{{1, 10}, {2, 20}});
  CHECK_FALSE(t.insert_new({{3, 30}, {3, 31}}));
  CHECK(t.lookup(3) == 31);
}

TEST_CASE_TEMPLATE("a list that throws while its rows are made leaves none", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, fragile, Kind>>(runtime);
  std::vector<std::pair<int, fragile>> list;
  for (int i = 10; i < 20; ++i) list.emplace_back(i, i == 13 ? 0 : i);
  list[3].second.number = 13;
  CHECK_THROWS_AS(t.insert(std::move(list)), std::domain_error);
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("who sees one of a list sees all of it" * needs_threads, Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  constexpr int keys = 20;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int version = 1; version <= 300; ++version) {
      rows list;
      for (int key = 0; key < keys; ++key) list.emplace_back(key, version);
      t.insert(list);
    }
    done = true;
  });
  int wrong = 0;
  while (!done) {
    int least = 0;
    for (int key = 0; key < keys; ++key) {
      const int version = t.lookup(key).value_or(0);
      if (version < least) ++wrong;
      least = version;
    }
  }
  writer.join();
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("of lists that share a key, one is new" * needs_threads, Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  int both = 0;
  for (int round = 0; round < 300; ++round) {
    const int base = 10 * round;
    std::optional<int> in_the_way[2];
    std::latch start(2);
    const auto race = [&](int who) {
      start.arrive_and_wait();
      in_the_way[who] = t.insert_new({{base + who, who}, {base + 5, who}});
    };
    std::thread other(race, 1);
    race(0);
    other.join();
    const int winner = t.lookup(base + 5).value_or(-1);
    const bool is_one = in_the_way[winner] == std::nullopt && in_the_way[1 - winner] == base + 5 &&
                        t.member(base + winner) && !t.member(base + 1 - winner);
    both += is_one ? 0 : 1;
  }
  CHECK(both == 0);
}

}  // namespace table_write_test
