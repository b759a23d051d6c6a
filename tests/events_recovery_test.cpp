// Promises under test: subscriptions survive the manager's death; no event reaches a handler twice, and none of a
// living manager is lost.
#include <doctest/doctest.h>

#include <atomic>
#include <set>

#include <kv/supervision.hpp>

#include "weather.hpp"

namespace events_recovery_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;

namespace {

struct heard {
  int handler;
  int number;
  kv::pid by;
};

/// Tells the test that it was greeted.
struct waiting {
  kv::pid test;
  using messages = kv::message_types<kv::event_manager_started>;
  void handle(const kv::event_manager_started& m) { kv::send(test, m); }
};

void add_teller(weather_station& w, int handler) {
  w.events.add_handler([to = w.p.id(), handler](const rain& r) { kv::send(to, heard{handler, r.number, kv::self()}); });
}

}  // namespace

TEST_CASE("handlers are there again when the manager is back, each in the process it had") {
  weather_station w;
  for (int i = 0; i < 5; ++i) add_teller(w, i);
  w.events.forward_to(w.p);
  w.events.sync_notify(rain{1});
  std::set<std::pair<int, kv::pid>> before, after;
  for (int i = 0; i < 5; ++i) {
    const auto h = w.p.expect<heard>();
    before.emplace(h.handler, h.by);
  }
  w.stop();
  w.start();
  CHECK(w.events.count() == 6);
  w.events.sync_notify(rain{2});
  for (int i = 0; i < 5; ++i) {
    const auto h = w.p.expect<heard>();
    CHECK(h.number == 2);
    after.emplace(h.handler, h.by);
  }
  CHECK(before == after);
  CHECK_FALSE(w.p.has<heard>());  // none has it twice
  CHECK(w.p.expect<rain>().number == 1);
  CHECK(w.p.expect<rain>().number == 2);
  CHECK_FALSE(w.p.has<rain>());
}

TEST_CASE("a handler added after the restart is another one") {
  weather_station w;
  const auto first = w.events.add_handler([](const rain&) {});
  w.stop();
  w.start();
  const auto second = w.events.add_handler([](const rain&) {});
  CHECK(first != second);
  CHECK(w.events.remove(first));
  CHECK(w.events.remove(second));
  CHECK(w.events.count() == 0);
}

TEST_CASE("events come in order and once, whenever the manager is killed") {
  weather_station w;
  add_teller(w, 0);
  int sent = 0;
  for (int life = 0; life < 20; ++life) {
    for (int i = 0; i < 20; ++i) w.events.notify(rain{++sent});
    w.stop();
    w.start();
  }
  w.events.sync_notify(rain{++sent});
  int last = 0;
  while (last < sent) {
    const auto number = w.p.expect<heard>().number;
    CHECK(number > last);  // a manager that dies takes what it had not passed on along
    last = number;
  }
  CHECK_FALSE(w.p.has<heard>());
}

TEST_CASE("a handler that is in an event when the manager dies is not called by two at a time") {
  weather_station w;
  std::atomic<int> inside{0}, most{0};
  w.events.add_handler([&, to = w.p.id()](const rain& r) {
    most = std::max<int>(most, ++inside);
    kv::send(to, kv::self());
    kv::receive<go_on>();
    --inside;
    kv::send(to, r);
  });
  w.events.notify(rain{1});
  const auto runner = w.p.expect<kv::pid>();
  w.stop();
  w.start();
  w.events.notify(rain{2});
  CHECK(w.events.count() == 1);  // it has passed the event on by now
  w.runtime.send(runner, go_on{});
  CHECK(w.p.expect<rain>().number == 1);
  CHECK(w.p.expect<kv::pid>() == runner);
  w.runtime.send(runner, go_on{});
  CHECK(w.p.expect<rain>().number == 2);
  CHECK(most == 1);
}

TEST_CASE("who waits in sync_notify when the manager dies is told so") {
  weather_station w;
  w.events.add_handler([to = w.p.id()](const rain&) {
    kv::send(to, kv::self());
    kv::receive<go_on>();
  });
  w.runtime.spawn([&w, to = w.p.id()] {
    try {
      w.events.sync_notify(rain{1});
    } catch (const kv::call_error& e) {
      kv::send(to, e.reason());
    }
  });
  const auto runner = w.p.expect<kv::pid>();
  w.stop();
  CHECK(w.p.expect<kv::exit_reason>() == kv::exit_reason::killed);
  w.start();
  w.runtime.send(runner, go_on{});  // its answer is for the manager that is gone
  w.runtime.send(runner, go_on{});
  w.events.sync_notify(rain{2});
  CHECK(w.p.expect<kv::pid>() == runner);
  CHECK(w.removals().empty());
}

TEST_CASE("a handler that throws while the manager is down is removed and reported once") {
  weather_station w;
  w.p.run([&] {
    w.events.add_monitored_handler([to = w.p.id()](const rain&) {
      kv::send(to, kv::self());
      kv::receive<go_on>();
      throw std::runtime_error("too wet");
    });
  });
  w.events.notify(rain{1});
  const auto runner = w.p.expect<kv::pid>();
  w.stop();
  w.p.monitor(runner);
  w.runtime.send(runner, go_on{});
  w.p.expect_down(runner);
  w.start();
  CHECK(w.events.count() == 0);
  CHECK(w.removals().size() == 1);
  w.p.expect<kv::handler_removed>();
  CHECK_FALSE(w.p.has<kv::handler_removed>());
}

