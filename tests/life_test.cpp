// How a process begins, rests and ends: what OTP's gen_server does around the messages.
#include <atomic>
#include <chrono>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace life_test {

using namespace std::chrono_literals;

namespace {

struct said {
  std::string what;
};
struct go_on {};

/// Tells what its last reason is.
class testator {
 public:
  using messages = kv::message_types<go_on>;
  explicit testator(kv::pid to) : heir_(to) {}
  void on_exit(const kv::exit_reason& reason) { kv::send(heir_, said{to_string(reason)}); }
  void handle(const go_on&) { throw std::runtime_error("broken"); }

 private:
  kv::pid heir_;
};

struct leaf_testator : testator {
  static constexpr bool leaf = true;
  using testator::testator;
  void crash() { throw std::runtime_error("torn off"); }
};

struct heavy {
  kv::pid to;
  std::string state = "cold";
  explicit heavy(kv::pid reader) : to(reader) {
    kv::send(kv::self(), go_on{});
    kv::continue_with([this] { state = "warm"; });
  }
  using messages = kv::message_types<go_on>;
  void handle(const go_on&) { kv::send(to, said{state}); }
  std::string ask() { return state; }
};

struct heavy_leaf : heavy {
  static constexpr bool leaf = true;
  using heavy::heavy;
};

struct stillborn_leaf {
  static constexpr bool leaf = true;
  stillborn_leaf() { throw std::runtime_error("no"); }
};

}  // namespace

// Last words -------------------------------------------------------------------------------------------------------

TEST_CASE("on_exit is called when a server stops, exits or crashes") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  runtime.spawn<testator>(probe.id()).stop(kv::exit_reason::shutdown);
  CHECK(probe.expect<said>().what == "shutdown");
  runtime.spawn<testator>(probe.id()).cast([](testator&) { kv::exit(kv::exit_reason::custom("enough")); });
  CHECK(probe.expect<said>().what == "enough");
  runtime.send(runtime.spawn<testator>(probe.id()), go_on{});
  CHECK(probe.expect<said>().what == "error: broken");
}

TEST_CASE("on_exit is not called when an exit signal ends a server that does not trap it") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  for (const auto& reason : {kv::exit_reason::kill, kv::exit_reason::shutdown}) {
    const auto server = runtime.spawn<testator>(probe.id());
    kv::testing::exit_and_await(runtime, server, reason);
    CHECK_FALSE(probe.has<said>());
  }
}

TEST_CASE("on_exit is called when a server that traps exits ends with its parent") {
  struct trapping : testator {
    explicit trapping(kv::pid to) : testator(to) { kv::trap_exit(true); }
  };
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto parent = runtime.spawn([to = probe.id()] {
    kv::spawn_link<trapping>(to);
    kv::receive<go_on>();
    kv::exit(kv::exit_reason::custom("parting"));
  });
  runtime.send(parent, go_on{});
  CHECK(probe.expect<said>().what == "parting");
}

TEST_CASE("a server cannot outlive its parent, whatever it does with the signal") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto parent = runtime.spawn([to = probe.id()] {
    kv::send(to, kv::spawn_link<trapper>(to).id());
    kv::receive<go_on>();
  });
  const auto child = probe.expect<kv::pid>();
  probe.monitor(child);
  runtime.exit(parent, kv::exit_reason::kill);
  CHECK(probe.expect<kv::exit_signal>().from == parent);  // it has handled it first
  CHECK(probe.expect_down(child).reason == kv::exit_reason::killed);
}

TEST_CASE("on_exit may wait, and can be killed while it does") {
  struct slow {
    kv::pid to;
    void on_exit(const kv::exit_reason&) {
      kv::send(to, said{"leaving"});
      kv::receive<go_on>();
      kv::send(to, said{"gone"});
    }
  };
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto orderly = runtime.spawn<slow>(probe.id());
  probe.monitor(orderly);
  orderly.cast([](slow&) { kv::exit(kv::exit_reason::shutdown); });
  probe.expect<said>();
  runtime.exit(orderly, kv::exit_reason::custom("hurry"));  // it is leaving already
  runtime.send(orderly, go_on{});
  CHECK(probe.expect<said>().what == "gone");
  CHECK(probe.expect_down(orderly).reason == kv::exit_reason::shutdown);

  const auto cut_off = runtime.spawn<slow>(probe.id());
  probe.monitor(cut_off);
  cut_off.cast([](slow&) { kv::exit(kv::exit_reason::shutdown); });
  probe.expect<said>();
  runtime.exit(cut_off, kv::exit_reason::kill);
  CHECK(probe.expect_down(cut_off).reason == kv::exit_reason::killed);
  CHECK_FALSE(probe.has<said>());
}

