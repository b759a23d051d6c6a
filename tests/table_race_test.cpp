// Promises under test: operations are atomic for their key while many read and write; a fold sees every key that was
// there throughout exactly once; no row is ever torn.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace table_race_test {

using kv::table_access;
using kv::testing::probe;

namespace {

/// A value that shows when it is torn: too big to be copied at once, and it carries its own checksum.
struct sealed {
  std::array<std::uint64_t, 15> words{};
  std::uint64_t sum = 0;

  static sealed of(std::uint64_t key, std::uint64_t version) {
    sealed s;
    for (std::size_t i = 0; i < s.words.size(); ++i) s.words[i] = (key * 31 + version) * (i + 1);
    s.words[0] = key;
    s.sum = s.checksum();
    return s;
  }
  std::uint64_t checksum() const {
    std::uint64_t result = 17;
    for (const auto word : words) result = result * 1'000'003 + word;
    return result;
  }
  bool belongs_to(std::uint64_t key) const { return words[0] == key && sum == checksum(); }
};

using sealed_table = kv::table<std::uint64_t, sealed>;

/// Reads every key, one by one and in a fold; returns how many rows were not what they should be.
int count_torn(const sealed_table& t, std::uint64_t keys) {
  int torn = 0;
  for (std::uint64_t key = 0; key < keys; ++key) {
    if (const auto found = t.lookup(key); found && !found->belongs_to(key)) ++torn;
  }
  t.for_each([&](std::uint64_t key, const sealed& value) { torn += value.belongs_to(key) ? 0 : 1; });
  return torn;
}

/// Public, owned by a process that lives as long as the runtime.
template <class Table>
Table open_table(kv::runtime& home) {
  return Table::create(home, {.name = {}, .access = table_access::public_, .owner = home.spawn<blank>()});
}

}  // namespace

TEST_CASE("the checker finds a torn row and one of another key") {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<sealed_table>(runtime);
  for (std::uint64_t key = 0; key < 10; ++key) t.insert(key, sealed::of(key, 1));
  CHECK(count_torn(t, 10) == 0);
  auto torn = sealed::of(3, 1);
  torn.words[14] = sealed::of(3, 2).words[14];
  t.insert(3, torn);
  CHECK(count_torn(t, 10) == 2);  // by lookup and by fold
  t.insert(3, sealed::of(4, 1));
  CHECK(count_torn(t, 10) == 2);
}

TEST_CASE("no row is torn under concurrent writers, readers and folds" * needs_threads) {
  constexpr std::uint64_t keys = 64;
  constexpr int rounds = 300;
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  auto t = open_table<sealed_table>(runtime);
  const auto write = [shared = t](std::uint64_t salt) {
    auto mine = shared;
    for (int round = 0; round < rounds; ++round) {
      for (std::uint64_t key = 0; key < keys; ++key) {
        const auto version = salt + static_cast<std::uint64_t>(round);
        if ((key + version) % 5 == 0) {
          mine.erase(key);
        } else {
          mine.insert(key, sealed::of(key, version));
        }
      }
    }
  };
  const auto read = [t] {
    int torn = 0;
    for (int round = 0; round < rounds / 10; ++round) torn += count_torn(t, keys);
    return torn;
  };
  for (int i = 0; i < 2; ++i) {
    runtime.spawn([read, to = kv::pid(p)] { kv::send(to, read()); });
    runtime.spawn([write, to = kv::pid(p)] { write(1000), kv::send(to, 0); });
  }
  std::thread writer(write, 5000);
  const int torn_here = read();
  writer.join();
  CHECK(torn_here == 0);
  for (int i = 0; i < 4; ++i) CHECK(p.expect<int>() == 0);
  CHECK(count_torn(t, keys) == 0);
}

