// Promises under test: who waits for a name is answered as soon as there is a bucket of that name, and at once if it is
// there already; and of nobody who has waited anything is left behind.
#include <doctest/doctest.h>

#include <optional>
#include <thread>
#include <vector>

#include <kv/kv.hpp>

#include "registry_parts.hpp"
#include "servers.hpp"
#include "threads.hpp"
#include "waiting.hpp"

namespace registry_await_test {

using namespace std::chrono_literals;
using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::probe;

TEST_CASE("a bucket that is there is returned at once, whatever the timeout") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  const auto processes = k.runtime.process_count();
  for (const auto timeout : {-1s, 0s, 5s, std::chrono::duration_cast<std::chrono::seconds>(kv::infinity)}) {
    CHECK(k.registry.await("shopping", timeout) == b);
  }
  CHECK(k.runtime.process_count() == processes);
}

TEST_CASE("without time to wait, await is a lookup") {
  registry_parts k;
  k.start_registry();
  CHECK_FALSE(k.registry.await("shopping", 0s));
  CHECK_FALSE(k.registry.await("shopping", -1s));
}

TEST_CASE("a process that waits is answered when the name appears") {
  registry_parts k;
  k.start_registry();
  spawn_waiting(k.runtime, k.registry, k.p, kv::infinity);
  const auto b = k.registry.create("shopping");
  CHECK(k.p.expect<answer>().found == b);
}

TEST_CASE("a plain thread that waits is answered when the name appears") {
  registry_parts k;
  k.start_registry();
  k.runtime.spawn([names = k.registry, to = k.p.id()] { kv::send(to, answer{names.create("shopping")}); });
  const auto found = k.registry.await("shopping", kv::infinity);
  REQUIRE(found);
  CHECK(k.p.expect<answer>().found == found);
}

TEST_CASE("plain threads that wait are all answered" * needs_threads) {
  registry_parts k;
  k.start_registry();
  std::vector<found_bucket> found(16);
  {
    std::vector<std::jthread> threads;
    for (auto& each : found) threads.emplace_back([&] { each = k.registry.await("shopping", kv::infinity); });
    k.registry.create("shopping");
  }
  for (const auto& each : found) CHECK(each == k.registry.lookup("shopping"));
}

TEST_CASE("a message that the waiting process is sent meanwhile stays for later") {
  registry_parts k;
  k.start_registry();
  const auto who = k.runtime.spawn([names = k.registry, to = k.p.id()] {
    kv::send(to, answer{names.await("shopping", kv::infinity)});
    kv::send(to, kv::receive<happened>());
  });
  k.runtime.send(who, happened{"sent", "", {}});
  k.registry.create("shopping");
  CHECK(k.p.expect<answer>().found);
  CHECK(k.p.expect<happened>().what == "sent");
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a leaf cannot wait, and leaves nothing behind") {
  scene s;
  const auto leaf = s.world.spawn<blank_leaf>();
  inside(leaf, [names = s.tree.registry] { CHECK_THROWS_AS(names.await("shopping", 1s), kv::leaf_blocked); });
  CHECK(leaf.alive());
  s.world.run_until_idle();
  CHECK(rows_of_waiting(s.world) == 0);
  const auto b = s.tree.registry.create("shopping");
  inside(leaf, [names = s.tree.registry, b] { CHECK(names.await("shopping", 1s) == b); });  // no need to wait
}

TEST_CASE("nobody comes: the answer is nothing, when the timeout has passed and not before") {
  scene s;
  const auto processes = s.world.process_count();
  spawn_waiting(s.world, s.tree.registry, s.p, 1s);
  s.world.advance(999ms);
  CHECK_FALSE(s.p.has<answer>());
  CHECK(rows_of_waiting(s.world) == 1);
  s.world.advance(1ms);
  CHECK(s.p.expect<answer>().found == std::nullopt);
  CHECK(rows_of_waiting(s.world) == 0);
  s.world.run_until_idle();
  CHECK(s.world.process_count() == processes);
  CHECK(s.tree.registry.await("shopping", 1h) == std::nullopt);  // not by a process
  CHECK(s.world.process_count() == processes);
}