TEST_CASE("an exception in on_exit is reported, and is the reason") {
  struct sore {
    void on_exit(const kv::exit_reason&) { throw std::runtime_error("sore loser"); }
    void crash() { throw std::runtime_error("lost"); }
  };
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<sore>();
  probe.monitor(server);
  CHECK_THROWS_AS(server.call(&sore::crash), kv::call_error);
  CHECK(probe.expect_down(server).reason.text() == "sore loser");
  const auto crashes = seen.all<kv::crash_report>();
  REQUIRE(crashes.size() == 2);
  CHECK(crashes[0].reason.text() == "lost");
  CHECK(crashes[1].reason.text() == "sore loser");
}

TEST_CASE("a leaf has last words, too") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  CHECK_THROWS_AS(runtime.spawn<leaf_testator>(probe.id()).call(&leaf_testator::crash), kv::call_error);
  CHECK(probe.expect<said>().what == "error: torn off");
}

TEST_CASE("a server that did not start has no last words") {
  struct stillborn {
    kv::pid to;
    explicit stillborn(kv::pid reader) : to(reader) { throw std::runtime_error("no"); }
    void on_exit(const kv::exit_reason&) { kv::send(to, said{"?"}); }
  };
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  CHECK_THROWS_AS(runtime.spawn<stillborn>(probe.id()), kv::start_error);
  CHECK_FALSE(probe.has<said>());
}

// A start in two parts ---------------------------------------------------------------------------------------------

TEST_CASE("the rest of a start comes before any message") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  CHECK(runtime.spawn<heavy>(probe.id()).call(&heavy::ask) == "warm");
  CHECK(probe.expect<said>().what == "warm");
  CHECK(runtime.spawn<heavy_leaf>(probe.id()).call(&heavy_leaf::ask) == "warm");
  CHECK(probe.expect<said>().what == "warm");
}

TEST_CASE("a continuation that throws ends the server, and its creator has it already") {
  struct brittle {
    brittle() {
      kv::continue_with([] { throw std::runtime_error("could not warm up"); });
    }
  };
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = probe.run([] { return kv::spawn_monitor<brittle>().first; });
  CHECK(probe.expect_down(server).reason.text() == "could not warm up");
}

// Idle -------------------------------------------------------------------------------------------------------------

TEST_SUITE("in simulation") {
  struct idler {
    kv::pid to;
    idler(kv::pid reader, std::chrono::nanoseconds time) : to(reader) { kv::idle_after(time); }
    using messages = kv::message_types<go_on>;
    void handle(const kv::idle&) { kv::send(to, kv::idle{}); }
    void handle(const go_on&) {}
    void work() {}
  };
  struct idle_leaf : idler {
    static constexpr bool leaf = true;
    using idler::idler;
  };

  TEST_CASE_TEMPLATE("a server is told when nothing has come for long enough, once", Server, idler, idle_leaf) {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto server = world.spawn<Server>(probe.id(), std::chrono::nanoseconds(10s));
    world.advance(9s);
    server.call(&Server::work);
    world.advance(9s);
    world.send(server, go_on{});
    world.advance(10s - 1ns);
    CHECK_FALSE(probe.has<kv::idle>());
    world.advance(1ns);
    CHECK(probe.has<kv::idle>());
    world.advance(1h);
    CHECK_FALSE(probe.has<kv::idle>());
    server.call(&Server::work);
    world.advance(10s);
    CHECK(probe.has<kv::idle>());
  }

  TEST_CASE("neither signals nor looks keep a server from being idle") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto server = world.spawn<idler>(probe.id(), std::chrono::nanoseconds(10s));
    world.advance(9s);
    probe.monitor(server);
    CHECK(world.info(server));
    world.advance(1s);
    CHECK(probe.has<kv::idle>());
  }

  TEST_CASE("idleness can be changed and turned off, and leaves no timer behind") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto server = world.spawn<idler>(probe.id(), std::chrono::nanoseconds(10s));
    server.call([](idler&) { kv::idle_after(1s); });
    world.advance(10s);
    CHECK(probe.has<kv::idle>());
    server.call([](idler&) { kv::idle_after(kv::infinity); });
    world.advance(1h);
    CHECK_FALSE(probe.has<kv::idle>());
    CHECK_FALSE(world.fire_next_timer());
    CHECK_THROWS_AS(probe.run([] { kv::idle_after(0s); }), std::invalid_argument);
  }

  TEST_CASE("a server that is idle while there is no memory is told so later" * doctest::skip(sanitized)) {
    kv::simulation world;
    kv::testing::probe probe(world);
    world.spawn<idler>(probe.id(), std::chrono::nanoseconds(10s));
    world.run_until_idle();
    world.exhaust_memory(true);
    world.advance(1min);
    world.exhaust_memory(false);
    CHECK_FALSE(probe.has<kv::idle>());
    world.advance(10s);
    CHECK(probe.has<kv::idle>());
    world.advance(1h);
    CHECK_FALSE(probe.has<kv::idle>());
  }
}

