// Promises under test: a bag holds many objects for a key, no two equal, in the order in which they came, and each operation
// is about all of a key.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "table_kinds.hpp"

namespace table_bag_test {

namespace {

struct line {
  std::string text = {};
  int price = 0;
  friend bool operator==(const line&, const line&) = default;
};

template <class Kind>
using words = kv::table<std::string, int, Kind>;
using values = std::vector<int>;

}  // namespace

// One key -----------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a bag keeps what is different, in the order in which it came", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<words<Kind>>(runtime);
  CHECK(t.lookup("milk").empty());
  for (const int price : {3, 1, 2, 1, 3}) t.insert("milk", price);
  t.insert("eggs", 1);
  CHECK(t.lookup("milk") == values{3, 1, 2});
  CHECK(t.member("milk"));
  CHECK(t.size() == 4);
  CHECK(t.info().size == 4);
  CHECK(t.info().type == "bag");
  CHECK(t.lookup_many({"eggs", "bread", "milk"}) == std::vector<values>{{1}, {}, {3, 1, 2}});
  CHECK(t.lookup_many({}).empty());
}

TEST_CASE_TEMPLATE("objects are erased by themselves and by their key", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<words<Kind>>(runtime);
  t.insert({{"milk", 3}, {"milk", 1}, {"milk", 2}, {"eggs", 1}});
  CHECK_FALSE(t.erase_if_equal("milk", 4));
  CHECK_FALSE(t.erase_if_equal("bread", 1));
  CHECK(t.erase_if_equal("milk", 1));
  CHECK_FALSE(t.erase_if_equal("milk", 1));
  CHECK(t.lookup("milk") == values{3, 2});
  t.insert("milk", 1);
  CHECK(t.take("milk") == values{3, 2, 1});
  CHECK(t.take("milk").empty());
  CHECK(t.erase("eggs"));
  CHECK_FALSE(t.erase("eggs"));
  CHECK_FALSE(t.first());
  t.insert("eggs", 1);
  CHECK(t.erase_if_equal("eggs", 1));  // the last of its key
  CHECK_FALSE(t.member("eggs"));
  CHECK_FALSE(t.first());
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("an object is new if its key is", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<words<Kind>>(runtime);
  CHECK(t.insert_new("milk", 1).empty());
  CHECK(t.insert_new("milk", 2) == values{1});
  CHECK_FALSE(t.insert_new({}));
  CHECK_FALSE(t.insert_new({{"eggs", 1}, {"eggs", 2}, {"eggs", 1}}));
  CHECK(t.lookup("eggs") == values{1, 2});
  CHECK(t.insert_new({{"bread", 1}, {"eggs", 3}, {"milk", 3}}) == "eggs");
  CHECK_FALSE(t.member("bread"));
  CHECK(t.size() == 3);
}

TEST_CASE_TEMPLATE("elements of objects are read, and objects in their place", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, line, Kind>>(runtime);
  t.insert({{1, {"milk", 3}}, {1, {"eggs", 2}}, {1, {"milk", 4}}});
  CHECK(t.lookup_element(1, &line::text) == std::vector<std::string>{"milk", "eggs", "milk"});
  CHECK(t.lookup_element(2, &line::text).empty());
  CHECK(t.read(1, [](const std::vector<line>& all) { return all.size(); }) == 3);
  CHECK(t.read(1, [](const std::vector<line>&) {}));
  CHECK_FALSE(t.read(2, [](const std::vector<line>& all) { return all.size(); }));
}

// All of them -------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("every object is folded over and selected, those of a key together", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  for (int i = 0; i < 600; ++i) t.insert(i % 200, i);
  CHECK(t.size() == 600);
  const auto all = t.to_vector();
  CHECK(all.size() == 600);
  for (std::size_t i = 0; i < all.size(); i += 3) {
    const auto [key, value] = all[i];
    CHECK(value == key);
    CHECK(all[i + 1] == std::pair(key, value + 200));
    CHECK(all[i + 2] == std::pair(key, value + 400));
  }
  CHECK(t.fold(0, [](int n, int, int) { return n + 1; }) == 600);
  std::vector<int> keys_back;
  t.fold_back(0, [&](int, int key, int) { return keys_back.push_back(key), 0; });
  std::ranges::reverse(keys_back);
  CHECK(std::ranges::equal(keys_back, all, {}, {}, [](const auto& each) { return each.first; }));
  const auto is_small = [](int, int value) { return value < 200; };
  CHECK(t.select(is_small).size() == 200);
  CHECK(t.select_reverse(is_small).size() == 200);
  CHECK(t.select_count(is_small) == 200);
  CHECK(t.match(477) == std::vector{77});
  CHECK(t.match(1000).empty());
}

TEST_CASE_TEMPLATE("pages do not take the objects of a key apart", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  for (int i = 0; i < 600; ++i) t.insert(i % 200, i);
  const auto any = [](int, int) { return true; };
  std::vector<std::pair<int, int>> rows;
  for (auto page = t.select(any, 7); !page.rows.empty(); page = page.next()) {
    CHECK((page.rows.size() == 9 || !page.rest));
    rows.insert(rows.end(), page.rows.begin(), page.rows.end());
  }
  CHECK(rows == t.to_vector());
  std::size_t matched = 0;
  for (auto page = t.match(3, 2); !page.rows.empty(); page = page.next()) matched += page.rows.size();
  CHECK(matched == 1);
}

TEST_CASE_TEMPLATE("a bag is stepped through key by key", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  for (int i = 0; i < 300; ++i) t.insert(i % 100, i);
  std::set<int> met;
  for (auto key = t.first(); key; key = t.next(*key)) {
    CHECK(met.insert(*key).second);
    t.erase(*key);
  }
  CHECK(met.size() == 100);
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("the objects that are wanted are deleted, and with the last one its key", Kind, kv::bag,
                   locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  CHECK(t.select_delete([](int, int) { return true; }) == 0);
  for (int i = 0; i < 300; ++i) t.insert(i % 100, i);
  CHECK(t.select_delete([](int key, int value) { return value >= 100 || key < 50; }) == 250);
  CHECK(t.size() == 50);
  CHECK_FALSE(t.member(49));
  CHECK(t.lookup(50) == values{50});
  const auto at_the_third = [n = 0](int, int) mutable {
    if (++n == 3) throw std::domain_error("tired");
    return true;
  };
  CHECK_THROWS_AS(t.select_delete(at_the_third), std::domain_error);
  CHECK(t.size() == 48);
  t.clear();
  CHECK(t.size() == 0);
  t.insert(1, 1);
  CHECK(t.size() == 1);
}

TEST_CASE_TEMPLATE("truths are objects like others", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, bool, Kind>>(runtime);
  t.insert({{1, true}, {1, false}, {1, true}});
  CHECK(t.lookup(1) == std::vector{true, false});
  CHECK(t.erase_if_equal(1, true));
  CHECK(t.to_vector() == std::vector{std::pair(1, false)});
}

TEST_CASE_TEMPLATE("keys of one hash have objects of their own", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<faceless, int, Kind>>(runtime);
  for (int i = 0; i < 100; ++i) t.insert(i % 50, i);
  CHECK(t.size() == 100);
  CHECK(t.lookup(7) == values{7, 57});
  int met = 0;
  for (auto key = t.first(); key; key = t.next(*key)) ++met;
  CHECK(met == 50);
}

}  // namespace table_bag_test
