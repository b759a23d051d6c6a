// Promises under test: a change is decided on the value that it replaces; what throws leaves its row as it was, and what was
// done before stays done.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "table_kinds.hpp"
#include "threads.hpp"

namespace table_change_test {

namespace {

struct item {
  std::string shop = {};
  int price = 0;
  friend bool operator==(const item&, const item&) = default;
};

template <class Kind>
using numbers = kv::table<int, int, Kind>;

constexpr auto any = [](int, int) { return true; };

}  // namespace

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
  CHECK(t.select_replace(any, [](int, int value) { return value; }) == 0);
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

}  // namespace table_change_test