// Kills that meet resistance ---------------------------------------------------------------------------------------

TEST_CASE("whoever swallows the exception that ends him is ended at the next wait, and reported") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto stubborn = runtime.spawn([to = probe.id()] {
    kv::send(to, said{"waiting"});
    try {
      kv::receive<go_on>();
    } catch (...) {
      kv::send(to, said{"never mind"});
    }
    kv::receive<go_on>();
    kv::send(to, said{"alive"});
  });
  probe.monitor(stubborn);
  probe.expect<said>();
  runtime.exit(stubborn, kv::exit_reason::kill);
  CHECK(probe.expect<said>().what == "never mind");
  CHECK(probe.expect_down(stubborn).reason == kv::exit_reason::killed);
  CHECK_FALSE(probe.has<said>());
  const auto odd = seen.all<kv::oddity_report>();
  REQUIRE(odd.size() == 1);
  CHECK(odd[0].who == stubborn);
  CHECK(odd[0].what.find("swallowed") != std::string::npos);
}

TEST_CASE("whoever swallows it and returns is ended then, and reported") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<blank>();
  probe.monitor(server);
  server.cast([](blank&) {
    try {
      kv::exit(kv::exit_reason::custom("enough"));
    } catch (...) {
    }
  });
  CHECK(probe.expect_down(server).reason == kv::exit_reason::custom("enough"));
  CHECK(seen.all<kv::oddity_report>().size() == 1);
}

TEST_CASE("a process that ignores a kill is named, with what it runs" * needs_threads) {
  std::atomic<bool> free{false};
  reports seen;
  kv::pid stuck;
  {
    kv::runtime runtime({.threads = 2, .kill_timeout = 1ms, .on_report = [&](const kv::report& entry) {
                           seen.sink()(entry);
                           free.store(true);
                         }});
    kv::testing::probe probe(runtime);
    stuck = runtime.spawn([&free, to = probe.id()] {
      kv::send(to, said{"computing"});
      while (!free.load()) std::this_thread::yield();
    });
    probe.expect<said>();
    CHECK(kv::testing::kill_and_await(runtime, stuck) == kv::exit_reason::killed);
  }
  const auto told = seen.all<kv::watchdog_report>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].who == stuck);
  CHECK(told[0].told == kv::exit_reason::kill);
  CHECK(told[0].since == 1ms);
  CHECK(told[0].doing.find("handles") != std::string::npos);
}

TEST_CASE("a report sink that waits for a timer, when it hears of what ignores a kill, waits for no longer than that" *
          needs_threads) {
  std::latch heard(1);
  std::atomic<bool> free{false};
  kv::runtime runtime({.threads = 2, .kill_timeout = 1ms, .on_report = [&](const kv::report& entry) {
                         if (!std::holds_alternative<kv::watchdog_report>(entry)) return;
                         heard.wait();
                         free.store(true);
                       }});
  kv::testing::probe probe(runtime);
  const auto stuck = runtime.spawn([&free, to = probe.id()] {
    kv::send(to, said{"computing"});
    while (!free.load()) std::this_thread::yield();
  });
  probe.monitor(stuck);
  probe.expect<said>();
  probe.run([&] {
    runtime.exit(stuck, kv::exit_reason::kill);
    kv::send_after(2ms, probe, said{"later"});
  });
  probe.expect<said>();
  heard.count_down();
  CHECK(probe.expect_down(stuck).reason == kv::exit_reason::killed);
}

TEST_CASE("a root that does not end when the runtime asks it to is named") {
  struct stubborn {
    stubborn() { kv::trap_exit(true); }
    void handle(const kv::exit_signal&) {}
  };
  reports seen;
  {
    kv::runtime runtime({.threads = 1, .shutdown_timeout = 1ms, .on_report = seen.sink()});
    runtime.spawn_named<stubborn>("mule");
  }
  const auto told = seen.all<kv::watchdog_report>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].name == "mule");
  CHECK(told[0].told == kv::exit_reason::shutdown);
  CHECK(told[0].others.find("(mule)") != std::string::npos);
}

