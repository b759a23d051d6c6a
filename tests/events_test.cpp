// Promises under test: every handler gets every event it accepts, in order; sync_notify returns after all of them; a
// handler that throws or hangs is removed and reported and holds up nobody; a manager that is down says so.
#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "threads.hpp"
#include "weather.hpp"

namespace events_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;

TEST_CASE("notify tells every handler, in the order of the events") {
  weather_station w;
  for (int i = 0; i < 3; ++i) w.events.add_handler([to = w.p.id()](const rain& r) { kv::send(to, r); });
  for (int i = 0; i < 100; ++i) w.events.notify(rain{i});
  std::vector<int> seen(100);
  for (int i = 0; i < 300; ++i) ++seen.at(static_cast<std::size_t>(w.p.expect<rain>().number));
  CHECK(seen == std::vector<int>(100, 3));
}

TEST_CASE("one handler hears events in order, however they were published") {
  weather_station w;
  w.events.add_handler([to = w.p.id()](const rain& r) { kv::send(to, r); });
  for (int i = 0; i < 100; i += 2) {
    w.events.notify(rain{i});
    w.events.sync_notify(rain{i + 1});
  }
  for (int i = 0; i < 100; ++i) CHECK(w.p.expect<rain>().number == i);
}

TEST_CASE("sync_notify without a handler returns") {
  weather_station w;
  CHECK(w.events.count() == 0);
  w.events.sync_notify(rain{1});
  w.events.notify(rain{1});
}

TEST_CASE("sync_notify returns after every handler has run") {
  weather_station w;
  std::atomic<int> done{0};
  for (int i = 0; i < 200; ++i) {
    w.events.add_handler([&done](const rain&) {
      static_cast<void>(kv::receive_for<go_on>(1ms));  // never comes: others run meanwhile
      ++done;
    });
  }
  w.events.forward_to(w.p);
  w.events.sync_notify(rain{1});
  CHECK(done == 200);
  CHECK(w.p.has<rain>());
  w.events.sync_notify(rain{2});
  CHECK(done == 400);
}

TEST_CASE("sync_notify also waits for what notify has published before") {
  weather_station w;
  std::atomic<int> done{0};
  w.events.add_handler([&done](const rain&) {
    static_cast<void>(kv::receive_for<go_on>(1ms));
    ++done;
  });
  for (int i = 0; i < 10; ++i) w.events.notify(rain{i});
  w.events.sync_notify(rain{10});
  CHECK(done == 11);
}

TEST_CASE("many can publish at the same time, from processes and threads" * needs_threads) {
  weather_station w;
  std::atomic<int> heard{0};
  w.events.add_handler([&heard](const rain&) { ++heard; });
  const auto publish = [&] {
    for (int i = 0; i < 50; ++i) w.events.sync_notify(rain{i});
    w.runtime.send(w.p, finished{});
  };
  for (int i = 0; i < 4; ++i) w.runtime.spawn(publish);
  std::thread thread(publish);
  publish();
  thread.join();
  for (int i = 0; i < 6; ++i) w.p.expect<finished>();
  CHECK(heard == 300);
}

TEST_CASE("a handler gets only the events it can be called with") {
  weather_station w;
  std::atomic<int> only_rain{0}, all{0};
  w.events.add_handler([&](const rain&) { ++only_rain; });
  w.events.add_handler([&](const auto&) { ++all; });
  w.events.forward_to(w.p);
  w.events.sync_notify(sun{1});
  w.events.sync_notify(rain{2});
  CHECK(only_rain == 1);
  CHECK(all == 2);
  CHECK(w.p.expect<sun>().number == 1);
  CHECK(w.p.expect<rain>().number == 2);
}

TEST_CASE("a handler keeps its state from one event to the next") {
  weather_station w;
  w.events.add_handler([to = w.p.id(), sum = 0](const rain& r) mutable { kv::send(to, rain{sum += r.number}); });
  for (int i = 1; i <= 3; ++i) w.events.notify(rain{i});
  CHECK(w.p.expect<rain>().number == 1);
  CHECK(w.p.expect<rain>().number == 3);
  CHECK(w.p.expect<rain>().number == 6);
}

TEST_CASE("a handler that throws is removed and reported, and the others go on") {
  weather_station w;
  std::atomic<int> heard{0};
  w.events.add_handler([&heard](const rain&) { ++heard; });
  w.events.add_handler([](const rain& r) {
    if (r.number == 2) throw std::runtime_error("too wet");
  });
  w.events.add_handler([&heard](const rain&) { ++heard; });
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 3);
  w.events.sync_notify(rain{2});
  w.events.sync_notify(rain{3});
  CHECK(heard == 6);
  CHECK(w.events.count() == 2);
  REQUIRE(w.removals().size() == 1);
  CHECK(w.removals()[0].manager == "weather");
  CHECK(w.removals()[0].why == "error: too wet");
  CHECK(w.seen.all<kv::crash_report>().empty());
}