TEST_CASE("a handler whose process was killed while the manager was down gets a new one") {
  weather_station w;
  add_teller(w, 0);
  w.events.sync_notify(rain{1});
  const auto runner = w.p.expect<heard>().by;
  w.stop();
  kill_and_await(w.runtime, runner);
  w.start();
  w.events.sync_notify(rain{2});
  const auto h = w.p.expect<heard>();
  CHECK(h.number == 2);
  CHECK(h.by != runner);
}

TEST_CASE("a monitored handler whose owner ended while the manager was down goes when it is back") {
  weather_station w;
  const auto owner = w.runtime.spawn([&w, to = w.p.id()] {
    w.events.add_monitored_handler([to](const rain&) { kv::send(to, kv::self()); });
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
  w.p.expect<go_on>();
  w.events.sync_notify(rain{1});
  const auto runner = w.p.expect<kv::pid>();
  w.p.monitor(runner);
  w.stop();
  kill_and_await(w.runtime, owner);
  w.start();
  w.p.expect_down(runner);
  CHECK(w.events.count() == 0);
  w.events.sync_notify(rain{2});
  CHECK_FALSE(w.p.has<kv::pid>());
}

TEST_CASE("a supervisor brings the manager and its handlers back without the user") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  kv::testing::probe p(runtime);
  const auto s = runtime.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 10}, [&runtime] {
    const auto rows = kv::subscription_table::create(runtime, {.name = {}, .access = kv::table_access::public_});
    return std::vector{kv::worker("events", [rows] { return kv::start_event_manager("weather", rows, {}); })};
  });
  const weather events(runtime, "weather");
  events.add_handler([to = p.id()](const rain& r) { kv::send(to, r); });
  for (int life = 0; life < 3; ++life) {
    kill_and_await(runtime, *events.manager_pid());
    s.call(&kv::supervisor::which_children);
    events.sync_notify(rain{life});
    CHECK(p.expect<rain>().number == life);
    CHECK_FALSE(p.has<rain>());
  }
}

TEST_CASE("a manager that starts greets who waits for it") {
  weather_station w;
  w.runtime.spawn_named<waiting>("waiting", waiting{w.p});
  w.stop();
  const auto manager = w.p.run([&] { return kv::start_event_manager("weather", w.rows, {.greet = "waiting"}); });
  CHECK(w.p.expect<kv::event_manager_started>().manager == manager);
}

TEST_CASE("handlers end with the table that their subscriptions are rows of") {
  weather_station w;
  add_teller(w, 0);
  w.events.sync_notify(rain{1});
  const auto runner = w.p.expect<heard>().by;
  w.p.monitor(runner);
  w.stop();
  // The table goes with its owner; the test owns this one, so another probe stands in for him.
  {
    kv::testing::probe owner(w.runtime);
    auto rows =
        kv::subscription_table::create(w.runtime, {.name = {}, .access = kv::table_access::public_, .owner = owner});
    const auto manager = owner.run([&] { return kv::start_event_manager("other", rows, {}); });
    const weather other(w.runtime, "other");
    other.add_handler([to = w.p.id()](const rain& r) { kv::send(to, heard{1, r.number, kv::self()}); });
    other.sync_notify(rain{2});
    w.p.monitor(w.p.expect<heard>().by, "other");
    kill_and_await(w.runtime, manager);
  }
  CHECK(w.p.expect<kv::down>().tag == "other");
}

TEST_CASE("a handler that ends with the table is not reported as removed" * doctest::test_suite("in simulation")) {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  kv::testing::probe p(world);
  const auto owner = world.spawn([] { kv::receive<heard>(); });
  auto rows = kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .owner = owner});
  const auto manager = p.run([&] { return kv::start_event_manager("weather", rows, {}); });
  const weather events(world, "weather");
  events.add_handler([](const rain&) {});
  const auto runner = rows.lookup(1).value().runner;
  p.run([] { kv::trap_exit(true); });
  kill_and_await(world, owner);
  world.run_until_idle();
  CHECK_FALSE(world.alive(runner));
  CHECK_FALSE(world.alive(manager));
  CHECK(seen.all<kv::handler_report>().empty());
}

TEST_CASE("subscriptions stand while their table waits for an heir, and for ever without an owner" *
          doctest::test_suite("in simulation")) {
  kv::simulation world;
  kv::testing::probe p(world);
  const weather events(world, "weather");
  const auto hears = [&] {
    events.add_handler([to = p.id()](const rain& r) { kv::send(to, r); });
    events.sync_notify(rain{1});
    CHECK(p.has<rain>());
  };
  SUBCASE("waiting") {
    const auto owner = world.spawn([] { kv::receive<heard>(); });
    auto rows = kv::subscription_table::create(
        world, {.name = {}, .access = kv::table_access::public_, .owner = owner, .heirs = {std::string("next")}});
    const auto manager = p.run([&] { return kv::start_event_manager("weather", rows, {}); });
    hears();
    kill_and_await(world, owner);
    world.advance(10s);
    events.sync_notify(rain{2});
    CHECK(p.has<rain>());
    world.register_name("next", p.id());
    world.advance(10s);
    events.sync_notify(rain{3});
    CHECK(p.has<rain>());
    CHECK(world.alive(manager));
    kill_and_await(world, manager);
  }
  SUBCASE("ownerless") {
    auto rows =
        kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .ownerless = true});
    const auto manager = p.run([&] { return kv::start_event_manager("weather", rows, {}); });
    hears();
    world.advance(10s);
    CHECK(events.count() == 1);
    kill_and_await(world, manager);
  }
}

}  // namespace events_recovery_test
