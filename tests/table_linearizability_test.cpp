// Promises under test: every operation of a table is atomic for its key, whoever uses it at the same time, on threads
// and in processes, and also while its owner dies. The histories are random; a failure prints the seed.
#include <doctest/doctest.h>

#include <barrier>
#include <cstdint>
#include <random>
#include <thread>

#include "exploring.hpp"
#include "servers.hpp"
#include "table_clients.hpp"
#include "threads.hpp"

using kv::table_access;

namespace {

/// A number that lets others run while it is copied, now and then: so in the middle of an operation.
class jumpy {
 public:
  jumpy(int number) : number_(number) {}
  jumpy(const jumpy& other) : number_(other.number_) { jump(); }
  jumpy& operator=(const jumpy& other) {
    number_ = other.number_;
    jump();
    return *this;
  }
  ~jumpy() = default;
  operator int() const { return number_; }

 private:
  static void jump() {
    thread_local int copies = 0;
    if (++copies % 5 == 0) std::this_thread::yield();
  }
  int number_;
};

using numbers = kv::table<int, jumpy>;

constexpr int clients = 4;

/// What one test draws its histories from.
std::uint64_t fresh_seed() { return std::random_device{}(); }

numbers open_numbers(kv::runtime& home, kv::pid owner) {
  return numbers::create(home, {.name = {}, .access = table_access::public_, .owner = owner});
}

void check(const table_clients<numbers>& played, std::uint64_t seed) {
  const auto wrong = find_violation(played);
  REQUIRE_MESSAGE(!wrong, "seed " << seed << ": " << wrong.value_or(""));
}

/// Rounds that all clients begin together, each on keys of its own.
void play_rounds(int rounds, int keys, int calls, std::uint64_t seed) {
  kv::runtime runtime({.threads = 1});
  auto all = make_clients(open_numbers(runtime, runtime.spawn<blank>()), clients, seed);
  std::barrier<> start(clients);
  on_threads(all, [&](auto& self, std::size_t) {
    for (int round = 0; round < rounds; ++round) {
      start.arrive_and_wait();
      for (int i = 0; i < calls; ++i) self.make_any(round * keys, keys);
    }
  });
  check(all, seed);
}

}  // namespace

TEST_CASE("what threads see of one hot key is linearizable" * needs_threads) { play_rounds(1000, 1, 12, fresh_seed()); }

TEST_CASE("what threads see of a few hot keys is linearizable" * needs_threads) {
  play_rounds(1000, 3, 12, fresh_seed());
}

TEST_CASE("what threads see of many keys is linearizable" * needs_threads) { play_rounds(20, 200, 400, fresh_seed()); }

TEST_CASE("what processes see of a few hot keys is linearizable") {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 3});
  const auto somebody = runtime.spawn<blank>();
  auto all = make_clients(open_numbers(runtime, somebody), clients, seed);
  on_processes(runtime, all, [&](auto& self, std::size_t) {
    for (int round = 0; round < 500; ++round) {
      somebody.call([](blank&) {});  // others run meanwhile
      for (int i = 0; i < 12; ++i) self.make_any(round / 10 * 3, 3);
    }
  });
  check(all, seed);
}

TEST_CASE("what threads see of a table is linearizable until its owner dies, and then there is no table" *
          needs_threads) {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 2});
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto owner = runtime.spawn<blank>();
    auto all = make_clients(open_numbers(runtime, owner), clients, seed + round);
    std::barrier<> start(clients);
    on_threads(all, [&](auto& self, std::size_t number) {
      start.arrive_and_wait();
      for (int i = 0; i < 20; ++i) self.make_any(0, 3);
      if (number == 0) {
        kv::testing::kill_and_await(runtime, owner);
        CHECK_FALSE(self.make_any(0, 3));
      }
      while (self.make_any(0, 3)) {
      }
    });
    check(all, seed + round);
  }
}

TEST_CASE("what processes see of a table is linearizable until its owner dies, and then there is no table") {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 2});
  const auto somebody = runtime.spawn<blank>();
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto owner = runtime.spawn<blank>();
    auto all = make_clients(open_numbers(runtime, owner), clients, seed + round);
    on_processes(runtime, all, [&](auto& self, std::size_t number) {
      for (int i = 0; i < 20; ++i) self.make_any(0, 3);
      if (number == 0) {
        const auto watch = kv::monitor(owner);
        kv::exit(owner, kv::exit_reason::kill);
        static_cast<void>(kv::await(watch));
        CHECK_FALSE(self.make_any(0, 3));
      }
      while (self.make_any(0, 3)) somebody.call([](blank&) {});
    });
    check(all, seed + round);
  }
}

TEST_SUITE_BEGIN("in simulation");

namespace {

/// A table whose update reads and writes in two steps: what comes in between is lost.
struct careless {
  numbers rows;

  std::optional<jumpy> lookup(int key) const { return rows.lookup(key); }
  void insert(int key, int value) { rows.insert(key, value); }
  std::optional<jumpy> insert_new(int key, int value) { return rows.insert_new(key, value); }
  bool erase(int key) { return rows.erase(key); }
  bool erase_if_equal(int key, int expected) { return rows.erase_if_equal(key, expected); }
  std::optional<jumpy> take(int key) { return rows.take(key); }
  template <class F>
  std::optional<jumpy> update(int key, F change) {
    const auto old = rows.lookup(key);
    if (old) rows.insert(key, change(*old));
    return old ? std::optional<jumpy>(change(*old)) : std::nullopt;
  }
};

/// Three processes use two keys; the order of their steps is the seed's.
template <class Table>
void play_in(kv::simulation& world, const Table& table) {
  auto all = make_clients(table, 3, world.seed());
  on_processes(world, all, [](auto& self, std::size_t) {
    for (int i = 0; i < 15; ++i) self.make_any(0, 2);
  });
  const auto wrong = find_violation(all);
  require(!wrong, wrong.value_or(""));
}

}  // namespace

TEST_CASE("what processes see of a table is linearizable under any seed") {
  const auto scenario = [](kv::simulation& world) { play_in(world, open_numbers(world, world.spawn<blank>())); };
  CHECK(kv::explore(affordable(2000), scenario, replayable()) > 0);
}

TEST_CASE("an exploration finds a table that is not linearizable") {
  const auto scenario = [](kv::simulation& world) {
    play_in(world, careless{open_numbers(world, world.spawn<blank>())});
  };
  CHECK_THROWS_AS(kv::explore(1000, scenario, replayable()), kv::exploration_failed);
}

TEST_SUITE_END();