TEST_CASE("something that is no std::exception removes a handler, too") {
  weather_station w;
  w.events.add_handler([](const rain&) { throw 42; });
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 0);
  REQUIRE(w.removals().size() == 1);
  CHECK(w.removals()[0].why == "error: unknown exception");
}

TEST_CASE("every handler may throw at the same event") {
  weather_station w;
  for (int i = 0; i < 50; ++i) w.events.add_handler([](const rain&) { throw std::runtime_error("too wet"); });
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 0);
  CHECK(w.removals().size() == 50);
  w.events.sync_notify(rain{2});
}

TEST_CASE("a handler that waits for ever is detached at the deadline and unwound") {
  simulated_station w(1ms);
  w.events.add_handler([to = w.p.id()](const rain&) {
    const tell_at_end guard{to};
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
  w.events.forward_to(w.p);
  w.events.notify(rain{0});
  w.p.expect<go_on>();  // it is in there
  w.events.sync_notify(rain{1});
  w.p.expect<tell_at_end::ended>();
  CHECK(w.events.count() == 1);
  REQUIRE(w.removals().size() == 1);
  CHECK(w.removals()[0].why.find("in time") != std::string::npos);
  w.events.sync_notify(rain{2});
  for (int i = 0; i < 3; ++i) CHECK(w.p.expect<rain>().number == i);
}

TEST_CASE("a handler that blocks its thread is detached at the deadline and holds up nobody" * needs_threads) {
  std::latch release{1};
  weather_station w(1ms, 4);
  w.events.add_handler([&release, to = w.p.id()](const rain&) {
    kv::send(to, go_on{});
    release.wait();
  });
  w.events.notify(rain{0});
  struct opener {
    std::latch& door;
    ~opener() { door.count_down(); }
  } const open_at_end{release};  // else the runtime could not end
  w.p.expect<go_on>();           // it is in there
  w.runtime.spawn([&w, to = w.p.id()] {
    w.events.sync_notify(rain{1});
    kv::send(to, finished{});
  });
  w.p.expect<finished>();
  CHECK(w.events.count() == 0);
  CHECK(w.removals().size() == 1);
}

TEST_CASE("forward_to ends with its receiver") {
  weather_station w(kv::testing::patience, 1);
  const auto receiver = w.runtime.spawn([] { kv::receive<go_on>(); });
  w.events.forward_to(receiver);
  w.events.forward_to(w.p);
  CHECK(w.events.count() == 2);
  // One thread: by the time this process hears of the end, so has the manager.
  w.runtime.spawn([&, to = w.p.id()] {
    const auto watch = kv::monitor(receiver);
    kv::exit(receiver, kv::exit_reason::kill);
    static_cast<void>(kv::await(watch));
    kv::send(to, w.events.count());
  });
  CHECK(w.p.expect<std::size_t>() == 1);
  w.events.sync_notify(rain{1});
  CHECK(w.p.has<rain>());
  CHECK(w.removals().empty());  // it was nobody's fault
}

TEST_CASE("forward_to a process that is dead already comes to nothing") {
  weather_station w;
  const auto dead = w.runtime.spawn([] {});
  kill_and_await(w.runtime, dead);
  w.events.forward_to(dead);
  w.events.forward_to({});
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 0);
}

TEST_CASE("a manager that is down is noproc to who waits and nothing to who does not") {
  weather_station w;
  w.stop();
  CHECK_FALSE(w.events.manager_pid());
  w.events.notify(rain{1});
  const auto why = [](auto call) {
    try {
      call();
    } catch (const kv::call_error& e) {
      return e.why();
    }
    throw std::logic_error("it was answered");
  };
  CHECK(why([&] { w.events.sync_notify(rain{1}); }) == kv::call_error::code::noproc);
  CHECK(why([&] { w.events.add_handler([](const rain&) {}); }) == kv::call_error::code::noproc);
  CHECK(why([&] { w.events.forward_to(w.p); }) == kv::call_error::code::noproc);
  CHECK(why([&] { w.events.remove({1}); }) == kv::call_error::code::noproc);
  CHECK(why([&] { w.events.count(); }) == kv::call_error::code::noproc);
}

}  // namespace events_test
