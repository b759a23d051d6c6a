// Promises under test: want of memory costs the event manager no handler and no answer. What the end of a handler needs
// was made in time; what there is no memory for now is done later.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <kv/messages.hpp>

#include "exploring.hpp"
#include "weather.hpp"

namespace events_shortage_test {

using namespace std::chrono_literals;

namespace {

/// Lets run what can run now, without any memory.
void run_without_memory(kv::simulation& world) {
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
}

/// Publishes again if there was no memory to tell everybody.
void publish_for_sure(const weather& events, rain event) {
  try {
    events.sync_notify(event);
  } catch (const kv::call_error&) {
    events.sync_notify(event);
  }
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a request that is refused memory, whichever, changes nothing, and the manager goes on" *
          doctest::skip(sanitized)) {
  for (const bool forwards : {false, true}) {
    unsigned refusals = 0;
    bool was_refused = true;
    for (unsigned nth = 1; was_refused || nth < 60; ++nth) {
      CAPTURE(nth);
      kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
      kv::testing::probe p(world);
      auto rows = kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .owner = p});
      const auto manager = p.run([&] { return kv::start_event_manager("weather", rows, {}); });
      const weather events(world, "weather");
      events.forward_to(p);
      world.refuse_allocation(manager, nth);
      was_refused = false;
      try {
        if (forwards) {
          events.forward_to(p, [](const rain& r) { return r.number == 1; });
        } else {
          events.add_handler([to = p.id()](const rain&) { kv::send(to, go_on{}); });
        }
      } catch (const std::bad_alloc&) {
        was_refused = true;
        ++refusals;
      }
      world.run_until_idle();
      CHECK(world.alive(manager));
      CHECK(rows.size() == (was_refused ? 1 : 2));
      CHECK(events.count() == rows.size());
      publish_for_sure(events, rain{1});
      CHECK(p.has<rain>());
      CHECK((forwards ? p.has<rain>() : p.has<go_on>()) == !was_refused);
      kv::testing::kill_and_await(world, manager);
    }
    CHECK(refusals > 3);
  }
}

TEST_CASE("a manager that starts without memory, whichever, loses no subscription, and attaches it later" *
          doctest::skip(sanitized)) {
  unsigned late = 0;
  std::optional<kv::pid> next;  // the same in every run; the first one finds it out
  for (unsigned nth = 0; nth < 60; ++nth) {
    CAPTURE(nth);
    reports seen;
    kv::simulation world({.runtime = {.on_report = seen.sink()}});
    kv::testing::probe p(world);
    auto rows = kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .owner = p});
    const auto start = [&] { return p.run([&] { return kv::start_event_manager("weather", rows, {}); }); };
    const auto old = start();
    const weather events(world, "weather");
    events.forward_to(p);
    events.add_handler([to = p.id()](const rain&) { kv::send(to, go_on{}); });
    events.sync_notify(rain{0});
    const auto runner = rows.lookup(2).value().runner;
    kv::testing::kill_and_await(world, old);
    kv::testing::kill_and_await(world, runner);
    if (next) world.refuse_allocation({next->slot, next->generation, old.node}, nth);
    try {
      next = start();
    } catch (const kv::start_error&) {
      start();  // as its supervisor does
    }
    late += seen.all<kv::oddity_report>().empty() ? 0 : 1;
    world.advance(1s);
    CHECK(events.count() == 2);
    CHECK(rows.size() == 2);
    for (int i = 0; i < 2; ++i) CHECK(p.has<rain>() == (i == 0));
    CHECK(p.has<go_on>());
    publish_for_sure(events, rain{1});
    CHECK(p.has<rain>());
    CHECK(p.has<go_on>());
    CHECK(seen.all<kv::handler_report>().empty());
    kv::testing::kill_and_await(world, *events.manager_pid());
  }
  CHECK(late > 3);
}

TEST_CASE("a handler whose process ends while there is no memory is removed, and its owner is told" *
          doctest::skip(sanitized)) {
  simulated_station s;
  const auto id = s.p.run([&] { return s.events.add_monitored_handler([](const rain&) {}); });
  const auto runner = s.rows.lookup(1).value().runner;
  s.events.forward_to(s.p);
  s.world.exit(runner, kv::exit_reason::kill);
  run_without_memory(s.world);
  CHECK(s.p.expect<kv::handler_removed>().id == id);
  CHECK(s.rows.size() == 1);
  CHECK(s.events.count() == 1);
  s.events.sync_notify(rain{1});
  CHECK(s.p.has<rain>());
  CHECK(s.world.alive(s.manager));
}

