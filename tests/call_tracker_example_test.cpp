// Promises under test: whichever process of examples/call_tracker.cpp is killed, at whatever point, a call that has begun
// goes on until somebody hangs up, or its line has been broken for half a minute; then it ends.
#include <doctest/doctest.h>

#include <chrono>
#include <iostream>
#include <string>

#include "../examples/call_tracker.hpp"
#include "exploring.hpp"

namespace call_tracker_example_test {

namespace {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using tracking::call_table;
using tracking::line;
using tracking::tracker;

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

/// Tells whether the tracker has done it; when it dies meanwhile, it may have or not.
template <class F>
bool ask(kv::simulation& world, F what) {
  const auto who = world.whereis<tracker>("tracker");
  if (!who) return false;
  try {
    who->call(what);
    return true;
  } catch (const kv::call_error&) {
    return false;
  }
}

void calls_go_on(kv::simulation& world) {
  try {
    tracking::start(world);
  } catch (const kv::start_error&) {
    return;  // killed before it was there
  }
  const auto phone = world.spawn<line>(), broken = world.spawn<line>(), again = world.spawn<line>();
  const auto begin = [&](const std::string& who, kv::pid line) {
    return ask(world, [=](tracker& t) { t.begin(who, "dora", line); });
  };
  const bool ann = begin("ann", phone), bob = begin("bob", broken), cid = begin("cid", broken);
  const bool eve = begin("eve", phone) && ask(world, [](tracker& t) { t.hang_up("eve"); });
  kill_and_await(world, broken);
  const bool bob_is_back = ask(world, [again](tracker& t) { t.come_back("bob", again); });
  world.calmly([&] {
    world.run_until_idle();
    const auto calls = call_table::find(world, "calls").value();
    require(!ann || calls.member("ann"), "a call is lost");
    require(!cid || calls.member("cid"), "a call has ended with its line");
    require(!eve || !calls.member("eve"), "a call goes on after its end");
    world.advance(30s);
    require(!ann || calls.member("ann"), "a call has ended by itself");
    require(!bob || !bob_is_back || calls.member("bob"), "a call has ended although its caller was back");
    require(!calls.member("cid"), "a call goes on without a line");
    require(ask(world, [](tracker& t) { t.begin("last", "dora", kv::self()); }) && calls.member("last"),
            "no call can begin any more");
  });
}

}  // namespace

TEST_SUITE("in simulation") {
  TEST_CASE("calls go on after a kill at any point") {
    for (const kv::victim& whom : {kv::victim("tracker"), kv::victim("manager")}) {
      const auto row = kv::sweep(calls_go_on, whom, quiet);
      std::cout << row << '\n';
      CHECK(row.points > 20);
      CHECK(row.held == row.points);
    }
  }

  TEST_CASE("calls go on after kills of tracker and manager at any two points" * doctest::timeout(300) *
            doctest::skip(sanitized)) {
    for (const bool tracker_is_first : {true, false}) {
      const kv::victim first(tracker_is_first ? "tracker" : "manager"),
          second(tracker_is_first ? "manager" : "tracker");
      const auto row = kv::sweep_pairs(calls_go_on, first, second, quiet);
      std::cout << row << '\n';
      CHECK(row.points > 100);
      CHECK(row.held == row.points);
    }
  }

  TEST_CASE("calls go on in any order of events") {
    auto options = replayable();
    options.world.faults = {.victims = {"tracker", "manager"}, .max_kills = 10};
    kv::explore(affordable(500), calls_go_on, options);
  }

  TEST_CASE("who comes back when it is too late has no call") {
    kv::simulation world(quiet);
    tracking::start(world);
    const auto phone = world.spawn<line>(), again = world.spawn<line>();
    const auto who = world.whereis<tracker>("tracker").value();
    who.call(&tracker::begin, "ann", "bob", phone.id());
    kill_and_await(world, phone);
    world.advance(30s);
    CHECK_FALSE(who.call(&tracker::come_back, "ann", again.id()));
    CHECK(call_table::find(world, "calls")->size() == 0);
  }
}

}  // namespace call_tracker_example_test
