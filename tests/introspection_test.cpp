// What can be seen of a process from outside.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace introspection_test {

using namespace std::chrono_literals;

namespace {

struct question {};
struct go_on {};

struct clerk {
  int answer() { return 42; }
};

}  // namespace

TEST_CASE("an idle server: name, class, what it has handled and whom it is tied to") {
  kv::simulation runtime;  // where it is idle once it has answered
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn_named<clerk>("clerk", clerk{});
  runtime.register_name("the other", server);
  const auto peer = runtime.spawn<blank>();
  server.call([peer](clerk&) {
    kv::link(peer);
    kv::monitor(peer);
  });
  probe.monitor(server);
  for (int i = 0; i < 3; ++i) server.call(&clerk::answer);

  const auto info = runtime.info(server);
  REQUIRE(info);
  CHECK(info->who == server.id());
  auto names = info->names;
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"clerk", "the other"});
  CHECK(info->type.find("clerk") != std::string::npos);
  CHECK(info->state == kv::process_state::idle);
  CHECK(info->doing.empty());
  CHECK(info->handled == 4);
  CHECK_FALSE(info->parent);
  REQUIRE(info->within);
  CHECK(info->within->mailbox == 0);
  CHECK(info->within->links == std::vector<kv::pid>{peer});
  CHECK(info->within->monitors == std::vector<kv::pid>{peer});
  CHECK(info->within->monitored_by == std::vector<kv::pid>{probe});
  CHECK_FALSE(info->within->traps_exits);
}

TEST_CASE("the dead, a stranger and nobody have no information") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  const auto server = runtime.spawn<blank>();
  kv::testing::kill_and_await(runtime, server);
  CHECK_FALSE(runtime.info(server));
  CHECK_FALSE(runtime.info(elsewhere.spawn<blank>()));
  CHECK_FALSE(runtime.info({}));
}

TEST_CASE("messages that wait are counted") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  const auto server = runtime.spawn<blank>();
  const auto waiting = server.call([&runtime](blank&) {
    for (int i = 0; i < 7; ++i) kv::send(kv::self(), question{});
    static_cast<void>(kv::receive_for<go_on>(0ns));  // looks through them
    return runtime.info(kv::self())->within->mailbox;
  });
  CHECK(waiting == 7);
}

TEST_CASE("who waits says for what, and since when") {
  kv::simulation world;
  world.advance(3s);
  const auto clerk_pid = world.spawn<clerk>();
  const auto listener = world.spawn([] { static_cast<void>(kv::receive_for<question>(1h)); });
  world.suspend(clerk_pid);
  const auto caller = world.spawn([clerk_pid] { clerk_pid.call_for(1h, &clerk::answer); });
  world.run_until_idle();
  world.advance(2s);

  const auto waits = world.info(listener);
  REQUIRE(waits);
  CHECK(waits->state == kv::process_state::waiting);
  CHECK(waits->doing.find("waits for a message of") != std::string::npos);
  CHECK(waits->doing.find("question") != std::string::npos);
  REQUIRE(waits->since);
  CHECK(world.now() - *waits->since == 2s);

  const auto calls = world.info(caller);
  REQUIRE(calls);
  CHECK(calls->state == kv::process_state::waiting);
  CHECK(calls->doing.find("waits for the answer of " + to_string(clerk_pid.id())) != std::string::npos);
  REQUIRE(calls->since);
  CHECK(world.now() - *calls->since == 2s);
  world.resume(clerk_pid);
}

TEST_CASE("a look changes nothing: who waits goes on waiting, to the same deadline") {
  kv::simulation world;
  kv::testing::probe probe(world);
  const auto listener = world.spawn([to = probe.id()] {
    const bool came = kv::receive_for<question>(10s).has_value();
    kv::send(to, came);
  });
  for (int i = 0; i < 9; ++i) {
    world.advance(1s);
    REQUIRE(world.info(listener));
    CHECK(world.info(listener)->state != kv::process_state::idle);
  }
  world.advance(1s - 1ns);
  CHECK_FALSE(probe.has<bool>());
  world.advance(1ns);
  CHECK_FALSE(probe.expect<bool>());
}

TEST_CASE("a process sees itself running") {
  kv::runtime runtime({.threads = 1});
  const auto server = runtime.spawn<clerk>();
  const auto info = server.call([&runtime](clerk&) { return runtime.info(kv::self()); });
  REQUIRE(info);
  CHECK(info->state == kv::process_state::running);
  CHECK(info->doing.find("handles") != std::string::npos);
  CHECK(info->within);
}

TEST_CASE("a process that is stuck can be looked at" * needs_threads) {
  std::atomic<bool> free{false};
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto stuck = runtime.spawn([&free, to = probe.id()] {
    kv::send(to, question{});
    while (!free.load()) std::this_thread::yield();
  });
  probe.expect<question>();
  const auto info = runtime.info(stuck);
  REQUIRE(info);
  CHECK(info->state == kv::process_state::running);
  CHECK(info->doing.find("handles") != std::string::npos);
  CHECK(info->handled == 0);
  CHECK_FALSE(info->within);
  free.store(true);
}

TEST_CASE("the dump has a line for every process") {
  kv::simulation runtime;
  const auto server = runtime.spawn_named<clerk>("clerk", clerk{});
  const auto leaf = runtime.spawn<blank_leaf>();
  const auto text = runtime.dump();
  CHECK(std::ranges::count(text, '\n') == 2);
  CHECK(text.find(to_string(server.id()) + " ") != std::string::npos);
  CHECK(text.find("(clerk): idle") != std::string::npos);
  CHECK(text.find(to_string(leaf.id()) + " blank_leaf: idle") != std::string::npos);
}

TEST_CASE("names: all of them, by name, and none of the dead") {
  kv::runtime runtime({.threads = 1});
  const auto b = runtime.spawn_named<blank>("b");
  const auto a = runtime.spawn_named<blank>("a");
  const auto dead = runtime.spawn_named<blank>("dead");
  const auto script = runtime.spawn([] { kv::receive<go_on>(); });
  runtime.register_name("script", script);
  kv::testing::kill_and_await(runtime, dead);
  using rows = std::vector<std::pair<std::string, kv::pid>>;
  CHECK(runtime.registered() == rows{{"a", a}, {"b", b}, {"script", script}});
  kv::testing::probe probe(runtime);
  CHECK(probe.run([] { return kv::unregister_name("a"); }));
  CHECK_FALSE(probe.run([] { return kv::unregister_name("a"); }));
  CHECK(runtime.registered() == rows{{"b", b}, {"script", script}});
  CHECK_FALSE(runtime.whereis<blank>("script"));  // it is, but not a blank
  CHECK(runtime.whereis("script") == script);
}

TEST_CASE("lookers and the looked at do not get in each other's way" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto echo = runtime.spawn<clerk>();
  constexpr int calls = 20'000;
  for (int i = 0; i < 2; ++i) {
    probe.run([&] {
      kv::spawn_monitor([echo] {
        for (int call = 0; call < calls; ++call) static_cast<void>(echo.call(&clerk::answer));
      });
    });
  }
  std::size_t lines = 0;
  while (!probe.has<kv::down>()) {
    const auto text = runtime.dump();
    lines += static_cast<std::size_t>(std::ranges::count(text, '\n'));
  }
  CHECK(probe.expect<kv::down>().reason == kv::exit_reason::normal);
  CHECK(lines > 0);
  CHECK(runtime.info(echo)->handled == 2 * calls);
}

}  // namespace introspection_test
