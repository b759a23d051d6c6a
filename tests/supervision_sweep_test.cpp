// Promises under test: whatever dies in a tree of three levels, at whatever point, under every strategy: exactly those are
// restarted who have to be, once and in order, nobody else notices, the tree is complete again, nobody is left behind
// and nobody is there twice.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <kv/supervision.hpp>

#include "exploring.hpp"

namespace {

using kv::strategy;
using kv::supervisor;

/// The workers of the left supervisor are 0, 1 and 2, those of the right one 3, 4 and 5.
constexpr int n_workers = 6;

struct event {
  int worker;
  bool starts;
};
/// What the workers did, in order. One thread runs all of them.
using journal = std::vector<event>;
/// They may outlive the test that fails.
using shared_journal = std::shared_ptr<journal>;

/// Those in the middle trap exits and know nothing else to do with them than to end with their parent.
template <int N>
struct worker {
  explicit worker(shared_journal where) : log(std::move(where)) {
    log->push_back({N, true});
    if constexpr (N % 3 == 1) kv::trap_exit(true);
  }
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  ~worker() { log->push_back({N, false}); }

  shared_journal log;
};

struct shape {
  strategy root, middle;
  bool delayed = false;
};

template <int N>
kv::child_spec spec_of(const shared_journal& log) {
  return kv::worker(std::to_string(N), [log] { return kv::spawn_link<worker<N>>(log).id(); });
}

kv::supervisor_options patient(strategy how, bool delayed) {
  const kv::restart_delay delay{.first = std::chrono::seconds(delayed ? 1 : 0)};
  return {.strategy = how, .max_restarts = 100, .period = std::chrono::hours(1), .delay = delay};
}

/// Longer than any delay of three restarts in a row.
void come_to_rest(kv::simulation& world) { world.advance(std::chrono::minutes(1)); }

template <int First>
kv::child_spec middle(const std::string& name, shape how, const shared_journal& log) {
  return kv::supervisor_child(name, [=] {
    const auto init = [log] {
      return std::vector{spec_of<First>(log), spec_of<First + 1>(log), spec_of<First + 2>(log)};
    };
    return kv::spawn_link_named<supervisor>(name, patient(how.middle, how.delayed), init).id();
  });
}

kv::ref<supervisor> start_tree(kv::simulation& world, shape how, const shared_journal& log) {
  const auto init = [=] { return std::vector{middle<0>("left", how, log), middle<3>("right", how, log)}; };
  return world.spawn_named<supervisor>("root", patient(how.root, how.delayed), init);
}

// What must hold ---------------------------------------------------------------------------------------------------

/// Each supervisor has all its children, they live, and nobody else does.
void check_complete(kv::simulation& world, const kv::ref<supervisor>& root) {
  std::set<kv::pid> known{root.id()};
  const auto add_children = [&](const kv::ref<supervisor>& of, std::size_t count) {
    const auto children = of.call(&supervisor::which_children);
    require(children.size() == count, "a supervisor has lost a spec");
    for (const auto& c : children) {
      require(world.alive(c.who), c.id + " is down");
      require(known.insert(c.who).second, c.id + " is there twice");
    }
    return children;
  };
  for (const auto& m : add_children(root, 2)) {
    require(world.whereis(m.id) == m.who, m.id + " has lost its name");
    add_children({world.core(), m.who}, 3);
  }
  require(world.process_count() == known.size(), "there are orphans:\n" + world.processes_and_waits());
}

void check_nobody_left(kv::simulation& world) {
  require(world.process_count() == 0, "processes are left:\n" + world.processes_and_waits());
}

std::vector<int> starts_in(const journal& log) {
  std::vector<int> result;
  for (const auto& e : log) {
    if (e.starts) result.push_back(e.worker);
  }
  return result;
}

/// Nobody starts while he lives.
void check_nobody_twice(const journal& log) {
  std::array<int, n_workers> living{};
  for (const auto& e : log) {
    auto& count = living.at(static_cast<std::size_t>(e.worker));
    count += e.starts ? 1 : -1;
    require(count == 0 || count == 1, "worker " + std::to_string(e.worker) + " is there twice");
  }
}

/// Workers from one to before another.
std::vector<int> range(int begin, int end) {
  std::vector<int> result;
  for (int i = begin; i < end; ++i) result.push_back(i);
  return result;
}

/// Which workers are started again when that worker dies.
std::vector<int> restarted_with(int worker, strategy how) {
  const int first = worker - worker % 3;
  switch (how) {
    case strategy::one_for_one: return {worker};
    case strategy::one_for_all: return range(first, first + 3);
    case strategy::rest_for_one: return range(worker, first + 3);
  }
  return {};
}

/// The same for the death of a supervisor.
std::vector<int> restarted_with(const std::string& name, strategy how) {
  if (how == strategy::one_for_all) return range(0, n_workers);
  if (name == "right") return range(3, n_workers);
  return range(0, how == strategy::one_for_one ? 3 : n_workers);
}

/// What one death led to, while the rest of the tree may still have been starting for the first time.
void check_restarts(const journal& log, const std::vector<int>& expected, bool in_turn) {
  std::vector<int> first, again;
  for (const int worker : starts_in(log)) {
    (std::ranges::find(first, worker) == first.end() ? first : again).push_back(worker);
  }
  require(first == range(0, n_workers), "not started in order");
  require(again == expected, "others were restarted than should be, or out of order");
  if (!in_turn) return;
  check_nobody_twice(log);
  journal theirs;
  std::ranges::copy_if(log, std::back_inserter(theirs),
                       [&](const event& e) { return std::ranges::find(expected, e.worker) != expected.end(); });
  const auto last_end = std::find_if(theirs.rbegin(), theirs.rend(), [](const event& e) { return !e.starts; });
  const journal after(last_end.base(), theirs.end());
  require(starts_in(after) == expected, "a restart began before all had ended");
}

void check_stopped_in_reverse(const journal& log, std::size_t begin) {
  const journal end(log.begin() + static_cast<std::ptrdiff_t>(begin), log.end());
  require(end.size() == n_workers, "somebody started, or did not end, while the tree was stopped");
  for (int i = 0; i < n_workers; ++i) {
    const auto& e = end[static_cast<std::size_t>(i)];
    require(!e.starts && e.worker == n_workers - 1 - i, "not stopped in reverse");
  }
}

// What is done -----------------------------------------------------------------------------------------------------

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
    check_complete(world, root);
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
    if (was_alive && world.kills() == kills_before) check_stopped_in_reverse(*log, begin);
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
void sweep_pairs(strategy how) {
  const auto run = [&](kv::simulation& world) { live(world, {how, how}, [](const journal&) {}); };
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

template <class F>
void for_all_shapes(F function) {
  for (const auto root : strategies) {
    for (const auto middle : strategies) {
      CAPTURE(static_cast<int>(root));
      CAPTURE(static_cast<int>(middle));
      for (const bool delayed : {false, true}) {
        CAPTURE(delayed);
        function(shape{root, middle, delayed});
      }
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a worker that is killed at any point is restarted with those that its supervisor says, and nobody else") {
  for_all_shapes([](shape how) { sweep_workers(how, std::make_integer_sequence<int, n_workers>()); });
}

TEST_CASE("a supervisor that is killed at any point is restarted with those that the one above says") {
  for_all_shapes([](shape how) {
    // Its workers die of its death, and so may still be at it when it is there again.
    for (const std::string name : {"left", "right"}) sweep(how, name, restarted_with(name, how.root), false);
  });
}

TEST_CASE("a tree whose root is killed at any point is gone") {
  for_all_shapes([](shape how) { sweep(how, "root", {}, true); });
}

// Thousands of runs each; a sanitizer would take an hour.
TEST_CASE("a tree of one_for_one survives two kills at any points" * doctest::timeout(600) * doctest::skip(sanitized)) {
  sweep_pairs(strategy::one_for_one);
}
TEST_CASE("a tree of one_for_all survives two kills at any points" * doctest::timeout(600) * doctest::skip(sanitized)) {
  sweep_pairs(strategy::one_for_all);
}
TEST_CASE("a tree of rest_for_one survives two kills at any points" * doctest::timeout(600) *
          doctest::skip(sanitized)) {
  sweep_pairs(strategy::rest_for_one);
}

TEST_CASE("a tree survives up to three kills, wherever a seed wants them, under every strategy") {
  for_all_shapes([](shape how) {
    auto options = replayable();
    options.world.faults = {.victims = all_victims(std::make_integer_sequence<int, n_workers>()), .max_kills = 3};
    CHECK(kv::explore(
              affordable(500), [&](kv::simulation& world) { live(world, how, [](const journal&) {}); }, options) > 0);
  });
}

TEST_SUITE_END();