TEST_CASE("a fold sees every key that stays exactly once, and others at most once" * needs_threads) {
  constexpr int stable = 2000;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int>>(runtime);
  for (int i = 0; i < stable; ++i) t.insert(i, i);
  std::atomic<bool> done{false};
  std::thread churn([&] {
    for (int i = 0; !done; i = (i + 1) % 5000) {
      t.insert(stable + i, 0);  // makes the table grow, and move its rows
      t.erase(stable + (i + 2500) % 5000);
      t.insert(i % stable, i % stable);  // rewrites one that stays
    }
  });
  int wrong = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<int> seen(stable + 5000);
    t.for_each([&](int key, int) { ++seen[static_cast<std::size_t>(key)]; });
    for (std::size_t key = 0; key < seen.size(); ++key) {
      if (key < stable ? seen[key] != 1 : seen[key] > 1) ++wrong;
    }
  }
  done = true;
  churn.join();
  CHECK(wrong == 0);
}

TEST_CASE("of many who insert one new key at once, one wins and the others see his value" * needs_threads) {
  constexpr int keys = 2000;
  constexpr int racers = 3;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int>>(runtime);
  std::vector<std::vector<std::optional<int>>> answers(racers, std::vector<std::optional<int>>(keys));
  std::latch start(racers);
  std::vector<std::jthread> threads;
  for (int who = 0; who < racers; ++who) {
    threads.emplace_back([&, who, t]() mutable {
      start.arrive_and_wait();
      for (int key = 0; key < keys; ++key) {
        answers[static_cast<std::size_t>(who)][static_cast<std::size_t>(key)] = t.insert_new(key, who);
      }
    });
  }
  threads.clear();
  int wrong = 0;
  for (int key = 0; key < keys; ++key) {
    const auto winner = t.lookup(key);
    for (int who = 0; who < racers; ++who) {
      const auto& answer = answers[static_cast<std::size_t>(who)][static_cast<std::size_t>(key)];
      if (who == winner ? answer.has_value() : answer != winner) ++wrong;
    }
  }
  CHECK(wrong == 0);
  CHECK(t.size() == keys);
}

TEST_CASE("of many who take or erase one key at once, one gets it" * needs_threads) {
  constexpr int keys = 2000;
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, int>>(runtime);
  for (int key = 0; key < keys; ++key) t.insert(key, key);
  std::atomic<int> taken{0};
  std::latch start(2);
  const auto race = [&] {
    start.arrive_and_wait();
    for (int key = 0; key < keys; ++key) taken += (key % 2 == 0 ? t.take(key).has_value() : t.erase_if_equal(key, key));
  };
  std::thread a(race), b(race);
  a.join();
  b.join();
  CHECK(taken == keys);
  CHECK(t.size() == 0);
}

TEST_CASE("a table that is dropped while others use it says no_table and nothing worse" * needs_threads) {
  for (int round = 0; round < 100; ++round) {
    kv::runtime runtime({.threads = 2});
    const auto owner = runtime.spawn<blank>();
    auto t = kv::table<std::string, std::string>::create(
        runtime, {.name = "shopping", .access = table_access::public_, .owner = owner});
    std::atomic<int> other_errors{0};
    std::latch start(2);
    std::thread user([&] {
      start.arrive_and_wait();
      try {
        for (;;) {
          t.insert("milk", "a text that is too long for the small string buffer");
          t.lookup("milk");
          t.to_vector();
        }
      } catch (const kv::table_error& e) {
        if (e.why() != kv::table_error::code::no_table) ++other_errors;
      }
    });
    start.arrive_and_wait();
    owner.call([t](blank&) mutable { t.drop(); });
    user.join();
    CHECK(other_errors == 0);
  }
}

TEST_CASE("tables come and go under one name while others look for it" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  std::atomic<bool> done{false};
  std::atomic<int> odd{0};
  std::thread looks([&] {
    while (!done) {
      try {
        if (const auto found = kv::table<int, int>::find(runtime, "shopping")) {
          if (const auto value = found->lookup(1); value && *value != 7) ++odd;
        }
      } catch (const kv::table_error& e) {
        if (e.why() != kv::table_error::code::no_table) ++odd;
      }
    }
  });
  for (int i = 0; i < 500; ++i) {
    const auto owner = runtime.spawn<blank_leaf>();
    owner.call([&](blank_leaf&) { kv::table<int, int>::create(runtime, {.name = "shopping"}).insert(1, 7); });
    owner.stop();
  }
  done = true;
  looks.join();
  CHECK(odd == 0);
}

}  // namespace table_race_test
