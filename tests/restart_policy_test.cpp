// Promises under test: the decisions of a supervisor, each by itself: after which end it restarts, how many restarts
// are too many, how long it waits, what it remembers.
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "children.hpp"

namespace restart_policy_test {

using namespace std::chrono_literals;
using kv::restart;
using kv::restart_delay;
using kv::supervisor;

namespace {

constexpr auto any_random = std::numeric_limits<std::uint64_t>::max();

/// 1 s, 2 s, 4 s, 8 s, 10 s, 10 s; and again from 1 s after 20 s of life.
constexpr restart_delay steady{.first = 1s, .factor = 2, .most = 10s, .jitter = 0, .stable_after = 20s};

}  // namespace

TEST_CASE("should_restart: permanent always, transient after a crash, temporary never") {
  CHECK(kv::should_restart(restart::permanent, true));
  CHECK(kv::should_restart(restart::permanent, false));
  CHECK_FALSE(kv::should_restart(restart::transient, true));
  CHECK(kv::should_restart(restart::transient, false));
  CHECK_FALSE(kv::should_restart(restart::temporary, true));
  CHECK_FALSE(kv::should_restart(restart::temporary, false));
}

TEST_CASE("restart_window: one more than the limit within the period is too many") {
  const kv::restart_window::time_point t0{};
  kv::restart_window window(3, 5s);
  CHECK(window.add(t0));
  CHECK(window.add(t0 + 1s));
  CHECK(window.add(t0 + 2s));
  CHECK_FALSE(window.add(t0 + 5s));  // the first is exactly a period old, and still counts
}

TEST_CASE("restart_window: what is older than the period is forgotten, one by one") {
  const kv::restart_window::time_point t0{};
  kv::restart_window window(2, 5s);
  CHECK(window.add(t0));
  CHECK(window.add(t0 + 4s));
  CHECK(window.add(t0 + 5s + 1ns));
  CHECK_FALSE(window.add(t0 + 9s));
}

TEST_CASE("restart_window: a limit of zero allows none, and many far apart are never too many") {
  kv::restart_window none(0, 5s);
  CHECK_FALSE(none.add({}));
  kv::restart_window one(1, 1s);
  kv::restart_window::time_point now{};
  for (int i = 0; i < 1000; ++i) CHECK(one.add(now += 2s));
}

TEST_CASE("delay_before: grows by the factor up to the most, and is off by default") {
  const auto delay = [](unsigned attempt) { return kv::delay_before(attempt, steady, any_random); };
  CHECK(delay(1) == 1s);
  CHECK(delay(2) == 2s);
  CHECK(delay(4) == 8s);
  CHECK(delay(5) == 10s);
  CHECK(delay(std::numeric_limits<unsigned>::max()) == 10s);
  CHECK(kv::delay_before(1, {}, 0) == 0s);
  CHECK(kv::delay_before(1'000, {}, 0) == 0s);
  CHECK(kv::delay_before(7, {.first = 3s, .factor = 1, .jitter = 0}, 0) == 3s);
}

TEST_CASE("delay_before: jitter takes away at most its part, evenly") {
  const restart_delay how{.first = 10s, .most = 10s, .jitter = 0.5};
  CHECK(kv::delay_before(1, how, 0) == 10s);
  CHECK(kv::delay_before(1, how, std::uint64_t{1} << 63U) == 7'500ms);
  CHECK(kv::delay_before(1, how, any_random) >= 5s);
  CHECK(kv::delay_before(1, how, any_random) < 5'001ms);
}

TEST_CASE("restart_attempts: begins again after a stable time, and only then") {
  const kv::restart_attempts::time_point t0{};
  kv::restart_attempts attempts;
  attempts.begin(t0);
  CHECK(attempts.after_end(steady, t0 + 1s, 0) == 1s);
  CHECK(attempts.after_failure(steady, 0) == 2s);
  attempts.has_started(t0 + 10s);
  CHECK(attempts.after_end(steady, t0 + 30s - 1ns, 0) == 4s);  // 20 s less a bit
  attempts.has_started(t0 + 40s);
  CHECK(attempts.after_end(steady, t0 + 60s, 0) == 1s);
  attempts.has_started(t0 + 61s);
  attempts.begin(t0 + 62s);  // somebody started it
  CHECK(attempts.after_end(steady, t0 + 63s, 0) == 1s);
}

TEST_CASE("restart_history: the oldest is forgotten first, and a limit of zero remembers nothing") {
  const auto children_after = [](std::size_t limit, int count) {
    kv::restart_history history(limit);
    for (int i = 0; i < count; ++i)
      history.add({.when = {}, .child = std::to_string(i), .old_pid = {}, .new_pid = {}, .reason = {}});
    ids result;
    for (const auto& event : history.events()) result.push_back(event.child);
    return result;
  };
  CHECK(children_after(2, 0).empty());
  CHECK(children_after(2, 2) == ids{"0", "1"});
  CHECK(children_after(2, 3) == ids{"1", "2"});
  CHECK(children_after(0, 3).empty());
}

TEST_CASE("a delay that makes no sense is refused with what is allowed") {
  kv::runtime runtime({.threads = 1});
  const auto refusal = [&](const restart_delay& how) {
    try {
      runtime.spawn<supervisor>(kv::supervisor_options{.delay = how}, [] { return specs{}; });
    } catch (const kv::start_error& e) {
      CHECK_THROWS_AS(std::rethrow_exception(e.reason().exception()), std::invalid_argument);
      return std::string(e.reason().text());
    }
    return std::string("taken");
  };
  CHECK(refusal({.first = -1ns}) == "restart_delay::first must be 0 or more");
  CHECK(refusal({.first = 1s, .factor = 0.5}) == "restart_delay::factor must be 1 or more");
  CHECK(refusal({.first = 2s, .most = 1s}) == "restart_delay::most must be at least first");
  CHECK(refusal({.jitter = 1.5}) == "restart_delay::jitter must be from 0 to 1");
  CHECK(refusal({.jitter = std::numeric_limits<double>::quiet_NaN()}) == "restart_delay::jitter must be from 0 to 1");
  CHECK(refusal({.stable_after = 0s}) == "restart_delay::stable_after must be more than 0");
  CHECK(refusal(steady) == "taken");
  CHECK_THROWS_AS(runtime.spawn<kv::dynamic_supervisor>(kv::dynamic_supervisor_options{.delay = {.first = -1ns}}),
                  kv::start_error);
}

}  // namespace restart_policy_test
