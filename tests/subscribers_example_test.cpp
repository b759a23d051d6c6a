// Promises under test: of the techniques in examples/subscribers.cpp, all but that of doing nothing keep every session
// when the meter ends of a mistake, and all but last words when it is killed, at whatever point.
#include <doctest/doctest.h>

#include <iostream>
#include <string>

#include "../examples/subscribers.hpp"
#include "exploring.hpp"

namespace subscribers_example_test {

namespace {

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

/// Tells whether the meter has done it; when it dies meanwhile, it may have or not.
template <class Meter, class F>
bool ask(kv::simulation& world, F what) {
  const auto who = world.whereis<Meter>("meter");
  if (!who) return false;
  try {
    who->call(what);
    return true;
  } catch (const kv::call_error&) {
    return false;
  }
}

template <class Meter>
void sessions_are_kept(kv::simulation& world) {
  try {
    metering::start<Meter>(world);
  } catch (const kv::start_error&) {
    return;  // killed before it was there
  }
  const auto start_session = [&] { return ask<Meter>(world, [](Meter& m) { m.start_session("ann", 8); }); };
  int told = 0, tried = 0;
  for (int i = 0; i < 3; ++i, ++tried) told += start_session() ? 1 : 0;
  ask<Meter>(world, [](Meter& m) { m.check("nobody"); });
  world.run_until_idle();  // so that who was ended by that is there again
  for (int i = 0; i < 3; ++i, ++tried) told += start_session() ? 1 : 0;
  world.calmly([&] {
    world.run_until_idle();
    require(start_session(), "nobody counts any more");
    const auto ann = metering::usage_table::find(world, "usage")->lookup("ann").value();
    require(told < ann.sessions && ann.sessions <= tried + 1,
            "of " + std::to_string(told + 1) + " sessions there are " + std::to_string(ann.sessions));
    require(ann.bandwidth == 8 * ann.sessions, "a session was counted by half");
  });
}

void check_sweep(const kv::sweep_row& row) {
  std::cout << row << '\n';
  CHECK(row.points > 10);
  CHECK(row.held == row.points);
}

}  // namespace

TEST_SUITE("in simulation") {
  TEST_CASE_TEMPLATE("no session is lost when the meter ends of a mistake, in any order of events", T,
                     metering::meter_with_heir, metering::giving_meter, metering::guest_meter,
                     metering::managed_meter) {
    kv::explore(affordable(300), sessions_are_kept<T>, replayable());
  }

  TEST_CASE_TEMPLATE("no session is lost when the meter is killed at any point", T, metering::meter_with_heir,
                     metering::guest_meter, metering::managed_meter) {
    check_sweep(kv::sweep(sessions_are_kept<T>, "meter", quiet));
    if (!sanitized) check_sweep(kv::sweep_pairs(sessions_are_kept<T>, "meter", "meter", quiet));
  }

  TEST_CASE("no session is lost when the manager is killed, too, at any points") {
    check_sweep(kv::sweep(sessions_are_kept<metering::managed_meter>, "manager", quiet));
    if (sanitized) return;
    check_sweep(kv::sweep_pairs(sessions_are_kept<metering::managed_meter>, "meter", "manager", quiet));
    check_sweep(kv::sweep_pairs(sessions_are_kept<metering::managed_meter>, "manager", "meter", quiet));
  }

  TEST_CASE("last words are no help against a kill, and doing nothing against nothing") {
    const auto last_words = kv::sweep(sessions_are_kept<metering::giving_meter>, "meter", quiet);
    CHECK(last_words.held < last_words.points);
    CHECK_THROWS_AS(kv::explore(1, sessions_are_kept<metering::lone_meter>), kv::exploration_failed);
  }
}

}  // namespace subscribers_example_test
