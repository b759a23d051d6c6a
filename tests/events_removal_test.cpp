// Promises under test: once remove has returned, the handler is never called again; a monitored handler goes with its
// owner, who is told when it goes for another reason.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>

#include "weather.hpp"

namespace events_removal_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;

namespace {

/// A process that adds a monitored handler and waits. Tells the test the handler's process at the first event.
kv::pid spawn_owner(weather_station& w) {
  return w.runtime.spawn([&w, to = w.p.id()] {
    w.events.add_monitored_handler([to](const rain&) { kv::send(to, kv::self()); });
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
}

}  // namespace

TEST_CASE("a removed handler is not called again, and the others are") {
  weather_station w;
  std::atomic<int> first{0}, second{0};
  const auto id = w.events.add_handler([&](const rain&) { ++first; });
  w.events.add_handler([&](const rain&) { ++second; });
  w.events.sync_notify(rain{1});
  CHECK(w.events.remove(id));
  CHECK(w.events.count() == 1);
  w.events.sync_notify(rain{2});
  CHECK(first == 1);
  CHECK(second == 2);
  CHECK(w.removals().empty());  // nobody's fault
}

TEST_CASE("remove tells whether there was something to remove") {
  weather_station w;
  const auto id = w.events.add_handler([](const rain&) {});
  const auto forward = w.events.forward_to(w.p);
  CHECK(w.events.remove(id));
  CHECK_FALSE(w.events.remove(id));
  CHECK(w.events.remove(forward));
  CHECK_FALSE(w.events.remove(forward));
  CHECK_FALSE(w.events.remove(kv::handler_id{}));
  CHECK_FALSE(w.events.remove(kv::handler_id{12345}));
  w.events.sync_notify(rain{1});
  CHECK_FALSE(w.p.has<rain>());
}

TEST_CASE("a handler that was removed names no later one") {
  weather_station w;
  const auto first = w.events.add_handler([](const rain&) {});
  w.events.remove(first);
  const auto second = w.events.add_handler([](const rain&) {});
  CHECK(first != second);
  CHECK_FALSE(w.events.remove(first));
  CHECK(w.events.count() == 1);
}

TEST_CASE("once remove has returned the handler is never called again, with events under way") {
  weather_station w;
  std::atomic<int> calls{0};
  std::atomic<bool> over{false};
  const auto publisher = w.runtime.spawn([&] {
    while (!over) w.events.sync_notify(rain{1});
  });
  for (int i = 0; i < 50; ++i) {
    const auto id = w.events.add_handler([&](const rain&) { ++calls; });
    for (int n = 0; n < 10; ++n) w.events.notify(rain{n});
    w.events.remove(id);
    const int so_far = calls;
    w.events.sync_notify(rain{100});
    CHECK(calls == so_far);
  }
  w.p.monitor(publisher);
  over = true;
  w.p.expect_down(publisher);
}

TEST_CASE("a handler that runs is over when remove has returned") {
  weather_station w;
  const auto id = w.events.add_handler([to = w.p.id()](const rain&) {
    const tell_at_end guard{to};
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
  w.events.notify(rain{1});
  w.p.expect<go_on>();
  CHECK(w.events.remove(id));
  CHECK(w.p.has<tell_at_end::ended>());
  CHECK(w.removals().empty());
}

TEST_CASE("a handler can remove itself, and goes on to its end") {
  weather_station w;
  const auto id = std::make_shared<std::atomic<std::uint64_t>>(0);
  *id = w.events
            .add_handler([&w, id, to = w.p.id()](const rain& r) {
              kv::send(to, w.events.remove({*id}));
              kv::send(to, r);
            })
            .value;
  for (int i = 0; i < 3; ++i) w.events.notify(rain{i});
  CHECK(w.p.expect<bool>());
  CHECK(w.p.expect<rain>().number == 0);
  w.events.sync_notify(rain{3});
  CHECK(w.events.count() == 0);
  CHECK_FALSE(w.p.has<rain>());
  CHECK(w.removals().empty());
}

TEST_CASE("a handler can remove itself while sync_notify waits for it") {
  weather_station w;
  const auto id = std::make_shared<std::atomic<std::uint64_t>>(0);
  *id = w.events.add_handler([&w, id, to = w.p.id()](const rain&) { kv::send(to, w.events.remove({*id})); }).value;
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 0);
  CHECK(w.removals().empty());  // it did not take too long: it asked to go
  CHECK(w.p.expect<bool>());
}

TEST_CASE("a handler can add another while sync_notify waits for it") {
  weather_station w;
  w.events.add_handler(
      [&w, to = w.p.id()](const rain&) { w.events.add_handler([to](const sun& s) { kv::send(to, s); }); });
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 2);
  CHECK(w.removals().empty());
}

TEST_CASE("a monitored handler goes with its owner") {
  weather_station w;
  const auto owner = spawn_owner(w);
  w.p.expect<go_on>();
  w.events.sync_notify(rain{1});
  const auto handler = w.p.expect<kv::pid>();
  w.p.monitor(handler);
  kill_and_await(w.runtime, owner);
  w.p.expect_down(handler);
  CHECK(w.events.count() == 0);
  w.events.sync_notify(rain{2});
  CHECK_FALSE(w.p.has<kv::pid>());
  CHECK(w.removals().empty());  // as it should be
}

TEST_CASE("a monitored handler whose owner ends while it waits in an event holds up nobody") {
  weather_station w;
  const auto owner = w.runtime.spawn([&w, to = w.p.id()] {
    w.events.add_monitored_handler([to](const rain&) {
      const tell_at_end guard{to};
      kv::send(to, kv::self());
      kv::receive<go_on>();
    });
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
  w.p.expect<go_on>();
  w.runtime.spawn([&w, to = w.p.id()] {
    w.events.sync_notify(rain{1});
    kv::send(to, finished{});
  });
  w.p.expect<kv::pid>();
  kill_and_await(w.runtime, owner);
  w.p.expect<finished>();
  w.p.expect<tell_at_end::ended>();
  CHECK(w.events.count() == 0);
}

TEST_CASE("the owner is told when his handler throws") {
  weather_station w;
  const auto id =
      w.p.run([&] { return w.events.add_monitored_handler([](const rain&) { throw std::runtime_error("too wet"); }); });
  w.events.sync_notify(rain{1});
  const auto told = w.p.expect<kv::handler_removed>();
  CHECK(told.id == id);
  CHECK(told.why == "error: too wet");
  CHECK(w.removals().size() == 1);
  CHECK(w.events.count() == 0);
}

TEST_CASE("the owner is told when his handler is too slow") {
  simulated_station w(1ms);
  const auto id = w.p.run([&] { return w.events.add_monitored_handler([](const rain&) { kv::receive<go_on>(); }); });
  w.events.sync_notify(rain{1});
  CHECK(w.p.expect<kv::handler_removed>().id == id);
  CHECK(w.removals().size() == 1);
}

TEST_CASE("the owner is told when his handler is killed") {
  weather_station w;
  const auto id = w.p.run(
      [&] { return w.events.add_monitored_handler([to = w.p.id()](const rain&) { kv::send(to, kv::self()); }); });
  w.events.sync_notify(rain{1});
  kill_and_await(w.runtime, w.p.expect<kv::pid>());
  CHECK(w.p.expect<kv::handler_removed>().id == id);
  CHECK(w.events.count() == 0);
}

TEST_CASE("the owner is told nothing when he removes his handler himself") {
  weather_station w;
  const auto id = w.p.run([&] { return w.events.add_monitored_handler([](const rain&) {}); });
  CHECK(w.events.remove(id));
  CHECK(w.events.count() == 0);
  CHECK_FALSE(w.p.has<kv::handler_removed>());
}

}  // namespace events_removal_test
