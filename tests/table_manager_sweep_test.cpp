// Promises under test: whoever dies, at whatever point, and then another or the same again: no count that was answered is
// lost, no reader ever misses the table, and in the end the consumer counts on. Every point is tried.
#include <doctest/doctest.h>

#include <atomic>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <kv/explore.hpp>
#include <kv/table_manager.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "managed.hpp"
#include "threads.hpp"

namespace table_manager_sweep_test {

using kv::testing::probe;
using namespace std::chrono_literals;

namespace {

/// Somebody who counts and knows how far he has come. Calls may fail: parts are killed.
template <class T>
class client {
 public:
  explicit client(kv::runtime& home) : home_(home) {}

  /// Counts one further, however often it takes. Whatever is answered is more than ever before.
  void count() {
    int tries = 0;
    for (bool counted = false; !counted;) {
      require(++tries < 1'000, "the consumer never gets its table");
      const auto who = home_.await_name("counter", kv::testing::patience);
      require(who.has_value(), "the consumer does not come back");
      counted = try_to_count(kv::ref<T>(home_.core(), *who));
    }
    require(count_in_table() >= answered_, "what was answered is not in the table");
  }

  /// Ends the consumer in some way, if it lives.
  template <class End>
  void end(End how) {
    const auto who = home_.whereis<T>("counter");
    if (!who) return;
    try {
      how(*who);
    } catch (const kv::call_error&) {  // it has died, of this or of something else
    }
  }

  int answered() const { return answered_; }
  int asked() const { return asked_; }
  int count_in_table() const {
    const auto found = counts::find(home_, "counts");
    require(found.has_value(), "there is no table");
    return found->lookup("n").value_or(0);
  }

 private:
  bool try_to_count(const kv::ref<T>& counter) {
    try {
      ++asked_;
      const auto now = counter.call_for(kv::testing::patience, &T::add);
      if (!now) return wait_for_table(), false;
      require(*now > answered_, "it counted " + std::to_string(*now) + " after " + std::to_string(answered_));
      answered_ = *now;
      return true;
    } catch (const kv::call_error&) {
      return false;
    }
  }
  /// What the manager is about to do, it has done when it answers.
  void wait_for_table() {
    --asked_;
    if (const auto who = home_.await_name("manager", kv::testing::patience)) {
      kv::ref<kv::table_manager>(home_.core(), *who).call(&kv::table_manager::tables);
    }
  }

  kv::runtime& home_;
  int asked_ = 0;
  int answered_ = 0;
};

template <class T>
kv::ref<kv::supervisor> start(kv::runtime& home) {
  return supervise_counting(home, {manager_child(counts_for<T>()), counter_child<T>()});
}

const std::vector<std::vector<const char*>> orders{
    {"counter"}, {"manager"}, {"manager", "counter"}, {"counter", "manager"}, {"counter", "counter"}};

/// Kills the processes of these names, one right after the other, and waits for their ends.
void kill_together(kv::runtime& home, const std::vector<const char*>& names) {
  probe watcher(home);
  std::vector<kv::pid> dying;
  for (const auto* name : names) {
    dying.push_back(home.await_name(name, kv::testing::patience).value());
    watcher.monitor(dying.back());
    home.exit(dying.back(), kv::exit_reason::kill);
  }
  for (const auto each : dying) watcher.expect_down(each);
}

/// In the end all is as if nothing had happened.
template <class T>
void check_end(kv::simulation& world, client<T>& user) {
  const auto counted = user.count_in_table();
  require(user.answered() <= counted && counted <= user.asked(), "more was counted than was asked for");
  const auto who = world.whereis<T>("counter");
  require(who.has_value(), "there is no consumer");
  require(who->call(&T::has_table), "the consumer has no table");
  require(who->call(&T::add) == counted + 1, "the consumer does not count on");
}

/// `rounds`: how much the scenario does.
template <class T>
void count_through_deaths(kv::simulation& world, int rounds) {
  std::optional<kv::ref<kv::supervisor>> top;
  try {
    top = start<T>(world);
  } catch (const kv::start_error&) {
    return;  // killed before it was there
  }
  client<T> user(world);
  for (int i = 0; i < rounds; ++i) {
    user.count();
    if (i % 3 == 0) user.end([](const auto& c) { c.stop(); });
    if (i % 3 == 1) user.end([](const auto& c) { c.call(&T::fail); });
    if (i % 3 == 2) user.end([](const auto& c) { c.stop(kv::exit_reason::custom("tired")); });
  }
  user.count();
  world.calmly([&] {
    world.advance(60s);  // whoever still waits gives up or gets it
    check_end<T>(world, user);
  });
  top->stop(kv::exit_reason::shutdown, kv::infinity);
}

template <class T, int rounds>
void scenario(kv::simulation& world) {
  count_through_deaths<T>(world, rounds);
}

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};
const std::vector<kv::victim> victims{"manager", "counter"};

void check(const kv::sweep_row& row) {
  std::cout << row << std::endl;
  CHECK_MESSAGE(row.points > 0, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

/// Tens of thousands of runs; a sanitizer would take an hour.
struct many_runs_type {
  void fill(doctest::detail::TestCase& test) const {
    test.m_skip = sanitized;
    test.m_timeout = 600;
  }
} const many_runs;

}  // namespace

// On threads --------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("no count is lost when both are killed again and again while somebody counts" * needs_threads, T,
                   pushed_counter, later_counter, pulling_counter) {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  // A consumer that waits in its constructor must not keep the manager's supervisor waiting.
  supervise_counting(runtime, {manager_child(counts_for<T>())});
  supervise_counting(runtime, {counter_child<T>()});
  client<T> user(runtime);
  std::atomic<bool> is_over{false};
  {
    const std::jthread killer([&] {
      for (std::size_t i = 0; i < affordable(500); ++i) kill_together(runtime, orders[i % orders.size()]);
      is_over = true;
    });
    while (!is_over) user.count();
  }
  user.count();
  CHECK(user.count_in_table() >= user.answered());
  CHECK(user.count_in_table() <= user.asked());
  CHECK(user.answered() > 0);
}

// At every point ----------------------------------------------------------------------------------------------------

TEST_SUITE_BEGIN("in simulation");

TEST_CASE_TEMPLATE("no count is lost when manager or consumer is killed at any point", T, pushed_counter, later_counter,
                   pulling_counter) {
  for (const auto& whom : victims) check(kv::sweep(scenario<T, 6>, whom, quiet));
}

TEST_CASE_TEMPLATE("no count is lost when manager and consumer are killed at any two points, in either order" *
                       many_runs,
                   T, pushed_counter, later_counter, pulling_counter) {
  for (const auto& first : victims) {
    for (const auto& second : victims) check(kv::sweep_pairs(scenario<T, 2>, first, second, quiet));
  }
}

TEST_CASE_TEMPLATE("no count is lost by up to four kills, wherever a seed wants them", T, pushed_counter, later_counter,
                   pulling_counter) {
  auto options = replayable();
  options.world.faults = {.victims = victims, .max_kills = 4};
  CHECK(kv::explore(affordable(3'000), scenario<T, 3>, options) > 0);
}

TEST_SUITE_END();

}  // namespace table_manager_sweep_test
