// Promises under test: a list is inserted as a whole or not at all; a change is decided on the value that it replaces; what
// throws leaves its row as it was; reading through a table_ref is all that compiles.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "table_kinds.hpp"
#include "threads.hpp"

namespace {

struct item {
  std::string shop = {};
  int price = 0;
  friend bool operator==(const item&, const item&) = default;
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
  friend bool operator==(const fragile&, const fragile&) = default;
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

// Changes -----------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("an update starts from a fallback where the key is absent", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<std::string, int, Kind>>(runtime);
  const auto increment = [](int n) { return n + 1; };
  CHECK_FALSE(t.update("milk", increment));
  CHECK(t.update("milk", increment, 7) == 8);
  CHECK(t.update("milk", increment, 7) == 9);
  CHECK(t.update("milk", increment) == 10);
  CHECK(t.lookup("milk") == 10);
  CHECK_THROWS_AS(t.update("eggs", [](int) -> int { throw std::domain_error("none"); }, 1), std::domain_error);
  CHECK_FALSE(t.member("eggs"));
}

TEST_CASE_TEMPLATE("one element is set, and the others stay", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<std::string, item, Kind>>(runtime);
  CHECK_FALSE(t.update_element("milk", &item::price, 3));
  CHECK(t.size() == 0);
  t.update_element("milk", &item::price, 3, {.shop = "corner", .price = 9});
  CHECK(t.lookup("milk") == item{"corner", 3});
  t.update_element("milk", &item::price, 4, {.shop = "market", .price = 9});
  CHECK(t.lookup("milk") == item{"corner", 4});
  CHECK(t.update_element("milk", &item::shop, "station"));
  CHECK(t.lookup("milk") == item{"station", 4});
}

TEST_CASE_TEMPLATE("a value is replaced if it is that", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  CHECK_FALSE(t.replace_if(1, 0, 5));
  t.insert(1, 10);
  CHECK_FALSE(t.replace_if(1, 11, 5));
  CHECK(t.lookup(1) == 10);
  CHECK(t.replace_if(1, 10, 5));
  CHECK(t.replace_if(1, 5, 5));
  CHECK(t.lookup(1) == 5);
}

TEST_CASE_TEMPLATE("whatever of many changes at once, none is lost" * needs_threads, Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  constexpr int rounds = 1000;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  const auto increment_if_unchanged = [](numbers<Kind>& in) {
    for (bool is_done = false; !is_done;) {
      const int old = in.lookup(1).value();
      is_done = in.replace_if(1, old, old + 1);
    }
  };
  const auto play = [&] {
    for (int i = 0; i < rounds; ++i) {
      t.update(1, [](int n) { return n + 1; }, 0);
      t.update_counter(1, 1, 0);
      increment_if_unchanged(t);
      t.select_replace(any, [](int, int n) { return n + 1; });
    }
  };
  std::thread other(play);
  play();
  other.join();
  CHECK(t.lookup(1) == 2 * 4 * rounds);
}

TEST_CASE_TEMPLATE("a change is decided on the value that it replaces" * needs_threads, Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  std::vector<int> seen;
  // Somebody else is faster, once.
  const auto interrupted = [&](int fresh) {
    return [&, fresh, is_first = true](int value) mutable {
      seen.push_back(value);
      if (std::exchange(is_first, false)) t.insert(1, fresh);
      return value + 1;
    };
  };
  t.insert(1, 10);
  CHECK(t.update(1, interrupted(20)) == 21);
  CHECK(seen == std::vector{10, 20});
  auto in_select = interrupted(30);
  CHECK(t.select_replace(any, [&](int, int value) { return in_select(value); }) == 1);
  CHECK(t.lookup(1) == 31);
  CHECK(seen == std::vector{10, 20, 21, 30});
  auto in_delete = interrupted(41);
  CHECK(t.select_delete([&](int, int value) { return in_delete(value) % 2 == 0; }) == 1);  // 31 was odd as well
  CHECK(seen == std::vector{10, 20, 21, 30, 31, 41});
  t.insert(1, 51);
  auto in_vain = interrupted(60);
  CHECK(t.select_delete([&](int, int value) { return in_vain(value) % 2 == 0; }) == 0);
  CHECK(t.lookup(1) == 60);
}

// Many --------------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("the rows that are wanted are deleted or replaced", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  CHECK(t.select_delete(any) == 0);
  CHECK(t.select_replace(any, same_row) == 0);
  for (int i = 0; i < 300; ++i) t.insert(i, i);
  CHECK(t.select_delete([](int key, int value) { return key == value && key % 3 == 0; }) == 100);
  CHECK(t.size() == 200);
  CHECK(t.select_replace([](int key, int) { return key % 3 == 1; }, [](int key, int value) { return key + value; }) ==
        100);
  CHECK(t.lookup(1) == 2);
  CHECK(t.lookup(2) == 2);
  CHECK(t.lookup(298) == 596);
  CHECK(t.select_delete(any) == 200);
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("what was done before a predicate or a change throws stays done", Kind, kv::set, kv::ordered_set,
                   locked_set, locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<numbers<Kind>>(runtime);
  for (int i = 0; i < 10; ++i) t.insert(i, 0);
  auto at_the_fourth = [n = 0](int, int) mutable {
    if (++n == 4) throw std::domain_error("tired");
    return true;
  };
  CHECK_THROWS_AS(t.select_delete(at_the_fourth), std::domain_error);
  CHECK(t.size() == 7);
  const auto change = [&](int key, int value) { return at_the_fourth(key, value) ? 1 : 0; };
  CHECK_THROWS_AS(t.select_replace(any, change), std::domain_error);
  CHECK(t.match(1).size() == 3);
  CHECK(t.match(0).size() == 4);
}

TEST_CASE_TEMPLATE("a table is emptied, and goes on", Kind, kv::set, kv::ordered_set, locked_set, locked_ordered_set) {
  const auto token = std::make_shared<int>();
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  auto t = kv::table<int, std::shared_ptr<int>, Kind>::create(
      runtime, {.name = {}, .access = kv::table_access::public_, .owner = owner});
  t.clear();
  for (int i = 0; i < 1000; ++i) t.insert(i, token);
  t.clear();
  CHECK(t.size() == 0);
  CHECK_FALSE(t.first());
  t.insert(1, token);
  CHECK(t.lookup(1) == token);
  owner.stop();
  CHECK(token.use_count() == 1);
}