TEST_CASE("a handler that hangs is detached in time without any memory, and its process ends" *
          doctest::skip(sanitized)) {
  simulated_station s(1s);
  s.events.add_handler([](const rain&) { kv::receive<go_on>(); });
  const auto runner = s.rows.lookup(1).value().runner;
  s.world.spawn([&s, to = s.p.id()] {
    s.events.sync_notify(rain{1});
    kv::send(to, go_on{});
  });
  s.world.run_until_idle();
  s.world.exhaust_memory(true);
  s.world.advance(1s);
  s.world.exhaust_memory(false);
  s.world.advance(1s);
  CHECK_FALSE(s.world.alive(runner));
  CHECK(s.rows.size() == 0);
  CHECK(s.events.count() == 0);
  CHECK(s.world.alive(s.manager));
  CHECK(s.p.has<go_on>());
}

TEST_CASE("an event for which there is no memory is refused to its publisher, and told when it is published again" *
          doctest::skip(sanitized)) {
  simulated_station s;
  s.events.forward_to(s.p);
  s.p.run([&] { s.events.notify_with_receipt(rain{1}, 7); });
  run_without_memory(s.world);
  CHECK_FALSE(s.p.expect<kv::event_receipt>().is_complete);
  s.p.run([&] { s.events.notify_with_receipt(rain{2}, 8); });
  CHECK(s.p.expect<kv::event_receipt>().is_complete);
  CHECK(s.p.expect<rain>().number == 2);
  CHECK(s.world.alive(s.manager));
}

TEST_CASE("whichever allocation of the manager's fails, the publisher is told what has become of its event" *
          doctest::skip(sanitized)) {
  unsigned incomplete = 0;
  for (unsigned nth = 1; nth < 40; ++nth) {
    CAPTURE(nth);
    simulated_station s;
    s.events.forward_to(s.p);
    s.events.add_handler([to = s.p.id()](const rain&) { kv::send(to, go_on{}); });
    // It has told no event yet, so that what it makes at the first is refused, too.
    s.world.refuse_allocation(s.manager, nth);
    for (int i = 1; i <= 2; ++i) {
      s.p.run([&] { s.events.notify_with_receipt(rain{i}, static_cast<std::uint64_t>(i)); });
      const auto receipt = s.p.expect<kv::event_receipt>();
      CHECK(receipt.number == static_cast<std::uint64_t>(i));
      if (!receipt.is_complete) ++incomplete;
    }
    CHECK(s.world.alive(s.manager));
  }
  CHECK(incomplete > 3);
}

TEST_CASE("a handler whose process is refused memory, whichever, hears the event that is published again" *
          doctest::skip(sanitized)) {
  unsigned lost = 0;
  for (unsigned nth = 1; nth < 20; ++nth) {
    CAPTURE(nth);
    simulated_station s;
    int heard = 0;
    s.events.add_handler([&heard](const rain& r) { heard = r.number; });
    const auto runner = s.rows.lookup(1).value().runner;
    s.world.refuse_allocation(runner, nth);
    s.p.run([&] { s.events.notify_with_receipt(rain{1}, 1); });
    s.p.expect<kv::event_receipt>();
    s.world.advance(1s);
    publish_for_sure(s.events, rain{2});
    CHECK(heard == 2);
    CHECK(s.events.count() == 1);
    CHECK(s.rows.size() == 1);
    CHECK(s.seen.all<kv::handler_report>().empty());
    if (!s.world.alive(runner)) ++lost;
  }
  CHECK(lost > 0);
}

TEST_CASE("what a client gave is not destroyed by the manager, also when there is no memory for a process" *
          doctest::skip(sanitized)) {
  struct tells_where {
    explicit tells_where(kv::pid& where) : by(&where) {}
    tells_where(tells_where&& other) noexcept : by(std::exchange(other.by, nullptr)) {}
    tells_where& operator=(tells_where&&) = delete;
    ~tells_where() {
      if (by != nullptr) *by = kv::self();
    }
    bool operator()(const rain&) const { return true; }
    kv::pid* by;
  };
  simulated_station s;
  kv::pid by;
  const auto receiver = s.world.spawn([] { kv::receive<go_on>(); });
  s.events.forward_to(receiver, tells_where(by));
  s.world.exit(receiver, kv::exit_reason::kill);
  run_without_memory(s.world);
  CHECK(by);
  CHECK(by != s.manager);
  CHECK(s.events.count() == 0);
}

TEST_SUITE_END();

}  // namespace events_shortage_test
