// Promises under test: who waits for a name is woken when somebody has it, by that alone, and never too late.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace name_await_test {

using kv::testing::kill_and_await;
using kv::testing::probe;
using namespace std::chrono_literals;

namespace {

struct answer {
  std::optional<kv::pid> who;
};

kv::pid spawn_waiting(kv::runtime& home, kv::pid to, const std::string& name = "baker",
                      std::chrono::nanoseconds timeout = kv::infinity) {
  return home.spawn([=] { kv::send(to, answer{kv::await_name(name, timeout)}); });
}

}  // namespace

TEST_CASE("a name that somebody has is answered at once, in a leaf and without time, too") {
  kv::runtime runtime({.threads = 1});
  const auto baker = runtime.spawn_named<blank>("baker");
  CHECK(runtime.await_name("baker") == baker.id());
  CHECK(runtime.await_name("baker", 0ns) == baker.id());
  CHECK(runtime.spawn<blank_leaf>().call([](blank_leaf&) { return kv::await_name("baker"); }) == baker.id());
}

TEST_CASE("a leaf that would have to wait is told that it cannot") {
  kv::runtime runtime({.threads = 1});
  const auto refused = runtime.spawn<blank_leaf>().call([](blank_leaf&) {
    try {
      static_cast<void>(kv::await_name("baker"));
      return false;
    } catch (const kv::leaf_blocked&) {
      return true;
    }
  });
  CHECK(refused);
  CHECK_FALSE(runtime.spawn<blank_leaf>().call([](blank_leaf&) { return kv::await_name("baker", 0ns); }));
}

TEST_CASE("a plain thread sleeps until somebody has the name" * needs_threads) {
  kv::runtime runtime({.threads = 1});
  for (int i = 0; i < 200; ++i) {
    const auto name = std::to_string(i);
    const auto late = runtime.spawn([&] { kv::register_name(name, kv::self()), kv::receive<answer>(); });
    CHECK(runtime.await_name(name, kv::testing::patience) == late);
  }
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("everybody who waits for a name is woken when it is given, and nobody else") {
  kv::simulation world;
  probe a(world), b(world), other(world);
  spawn_waiting(world, a);
  spawn_waiting(world, b);
  spawn_waiting(world, other, "cook");
  world.run_until_idle();
  const auto baker = world.spawn_named<blank>("baker");
  world.run_until_idle();
  CHECK(a.expect<answer>().who == baker.id());
  CHECK(b.expect<answer>().who == baker.id());
  CHECK_FALSE(other.has<answer>());
  const auto cook = world.spawn<blank>();
  world.register_name("cook", cook);
  CHECK(other.expect<answer>().who == cook.id());
}

TEST_CASE("a wait for a name ends with its time, exactly then") {
  kv::simulation world;
  probe p(world);
  spawn_waiting(world, p, "baker", 1s);
  world.advance(1s - 1ns);
  CHECK_FALSE(p.has<answer>());
  world.advance(1ns);
  CHECK_FALSE(p.expect<answer>().who);
  world.spawn_named<blank>("baker");
  world.run_until_idle();
  CHECK_FALSE(p.has<answer>());
}

TEST_CASE("a name whose holder is gone by the time the one who waits has his turn is waited for again") {
  kv::simulation world;
  probe p(world);
  const auto waiting = spawn_waiting(world, p);
  world.run_until_idle();
  world.suspend(waiting);
  kill_and_await(world, world.spawn_named<blank>("baker"));
  world.resume(waiting);
  world.run_until_idle();
  CHECK_FALSE(p.has<answer>());
  const auto second = world.spawn_named<blank>("baker");
  CHECK(p.expect<answer>().who == second.id());
}

TEST_CASE("who waits for a name can be killed, and whoever is given it then wakes nobody") {
  kv::simulation world;
  probe p(world);
  kill_and_await(world, spawn_waiting(world, p));
  world.spawn_named<blank>("baker");
  world.run_until_idle();
  CHECK_FALSE(p.has<answer>());
  CHECK(world.process_count() == 1);
}

TEST_CASE("in whatever order they run, whoever waits finds the name") {
  const auto run = [](kv::simulation& world) {
    probe p(world);
    for (int i = 0; i < 3; ++i) spawn_waiting(world, p);
    const auto first = world.spawn([] {
      kv::spawn_link_named<blank>("baker").stop();
      kv::register_name("baker", kv::self());
      kv::receive<answer>();
    });
    world.run_until_idle();
    for (int i = 0; i < 3; ++i) {
      const auto told = p.run([] { return kv::receive_for<answer>(0ns); });
      require(told && told->who.has_value(), "one that waits was forgotten");
    }
    require(world.whereis("baker") == first, "the name is somebody else's");
  };
  kv::explore(affordable(300), run, replayable());
}

TEST_SUITE_END();

}  // namespace name_await_test
