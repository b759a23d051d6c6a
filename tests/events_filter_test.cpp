// Promises under test: a filtered forward gets what its filter wants and nothing else; a filter that throws costs its
// own subscription and nobody else anything.
#include <doctest/doctest.h>

#include <stdexcept>

#include "weather.hpp"

namespace events_filter_test {

using kv::testing::probe;

TEST_CASE("a filtered forward gets what its filter wants, in order") {
  weather_station w;
  w.events.forward_to(w.p, [](const rain& r) { return r.number % 2 == 0; });
  for (int i = 1; i <= 6; ++i) w.events.sync_notify(rain{i});
  for (const int wanted : {2, 4, 6}) CHECK(w.p.expect<rain>().number == wanted);
  CHECK_FALSE(w.p.has<rain>());
}

TEST_CASE("events that a filter does not take are not forwarded") {
  weather_station w;
  w.events.forward_to(w.p, [](const sun&) { return true; });
  w.events.sync_notify(rain{1});
  w.events.sync_notify(sun{2});
  CHECK(w.p.expect<sun>().number == 2);
  CHECK_FALSE(w.p.has<rain>());
}

TEST_CASE("one filter may take every event") {
  weather_station w;
  w.events.forward_to(w.p, [](const auto& event) { return event.number > 1; });
  for (int i = 1; i <= 2; ++i) {
    w.events.sync_notify(rain{i});
    w.events.sync_notify(sun{i});
  }
  CHECK(w.p.expect<rain>().number == 2);
  CHECK(w.p.expect<sun>().number == 2);
  CHECK_FALSE(w.p.has<rain>());
  CHECK_FALSE(w.p.has<sun>());
}

TEST_CASE("a filter that throws is removed and reported, and everybody else goes on") {
  for (const bool waits : {true, false}) {
    CAPTURE(waits);
    weather_station w;
    probe other(w.runtime);
    const auto manager = w.events.manager_pid();
    const auto bad = w.events.forward_to(w.p, [](const rain& r) -> bool {
      if (r.number == 2) throw std::runtime_error("too wet");
      return true;
    });
    w.events.forward_to(other);
    for (int i = 1; i <= 3; ++i) {
      if (waits) {
        w.events.sync_notify(rain{i});
      } else {
        w.events.notify(rain{i});
      }
    }
    CHECK(w.p.expect<kv::handler_removed>().id == bad);
    for (int i = 1; i <= 3; ++i) CHECK(other.expect<rain>().number == i);
    CHECK(w.p.expect<rain>().number == 1);
    CHECK_FALSE(w.p.has<rain>());
    CHECK(w.events.manager_pid() == manager);
    CHECK(w.events.count() == 1);
    CHECK(w.rows.size() == 1);
    REQUIRE(w.removals().size() == 1);
    CHECK(w.removals()[0].why == "error: too wet");
    CHECK_FALSE(w.events.remove(bad));
  }
}

TEST_CASE("several filters that throw at one event are all removed") {
  weather_station w;
  for (int i = 0; i < 10; ++i) w.events.forward_to(w.p, [](const rain&) -> bool { throw std::runtime_error("wet"); });
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 0);
  CHECK(w.removals().size() == 10);
}

TEST_CASE("a filter survives the manager") {
  weather_station w;
  w.events.forward_to(w.p, [](const rain& r) { return r.number == 2; });
  w.stop();
  w.start();
  for (int i = 1; i <= 3; ++i) w.events.sync_notify(rain{i});
  CHECK(w.p.expect<rain>().number == 2);
  CHECK_FALSE(w.p.has<rain>());
}

}  // namespace events_filter_test
