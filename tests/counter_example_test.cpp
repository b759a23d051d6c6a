// Promises under test: the count of examples/counter.cpp goes on, whichever of worker and manager is killed, at whatever
// point, and then another: no count that was answered is ever taken back, and the tree always comes to count again.
#include <doctest/doctest.h>

#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "../examples/counter.hpp"
#include "exploring.hpp"

namespace counter_example_test {

namespace {

using counting::counts;
using counting::worker;

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

/// Counts on whoever is the worker; nothing when he is not there, or dies of it: it may then have counted or not.
std::optional<int> count(kv::simulation& world) {
  const auto who = world.whereis<worker>("worker");
  if (!who) return std::nullopt;
  try {
    return who->call(&worker::count);
  } catch (const kv::call_error&) {
    return std::nullopt;
  }
}

void counting_goes_on(kv::simulation& world) {
  std::optional<kv::ref<kv::supervisor>> root;
  try {
    root = counting::start(world);
  } catch (const kv::start_error&) {
    return;  // killed before it was there
  }
  int tried = 0, answered = 0;
  const auto try_counting = [&] {
    ++tried;
    const auto result = count(world);
    if (!result) return;
    require(answered < *result && *result <= tried, "the count went from " + std::to_string(answered) + " to " +
                                                        std::to_string(*result) + " in try " + std::to_string(tried));
    answered = *result;
  };
  for (int i = 0; i < 6; ++i) try_counting();
  world.calmly([&] {
    world.run_until_idle();
    const int before = answered;
    try_counting();
    require(answered > before, "nobody counts any more");
    require(counts::find(world, "counts")->owner() == world.whereis("worker"), "the table is not the worker's");
  });
}

}  // namespace

TEST_SUITE("in simulation") {
  TEST_CASE("a count goes on after a kill at any point") {
    for (const kv::victim& whom : {kv::victim("worker"), kv::victim("manager")}) {
      const auto row = kv::sweep(counting_goes_on, whom, quiet);
      std::cout << row << '\n';
      CHECK(row.points > 20);
      CHECK(row.held == row.points);
    }
  }

  TEST_CASE("a count goes on after two kills at any two points" * doctest::skip(sanitized)) {
    for (const auto& [first, second] : {std::pair<kv::victim, kv::victim>("worker", "worker"),
                                        {"worker", "manager"},
                                        {"manager", "worker"},
                                        {"manager", "manager"}}) {
      const auto row = kv::sweep_pairs(counting_goes_on, first, second, quiet);
      std::cout << row << '\n';
      CHECK(row.points > 100);
      CHECK(row.held == row.points);
    }
  }

  TEST_CASE("a count goes on in any order of events") {
    auto options = replayable();
    options.world.faults = {.victims = {"worker", "manager"}, .max_kills = 10};
    kv::explore(affordable(500), counting_goes_on, options);
  }
}

}  // namespace counter_example_test