TEST_CASE("a thousand that wait for one name are all answered, and those who wait for another are not") {
  scene s;
  const auto processes = s.world.process_count();
  for (int i = 0; i < 1000; ++i) spawn_waiting(s.world, s.tree.registry, s.p, kv::infinity);
  probe other(s.world);
  for (int i = 0; i < 10; ++i) spawn_waiting(s.world, s.tree.registry, other, kv::infinity, "chores");
  s.world.run_until_idle();
  CHECK(rows_of_waiting(s.world) == 2);
  const auto b = s.tree.registry.create("shopping");
  s.world.run_until_idle();
  for (int i = 0; i < 1000; ++i) REQUIRE(s.p.expect<answer>().found == b);
  CHECK_FALSE(other.has<answer>());
  CHECK(rows_of_waiting(s.world) == 1);
  s.tree.registry.create("chores");
  for (int i = 0; i < 10; ++i) CHECK(other.expect<answer>().found);
  s.world.run_until_idle();
  CHECK(rows_of_waiting(s.world) == 0);
  CHECK(s.world.process_count() == processes + 2);
}

TEST_CASE("a bucket that dies before it is returned does not count, its successor does") {
  scene s;
  const auto waiting = spawn_waiting(s.world, s.tree.registry, s.p, kv::infinity);
  s.world.run_until_idle();
  s.world.suspend(waiting);
  kill_and_await(s.world, s.tree.registry.create("shopping"));
  s.world.resume(waiting);
  s.world.run_until_idle();
  CHECK_FALSE(s.p.has<answer>());
  const auto b = s.tree.registry.create("shopping");
  CHECK(s.p.expect<answer>().found == b);
}

TEST_CASE("a dead bucket's row is nobody's answer, and nobody asks again and again") {
  scene s;
  const auto first = s.tree.registry.create("shopping");
  const kv::testing::suspended late(s.world, s.tree.registry.server_pid().value());  // so the row stays
  kill_and_await(s.world, first);
  CHECK(s.tree.registry.size() == 1);
  spawn_waiting(s.world, s.tree.registry, s.p, 1h);
  s.world.run_until_idle();
  CHECK(s.world.run_until_idle() == 0);
  CHECK(rows_of_waiting(s.world) == 1);
}

TEST_CASE("a registry that ended after it entered the name and before it said so says so when it is back") {
  scene s;
  spawn_waiting(s.world, s.tree.registry, s.p, kv::infinity);
  s.world.run_until_idle();
  const auto b = s.world.spawn<bucket>();
  kv::names_table::find(s.world, "kv.names")->insert("shopping", b);
  s.world.run_until_idle();
  CHECK_FALSE(s.p.has<answer>());
  kill_and_await(s.world, s.tree.registry.server_pid().value());
  CHECK(s.p.expect<answer>().found == b);
}

TEST_CASE("who waits does not notice that the event manager or the registry is down for a while") {
  for (const auto* part : {"kv.events", "kv.registry"}) {
    CAPTURE(part);
    scene s;
    {
      const kv::testing::suspended late(s.world, s.tree.root);  // nothing is restarted meanwhile
      kill_and_await(s.world, s.world.whereis(part).value());
      spawn_waiting(s.world, s.tree.registry, s.p, kv::infinity);
      s.world.run_until_idle();
    }
    s.world.run_until_idle();
    const auto b = s.tree.registry.create("shopping");
    CHECK(s.p.expect<answer>().found == b);
  }
}

TEST_CASE("of a process that is killed while it waits nothing is left") {
  scene s;
  const auto processes = s.world.process_count();
  const auto waiting = spawn_waiting(s.world, s.tree.registry, s.p, kv::infinity);
  s.world.run_until_idle();
  CHECK(rows_of_waiting(s.world) == 1);
  kill_and_await(s.world, waiting);
  s.world.run_until_idle();
  CHECK(rows_of_waiting(s.world) == 0);
  CHECK(s.world.process_count() == processes);
}

TEST_CASE("who waits when the tree ends is told so") {
  for (const bool by_force : {false, true}) {
    CAPTURE(by_force);
    scene s;
    s.world.spawn([names = s.tree.registry, to = s.p.id()] {
      bool told = false;
      try {
        static_cast<void>(names.await("shopping", kv::infinity));
      } catch (const kv::table_error&) {
        told = true;
      }
      if (told) kv::send(to, finished{});
    });
    s.world.run_until_idle();
    if (by_force) {
      kill_and_await(s.world, s.tree.root);
    } else {
      s.tree.stop();
    }
    s.p.expect<finished>();
    s.world.run_until_idle();
    CHECK(s.world.process_count() == 0);
    CHECK_THROWS_AS(s.tree.registry.await("shopping", 1s), kv::table_error);
  }
}

TEST_SUITE_END();

}  // namespace registry_await_test
