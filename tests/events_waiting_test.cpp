// Promises under test: who waits in the manager is kept as data: any number of publishers are served, nobody waits for
// another's handler, and a handler's deadline counts from its last progress, whatever else is published.
#include <doctest/doctest.h>

#include <vector>

#include "threads.hpp"
#include "weather.hpp"

namespace events_waiting_test {

using namespace std::chrono_literals;
using server = kv::detail::event_manager;

namespace {

struct never {};

/// A simulated station that ends before its table does.
struct forecast : simulated_station {
  forecast() : simulated_station(1s) {}
  ~forecast() { kv::testing::kill_and_await(world, *events.manager_pid()); }
  /// Publishes from a process of its own, which tells the test when it is through.
  void publish(int number) {
    world.spawn([this, number] {
      events.sync_notify(rain{number});
      kv::send(p.id(), finished{});
    });
  }
  int count_finished() {
    int result = 0;
    while (p.has<finished>()) ++result;
    return result;
  }
};

}  // namespace

TEST_CASE("a hundred thousand publishers wait at a time, and all are served in order" * needs_threads) {
  constexpr int publishers = 100'000;
  weather_station w;
  int heard = 0;
  w.events.add_handler([&heard, to = w.p.id()](const rain& r) {
    if (r.number == 0) {
      kv::send(to, kv::self());
      kv::receive<go_on>();
    }
    if (r.number == heard) ++heard;
  });
  using body = kv::detail::event_body;
  const auto manager = w.runtime.whereis<server>("weather").value();
  w.p.run([&] {
    std::vector<kv::pending<void>> answers;
    for (int i = 0; i < publishers; ++i) {
      const auto event = body::of(std::variant<rain, sun>(rain{i}));
      answers.push_back(manager.send_request(&server::sync_notify, event));
    }
    const auto handler = kv::receive<kv::pid>();
    CHECK(manager.call_for(kv::testing::patience, &server::count) == 1);  // it has passed them all on by now
    CHECK_FALSE(answers.front().ready());
    kv::send(handler, go_on{});
    for (auto& each : answers) each.get(kv::testing::patience);
  });
  CHECK(heard == publishers);
  CHECK(w.removals().empty());
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a handler that hangs is detached at its deadline, also while events keep coming") {
  forecast f;
  f.events.add_handler([](const rain& r) {
    if (r.number == 5) kv::receive<never>();
  });
  f.events.forward_to(f.p);
  for (int i = 0; i < 14; ++i) {  // at 500 ms it begins to hang
    f.publish(i);
    f.world.advance(100ms);
  }
  f.world.advance(99ms);
  CHECK(f.count_finished() == 5);
  CHECK(f.removals().empty());
  f.world.advance(1ms);
  CHECK(f.removals().size() == 1);
  CHECK(f.count_finished() == 9);
  CHECK(f.events.count() == 1);
}

TEST_CASE("a handler that is only behind is not detached, however long its line is") {
  forecast f;
  f.events.add_handler([](const rain&) { CHECK_FALSE(kv::receive_for<never>(900ms)); });
  for (int i = 0; i < 50; ++i) f.publish(i);
  f.world.advance(44s);
  CHECK(f.count_finished() == 48);
  f.world.advance(2s);
  CHECK(f.count_finished() == 2);
  CHECK(f.removals().empty());
}

TEST_CASE("what notify has published counts against the deadline only while a publisher waits") {
  forecast f;
  f.events.add_handler([](const rain& r) {
    if (r.number == 1) kv::receive<never>();
  });
  f.events.notify(rain{1});
  f.world.advance(1h);
  CHECK(f.removals().empty());
  f.publish(2);
  f.world.advance(999ms);
  CHECK(f.removals().empty());
  f.world.advance(2ms);
  CHECK(f.removals().size() == 1);
  CHECK(f.count_finished() == 1);
}

TEST_CASE("no timer is set while nobody waits") {
  forecast f;
  f.events.add_handler([](const rain&) {});
  f.publish(1);
  f.world.advance(1s);
  CHECK(f.count_finished() == 1);
  CHECK_FALSE(f.world.fire_next_timer());
}

TEST_CASE("several handlers that hang are each detached at their own deadline") {
  forecast f;
  for (const int number : {1, 2, 3}) {
    f.events.add_handler([number](const rain& r) {
      if (r.number == number) kv::receive<never>();
    });
  }
  for (int i = 1; i <= 3; ++i) {
    f.publish(i);
    f.world.advance(400ms);
  }
  for (std::size_t i = 1; i <= 3; ++i) {
    CHECK(f.removals().size() == i);
    f.world.advance(400ms);
  }
  CHECK(f.count_finished() == 3);
}

TEST_CASE("who removes a handler waits for it, and nobody else does") {
  for (const bool hangs : {false, true}) {
    CAPTURE(hangs);
    forecast f;
    const auto id = f.events.add_handler([to = f.p.id()](const rain&) { kv::send(to, kv::self()); });
    f.publish(1);
    const auto handler = f.p.expect<kv::pid>();
    f.world.run_until_idle();
    f.world.suspend(handler);  // so the kill takes no effect
    for (int i = 0; i < 2; ++i) {
      f.world.spawn([&f, id] { kv::send(f.p.id(), f.events.remove(id)); });
    }
    f.world.run_until_idle();
    CHECK_FALSE(f.p.has<bool>());
    CHECK(f.events.count() == 0);
    f.publish(2);
    f.world.run_until_idle();
    CHECK(f.count_finished() == 2);
    if (hangs) {
      f.world.advance(1s);
    } else {
      f.world.resume(handler);
    }
    CHECK(f.p.expect<bool>());
    CHECK_FALSE(f.p.expect<bool>());  // the second was too late, and has waited as well
    f.world.resume(handler);
    f.world.run_until_idle();
    CHECK_FALSE(f.world.alive(handler));
    f.world.advance(1s);
    CHECK_FALSE(f.world.fire_next_timer());
  }
}

TEST_CASE("a server publishes without waiting, and gets a receipt") {
  forecast f;
  f.events.add_handler([to = f.p.id()](const rain&) {
    kv::send(to, kv::self());
    kv::receive<go_on>();
  });
  CHECK(f.p.run([&] { return f.events.notify_with_receipt(rain{1}, 17); }) == f.events.manager_pid());
  const auto handler = f.p.expect<kv::pid>();
  f.world.run_until_idle();
  CHECK_FALSE(f.p.has<kv::event_receipt>());
  f.world.send(handler, go_on{});
  const auto receipt = f.p.expect<kv::event_receipt>();
  CHECK(receipt.number == 17);
  CHECK(receipt.is_complete);
}

TEST_CASE("a handler that hangs when the manager is restarted has the whole deadline of the next one") {
  forecast f;
  f.events.add_handler([](const rain& r) {
    if (r.number == 1) kv::receive<never>();
  });
  f.events.notify(rain{1});
  f.world.advance(10s);
  kv::testing::kill_and_await(f.world, *f.events.manager_pid());
  f.p.run([&] { return kv::start_event_manager("weather", f.rows, {.handler_deadline = 1s}); });
  f.publish(2);
  f.world.advance(999ms);
  CHECK(f.removals().empty());
  f.world.advance(1ms);
  CHECK(f.removals().size() == 1);
  CHECK(f.count_finished() == 1);
}

TEST_SUITE_END();

}  // namespace events_waiting_test
