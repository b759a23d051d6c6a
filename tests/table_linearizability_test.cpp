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

namespace table_linearizability_test {

using kv::table_access;

namespace {

/// A number that lets others run while it is copied, now and then: so in the middle of an operation.
struct jumpy {
  int number;

  jumpy(int n) : number(n) {}
  jumpy(const jumpy& other) : number(other.number) { jump(); }
  jumpy& operator=(const jumpy& other) {
    number = other.number;
    jump();
    return *this;
  }
  ~jumpy() = default;
  operator int() const { return number; }

 private:
  static void jump() {
    thread_local int copies = 0;
    if (++copies % 5 == 0) std::this_thread::yield();
  }
};

template <class Kind>
using numbers = kv::table<int, jumpy, Kind>;

constexpr int clients = 4;

/// What one test draws its histories from.
std::uint64_t fresh_seed() { return std::random_device{}(); }

template <class Kind>
numbers<Kind> open_numbers(kv::runtime& home, kv::pid owner) {
  return numbers<Kind>::create(home, {.name = {}, .access = table_access::public_, .owner = owner});
}

template <class Table>
void check(const table_clients<Table>& played, std::uint64_t seed) {
  const auto wrong = find_violation(played);
  REQUIRE_MESSAGE(!wrong, "seed " << seed << ": " << wrong.value_or(""));
}

/// Rounds that all clients begin together, each on keys of its own.
template <class Kind>
void play_rounds(int rounds, int keys, int calls, std::uint64_t seed) {
  kv::runtime runtime({.threads = 1});
  auto all = make_clients(open_numbers<Kind>(runtime, runtime.spawn<blank>()), clients, seed);
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

TEST_CASE_TEMPLATE("what threads see of one hot key is linearizable" * needs_threads, Kind, kv::set, kv::ordered_set) {
  play_rounds<Kind>(1000, 1, 12, fresh_seed());
}

TEST_CASE_TEMPLATE("what threads see of a few hot keys is linearizable" * needs_threads, Kind, kv::set,
                   kv::ordered_set) {
  play_rounds<Kind>(1000, 3, 12, fresh_seed());
}

TEST_CASE_TEMPLATE("what threads see of many keys is linearizable" * needs_threads, Kind, kv::set, kv::ordered_set) {
  play_rounds<Kind>(20, 200, 400, fresh_seed());
}

TEST_CASE_TEMPLATE("what processes see of a few hot keys is linearizable", Kind, kv::set, kv::ordered_set) {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 3});
  const auto somebody = runtime.spawn<blank>();
  auto all = make_clients(open_numbers<Kind>(runtime, somebody), clients, seed);
  on_processes(runtime, all, [&](auto& self, std::size_t) {
    for (int round = 0; round < 500; ++round) {
      somebody.call([](blank&) {});  // others run meanwhile
      for (int i = 0; i < 12; ++i) self.make_any(round / 10 * 3, 3);
    }
  });
  check(all, seed);
}

TEST_CASE_TEMPLATE("what threads see of a table is linearizable until its owner dies, and then there is no table" *
                       needs_threads,
                   Kind, kv::set, kv::ordered_set) {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 2});
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto owner = runtime.spawn<blank>();
    auto all = make_clients(open_numbers<Kind>(runtime, owner), clients, seed + round);
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

TEST_CASE_TEMPLATE("what processes see of a table is linearizable until its owner dies, and then there is no table",
                   Kind, kv::set, kv::ordered_set) {
  const auto seed = fresh_seed();
  kv::runtime runtime({.threads = 2});
  const auto somebody = runtime.spawn<blank>();
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto owner = runtime.spawn<blank>();
    auto all = make_clients(open_numbers<Kind>(runtime, owner), clients, seed + round);
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
struct careless : numbers<kv::set> {
  explicit careless(const numbers<kv::set>& inner) : numbers<kv::set>(inner) {}

  template <class F>
  std::optional<jumpy> update(int key, F change) {
    const auto old = lookup(key);
    if (old) insert(key, change(*old));
    return old ? std::optional<jumpy>(change(*old)) : std::nullopt;
  }
  template <class F>
  jumpy update(int key, F change, int fallback) {
    return numbers<kv::set>::update(key, change, fallback);
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

TEST_CASE_TEMPLATE("what processes see of a table is linearizable under any seed", Kind, kv::set, kv::ordered_set) {
  const auto scenario = [](kv::simulation& world) { play_in(world, open_numbers<Kind>(world, world.spawn<blank>())); };
  CHECK(kv::explore(affordable(2000), scenario, replayable()) > 0);
}

TEST_CASE("an exploration finds a table that is not linearizable") {
  const auto scenario = [](kv::simulation& world) {
    play_in(world, careless(open_numbers<kv::set>(world, world.spawn<blank>())));
  };
  CHECK_THROWS_AS(kv::explore(1000, scenario, replayable()), kv::exploration_failed);
}

TEST_SUITE_END();

}  // namespace table_linearizability_test