TEST_CASE("a process that is killed in time is not named") {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  for (int i = 0; i < 10; ++i) kv::testing::kill_and_await(world, world.spawn<blank>());
  CHECK_FALSE(world.fire_next_timer());
  CHECK(seen.all<kv::watchdog_report>().empty());
}

TEST_CASE("a kill timeout of nothing is refused") {
  CHECK_THROWS_AS(kv::runtime({.kill_timeout = 0s}), std::invalid_argument);
}

// Aliases ----------------------------------------------------------------------------------------------------------

TEST_CASE("what is sent to an alias comes until it is taken back") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  probe.run([] {
    const auto address = kv::make_alias();
    CHECK(address.who == kv::self());
    kv::send(address, said{"one"});
    CHECK(kv::receive<said>().what == "one");
    kv::send(address, said{"under way"});
    CHECK(kv::unalias(address));
    kv::send(address, said{"late"});
    CHECK_FALSE(kv::receive_for<said>(0ns));
    CHECK_FALSE(kv::unalias(address));
    CHECK_FALSE(kv::unalias({}));
    kv::send(kv::alias{}, said{"to nobody"});
  });
}

TEST_CASE("an alias is its owner's, and others cannot take it back") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  kv::testing::probe other(runtime);
  const auto address = probe.run([] { return kv::make_alias(); });
  CHECK_FALSE(other.run([&] { return kv::unalias(address); }));
  other.run([&] { kv::send(address, said{"hello"}); });
  CHECK(probe.expect<said>().what == "hello");
}

// Births that are watched ------------------------------------------------------------------------------------------

TEST_CASE("a child that dies before its parent looks is noticed all the same") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  probe.run([] {
    const auto [script, first] = kv::spawn_monitor([] {});
    const auto by_script = kv::await(first);
    REQUIRE(by_script);
    CHECK(by_script->from == script);
    CHECK(by_script->reason == kv::exit_reason::normal);

    const auto [server, second] = kv::spawn_monitor<blank>();
    kv::exit(server, kv::exit_reason::kill);
    const auto by_server = kv::await(second);
    REQUIRE(by_server);
    CHECK(by_server->from == server.id());
    CHECK(by_server->reason == kv::exit_reason::killed);
  });
}

TEST_CASE("a monitored child that does not start is told by start_error alone") {
  struct stillborn {
    stillborn() { throw std::runtime_error("no"); }
  };
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  probe.run([] {
    CHECK_THROWS_AS(kv::spawn_monitor<stillborn>(), kv::start_error);
    CHECK_THROWS_AS(kv::spawn_monitor<stillborn_leaf>(), kv::start_error);
    CHECK_FALSE(kv::receive_for<kv::down>(0ns));
    CHECK(kv::detail::current_process->business().monitoring.empty());
  });
  CHECK_THROWS_AS(kv::spawn_monitor<blank>(), std::logic_error);
}

TEST_CASE("a monitor by name watches who has it, and tells at once when nobody has") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn_named<blank>("shop");
  probe.run([&] {
    const auto watch = kv::monitor("shop");
    kv::exit(server, kv::exit_reason::kill);
    const auto news = kv::await(watch);
    REQUIRE(news);
    CHECK(news->from == server.id());
    CHECK(news->tag == "shop");
    const auto nobody = kv::await(kv::monitor("shop"), 0ns);
    REQUIRE(nobody);
    CHECK(nobody->reason == kv::exit_reason::noproc);
    CHECK_FALSE(nobody->from);
    CHECK(nobody->tag == "shop");
  });
}

TEST_CASE("a million short-lived peers leave no trace" * doctest::timeout(300)) {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  probe.run([] {
    kv::trap_exit(true);
    for (std::size_t i = 0; i < affordable(1'000'000); ++i) {
      const auto peer = kv::spawn_link<blank_leaf>();
      const auto watch = kv::monitor(peer);
      if (i % 2 == 0) {
        kv::unlink(peer);
        kv::demonitor(watch, true);
      }
      kv::exit(peer, kv::exit_reason::kill);
      if (i % 2 == 1) {
        kv::receive<kv::exit_signal>();
        REQUIRE(kv::await(watch));
      }
    }
  });
  const auto info = probe.run([&] { return runtime.info(probe); });
  REQUIRE(info);
  CHECK(info->within->links.empty());
  CHECK(info->within->monitors.empty());
  CHECK(info->within->mailbox == 0);
}

}  // namespace life_test
