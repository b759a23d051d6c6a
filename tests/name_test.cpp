// Promises under test: one name, one living process; a name finds it, by class or without; it is free again once the
// process is seen to be dead.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace name_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

TEST_CASE("a name finds its process, typed and untyped") {
  kv::runtime runtime({.threads = 1});
  const auto a = runtime.spawn<blank>();
  CHECK_FALSE(runtime.whereis("milk"));
  runtime.register_name("milk", a);
  CHECK(runtime.whereis("milk") == a.id());
  CHECK(runtime.whereis<blank>("milk") == a);
  CHECK_FALSE(runtime.whereis<blank_leaf>("milk"));  // it is something else
  CHECK_FALSE(runtime.whereis("eggs"));
  CHECK_FALSE(runtime.whereis<blank>("eggs"));
  CHECK(runtime.spawn<blank>().call([](blank&) { return kv::whereis("milk"); }) == a.id());
}

TEST_CASE_TEMPLATE("a process that is spawned with a name has it from its first instruction", T, blank, blank_leaf) {
  struct curious : T {
    std::optional<kv::pid> seen = kv::whereis("milk");
  };
  kv::runtime runtime({.threads = 1});
  const auto c = runtime.spawn_named<curious>("milk");
  CHECK(c.call([](curious& state) { return state.seen; }) == c.id());
  CHECK(runtime.whereis<curious>("milk") == c);
}

TEST_CASE("a name that is taken is refused, names the holder, and the holder keeps it") {
  kv::runtime runtime({.threads = 1});
  const auto first = runtime.spawn_named<blank>("milk");
  const auto second = runtime.spawn<blank>();
  for (const bool by_spawn : {true, false}) {
    try {
      by_spawn ? static_cast<void>(runtime.spawn_named<blank>("milk")) : runtime.register_name("milk", second);
      FAIL("two processes have one name");
    } catch (const kv::name_taken& e) {
      CHECK(e.holder() == first.id());
      CHECK(std::string(e.what()) == "name milk is taken by " + to_string(first.id()));
    }
  }
  CHECK_THROWS_AS(runtime.register_name("milk", first), kv::name_taken);  // also its own
  CHECK(runtime.whereis("milk") == first.id());
  CHECK(runtime.process_count() == 2);  // the one that was to be spawned is not left over
}

TEST_CASE("a linked child whose name is taken leaves no link and no process behind") {
  kv::runtime runtime({.threads = 1});
  runtime.spawn_named<blank>("milk");
  probe p(runtime);
  p.run([] { CHECK_THROWS_AS(kv::spawn_link_named<blank>("milk"), kv::name_taken); });
  CHECK_FALSE(p.has<kv::exit_signal>());
  CHECK(runtime.process_count() == 1);
  const auto linked = p.run([] { return kv::spawn_link_named<blank>("eggs"); });
  CHECK(runtime.whereis("eggs") == linked.id());
  kill_and_await(runtime, linked);
  CHECK(p.expect<kv::exit_signal>().from == linked.id());
}

TEST_CASE("a constructor that throws gives its name back") {
  struct fragile {
    fragile() { throw std::runtime_error("no milk"); }
  };
  kv::runtime runtime({.threads = 1});
  CHECK_THROWS_AS(runtime.spawn_named<fragile>("milk"), kv::start_error);
  CHECK_FALSE(runtime.whereis("milk"));
  runtime.spawn_named<blank>("milk");
}

TEST_CASE("a process may have several names, and loses all of them with its life") {
  kv::runtime runtime({.threads = 1});
  const auto a = runtime.spawn_named<blank>("milk");
  runtime.register_name("eggs", a);
  runtime.register_name("", a);  // as good a name as any
  CHECK(runtime.whereis("milk") == a.id());
  CHECK(runtime.whereis("eggs") == a.id());
  CHECK(runtime.whereis("") == a.id());
  kill_and_await(runtime, a);
  for (const auto* const name : {"milk", "eggs", ""}) CHECK_FALSE(runtime.whereis(name));
}

TEST_CASE("a name that is unregistered is free, and its process lives on") {
  kv::runtime runtime({.threads = 1});
  const auto a = runtime.spawn_named<blank>("milk");
  CHECK(runtime.unregister_name("milk"));
  CHECK_FALSE(runtime.unregister_name("milk"));
  CHECK_FALSE(runtime.unregister_name("eggs"));
  CHECK_FALSE(runtime.whereis("milk"));
  const auto b = runtime.spawn_named<blank>("milk");
  inside(a, [] {});
  kill_and_await(runtime, a);  // must not take the name of b along
  CHECK(runtime.whereis("milk") == b.id());
}

TEST_CASE("the dead and strangers get no name") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  CHECK_THROWS_AS(runtime.register_name("milk", dead), kv::call_error);
  CHECK_THROWS_AS(runtime.register_name("milk", elsewhere.spawn<blank>()), kv::call_error);
  CHECK_THROWS_AS(runtime.register_name("milk", kv::ref<blank>{}), kv::call_error);
  CHECK_FALSE(runtime.whereis("milk"));
  runtime.spawn_named<blank>("milk");
}

TEST_CASE("a name is free when its holder's end is seen, by a down, an exit signal or a failed call") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  for (int i = 0; i < 300; ++i) {
    const auto by_down = runtime.spawn_named<blank>("milk");
    p.monitor(by_down);
    runtime.exit(by_down, kv::exit_reason::kill);
    p.expect_down(by_down);

    const auto by_signal = runtime.spawn_named<blank>("milk");
    p.run([&] { kv::link(by_signal); });
    runtime.exit(by_signal, kv::exit_reason::kill);
    p.expect<kv::exit_signal>();

    const auto by_call = runtime.spawn_named<blank>("milk");
    CHECK_THROWS_AS(inside(by_call, [] { kv::exit(kv::exit_reason::shutdown); }), kv::call_error);

    runtime.spawn_named<blank>("milk").stop();
  }
  CHECK_FALSE(runtime.whereis("milk"));
}

TEST_CASE("of many who want one name at once, one gets it" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> winners{0};
    const auto race = [&] {
      try {
        runtime.spawn_named<blank_leaf>("milk");
        ++winners;
      } catch (const kv::name_taken&) {
      }
    };
    std::thread a(race), b(race);
    a.join();
    b.join();
    CHECK(winners == 1);
    REQUIRE(runtime.whereis("milk"));
    kill_and_await(runtime, *runtime.whereis("milk"));
  }
}

TEST_CASE("a name that is given while its process dies never outlives it") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (int i = 0; i < 1000; ++i) {
    const auto a = runtime.spawn<blank_leaf>();
    p.monitor(a);
    runtime.exit(a, kv::exit_reason::kill);
    try {
      runtime.register_name("milk", a);
    } catch (const kv::call_error& e) {
      CHECK(e.why() == kv::call_error::code::noproc);
    }
    p.expect_down(a);
    CHECK_FALSE(runtime.whereis("milk"));
    CHECK_FALSE(runtime.unregister_name("milk"));  // not even as the dead one's
  }
}

TEST_CASE("two runtimes have names of their own") {
  kv::runtime here({.threads = 1});
  kv::runtime there({.threads = 1});
  const auto a = here.spawn_named<blank>("milk");
  const auto b = there.spawn_named<blank>("milk");
  CHECK(here.whereis("milk") == a.id());
  CHECK(there.whereis("milk") == b.id());
}

}  // namespace name_test
