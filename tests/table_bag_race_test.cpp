// Promises under test: a list comes into a bag as a whole, also between others who write the same keys, and brings nothing
// back that they have taken out; and the size of a bag is that of one moment.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include <kv/testing.hpp>

#include "exploring.hpp"
#include "table_kinds.hpp"
#include "threads.hpp"

namespace table_bag_race_test {

TEST_CASE_TEMPLATE("of many who write to one key, nothing is lost" * needs_threads, Kind, kv::bag, locked_bag) {
  constexpr int count = 300;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  const auto play = [&](int who) {
    for (int i = 0; i < count; ++i) {
      t.insert({{1, 2 * i + who}, {2, 2 * i + who}});
      t.insert(1, -1 - (2 * i + who));
      CHECK(t.erase_if_equal(2, 2 * i + who));
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  CHECK(t.lookup(1).size() == 4 * count);
  CHECK_FALSE(t.member(2));
}

TEST_CASE_TEMPLATE("a bag is as large as it was at one moment" * needs_threads, Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) {
      t.insert({{i % 100, i}, {1000 + i % 100, i}});  // two at a time
      if (i % 1000 == 999) t.clear();
    }
    done = true;
  });
  int odd = 0;
  while (!done) odd += t.size() % 2 != 0;
  writer.join();
  CHECK(odd == 0);
  CHECK(t.size() == 0);
}

TEST_CASE_TEMPLATE("what others take, erase or clear does not come back with a list" * needs_threads, Kind, kv::bag,
                   locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  std::atomic<bool> done{false};
  std::thread inserts([&] {
    for (int i = 0; !done; i = (i + 1) % 1000) t.insert({{1, i}, {2, i}});
  });
  int wrong = 0;
  for (int round = 0; round < 2000; ++round) {
    const int mark = 1000 + round;
    t.insert(1, mark);
    if (round % 3 == 0) {
      t.erase_if_equal(1, mark);
    } else if (round % 3 == 1) {
      t.take(1);
    } else {
      t.clear();
    }
    const auto held = t.lookup(1);
    if (std::ranges::find(held, mark) != held.end()) ++wrong;
  }
  done = true;
  inserts.join();
  CHECK(wrong == 0);
}

namespace {

/// An object that puts others into its own bag when it ends.
struct parting {
  int number = 0;
  std::function<void()> at_end = {};

  parting(int n, std::function<void()> f = {}) : number(n), at_end(std::move(f)) {}
  parting(const parting& other) : number(other.number) {}  // a copy is silent
  parting(parting&&) = default;
  parting& operator=(const parting& other) {
    number = other.number;
    return *this;
  }
  parting& operator=(parting&&) = default;
  ~parting() {
    if (at_end) at_end();
  }
  friend bool operator==(const parting& a, const parting& b) { return a.number == b.number; }
};

}  // namespace

TEST_CASE_TEMPLATE("an object may write to its bag when it ends", Kind, kv::bag, locked_bag) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, parting, Kind>>(runtime);
  int ended = 0;
  t.insert_new(1, parting(1, [&] { ++ended, t.insert({{1, parting(2)}, {2, parting(3)}}); }));
  CHECK(t.erase(1));
  CHECK(ended == 1);
  CHECK(t.lookup_element(1, &parting::number) == std::vector{2});
  CHECK(t.lookup_element(2, &parting::number) == std::vector{3});
}

TEST_CASE_TEMPLATE("who sees one object of a list sees all of it" * needs_threads, Kind, kv::bag, locked_bag) {
  constexpr int keys = 10;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int, Kind>>(runtime);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int version = 1; version <= 200; ++version) {
      std::vector<std::pair<int, int>> list;
      for (int key = 0; key < keys; ++key) list.emplace_back(key, version);
      t.insert(list);
    }
    done = true;
  });
  int wrong = 0;
  while (!done) {
    std::size_t least = 0;
    for (int key = 0; key < keys; ++key) {
      const auto held = t.lookup(key).size();
      if (held < least) ++wrong;
      least = held;
    }
  }
  writer.join();
  CHECK(wrong == 0);
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a list that is overtaken is merged again, under any seed") {
  std::size_t merged = 0;
  const auto scenario = [&](kv::simulation& world) {
    auto t = open_table<kv::table<int, int, kv::bag>>(world);
    kv::testing::probe watcher(world);
    auto play = [t](int who) mutable {
      for (int i = 0; i < 5; ++i) {
        t.insert({{1, 10 * who + i}, {2, 10 * who + i}});
        if (who == 0) t.erase_if_equal(2, i);
      }
    };
    std::vector<kv::pid> all;
    for (int who = 0; who < 3; ++who) all.push_back(world.spawn([play, who]() mutable { play(who); }));
    for (const auto each : all) watcher.monitor(each);
    for (const auto each : all) watcher.expect_down(each);
    require(t.lookup(1).size() == 15 && t.lookup(2).size() == 10, "an object was lost, or came back");
    ++merged;
  };
  CHECK(kv::explore(affordable(300), scenario, replayable()) > 0);
  CHECK(merged > 0);
}

TEST_SUITE_END();

}  // namespace table_bag_race_test
