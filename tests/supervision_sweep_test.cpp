// Promises under test: whatever dies in a tree of three levels, at whatever point, under every strategy: exactly those
// are restarted who have to be, once and in order, nobody else notices, the tree is complete again, nobody is left
// behind and nobody is there twice.
#include <doctest/doctest.h>

#include <array>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "three_levels.hpp"

namespace supervision_sweep_test {

namespace {

using namespace three_levels;

/// Starts a tree, lets it live, and stops it. `check(log)` runs when it has come to rest.
template <class F>
void live(kv::simulation& world, shape how, F check) {
  const auto log = std::make_shared<journal>();
  kv::ref<supervisor> root;
  try {
    root = start_tree(world, how, log);
  } catch (const kv::start_error&) {  // somebody was killed before he was there
    return world.calmly([&] {
      come_to_rest(world);
      check_nobody_left(world);
    });
  }
  for (int i = 0; i < 3 && root.alive(); ++i) {  // moments in which the tree is at rest
    try {
      root.call(&supervisor::which_children);
    } catch (const kv::call_error&) {
    }
  }
  come_to_rest(world);
  const auto kills_before = world.kills();
  world.calmly([&] {
    come_to_rest(world);
    if (!root.alive()) return;
    check_complete(world, root.id());
    check(*log);
  });
  const auto begin = log->size();
  const bool was_alive = root.alive();
  try {
    if (was_alive) root.stop(kv::exit_reason::shutdown);
  } catch (const kv::call_error&) {
  }
  world.calmly([&] {
    come_to_rest(world);
    check_nobody_left(world);
    require(std::ranges::count(*log, true, &event::starts) * 2 == std::ssize(*log), "somebody was not destroyed");
    if (how.middle && was_alive && world.kills() == kills_before) check_stopped_in_reverse(*log, begin);
  });
}

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

void sweep(shape how, const kv::victim& whom, const std::vector<int>& restarted, bool in_turn) {
  const auto run = [&](kv::simulation& world) {
    live(world, how, [&](const journal& log) {
      const bool struck = world.kills() > 0;
      check_restarts(log, struck ? restarted : std::vector<int>{}, in_turn);
    });
  };
  const auto row = kv::sweep(run, whom, quiet);
  std::cout << row << std::endl;
  CHECK_MESSAGE(row.points > 10, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

template <int... N>
void sweep_workers(shape how, std::integer_sequence<int, N...>) {
  (sweep(how, kv::victim::any<worker<N>>("worker " + std::to_string(N)), restarted_with(N, how.middle), true), ...);
}

/// Two kills, wherever they may be.
void sweep_pairs(shape how) {
  const auto run = [&](kv::simulation& world) { live(world, how, [](const journal&) {}); };
  const std::vector<kv::victim> victims{"left", "right", kv::victim::any<worker<0>>("worker 0"),
                                        kv::victim::any<worker<1>>("worker 1")};
  for (const auto& first : victims) {
    for (const auto& second : victims) {
      const auto row = kv::sweep_pairs(run, first, second, quiet);
      std::cout << row << std::endl;
      CHECK_MESSAGE(row.points > 100, row);
      CHECK_MESSAGE(row.held == row.points, row);
    }
  }
}

template <int... N>
std::vector<kv::victim> all_victims(std::integer_sequence<int, N...>) {
  return {"root", "left", "right", kv::victim::any<worker<N>>("worker " + std::to_string(N))...};
}

constexpr std::array strategies{strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one};
/// And a dynamic supervisor.
constexpr std::array<std::optional<strategy>, 4> middles{strategy::one_for_one, strategy::one_for_all,
                                                         strategy::rest_for_one, std::nullopt};

template <class F>
void for_all_shapes(F function) {
  for (const auto root : strategies) {
    for (const auto middle : middles) {
      CAPTURE(static_cast<int>(root));
      CAPTURE(middle ? static_cast<int>(*middle) : -1);
      for (const bool delayed : {false, true}) {
        if (delayed && sanitized) continue;  // see exploring.hpp
        CAPTURE(delayed);
        function(shape{root, middle, delayed});
      }
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a worker that is killed at any point is restarted with those that its supervisor says, and nobody else" *
          doctest::timeout(600)) {
  for_all_shapes([](shape how) { sweep_workers(how, std::make_integer_sequence<int, n_workers>()); });
}

TEST_CASE("a supervisor that is killed at any point is restarted with those that the one above says" *
          doctest::timeout(600)) {
  for_all_shapes([](shape how) {
    // Its workers die of its death, and so may still be at it when it is there again.
    for (const std::string name : {"left", "right"}) sweep(how, name, restarted_with(name, how.root), false);
  });
}

TEST_CASE("a tree whose root is killed at any point is gone" * doctest::timeout(600)) {
  for_all_shapes([](shape how) { sweep(how, "root", {}, true); });
}

// Thousands of runs each; a sanitizer would take an hour.
TEST_CASE("a tree of one_for_one survives two kills at any points" * doctest::timeout(600) * doctest::skip(sanitized)) {
  sweep_pairs({strategy::one_for_one, strategy::one_for_one});
}
TEST_CASE("a tree of one_for_all survives two kills at any points" * doctest::timeout(600) * doctest::skip(sanitized)) {
  sweep_pairs({strategy::one_for_all, strategy::one_for_all});
}
TEST_CASE("a tree of rest_for_one survives two kills at any points" * doctest::timeout(600) *
          doctest::skip(sanitized)) {
  sweep_pairs({strategy::rest_for_one, strategy::rest_for_one});
}

TEST_CASE("a tree over dynamic supervisors survives two kills at any points" * doctest::timeout(600) *
          doctest::skip(sanitized)) {
  sweep_pairs({strategy::one_for_all, std::nullopt});
}

TEST_CASE("a tree survives up to three kills, wherever a seed wants them, under every strategy" *
          doctest::timeout(600)) {
  for_all_shapes([](shape how) {
    auto options = replayable();
    options.world.faults = {.victims = all_victims(std::make_integer_sequence<int, n_workers>()), .max_kills = 3};
    CHECK(kv::explore(
              affordable(500), [&](kv::simulation& world) { live(world, how, [](const journal&) {}); }, options) > 0);
  });
}

TEST_SUITE_END();

}  // namespace supervision_sweep_test
