// Work in processes of their own.
#include <chrono>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <kv/simulation.hpp>
#include <kv/task.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace task_test {

using namespace std::chrono_literals;

namespace {

struct started {
  kv::pid who;
};
struct go_on {};

/// Says that it runs and waits for leave.
auto patient(kv::pid to, int result) {
  return [to, result] {
    kv::send(to, started{kv::self()});
    kv::receive<go_on>();
    return result;
  };
}

int fail() { throw std::runtime_error("no luck"); }

struct meter {
  static constexpr bool leaf = true;
  int now = 0;
  int most = 0;
  void begin() { most = std::max(most, ++now); }
  void end() { --now; }
  int peak() const { return most; }
};

}  // namespace

TEST_CASE("a task computes something for the process that started it") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  probe.run([] {
    auto answer = kv::async([] { return 6 * 7; });
    auto greeting = kv::async([] { return std::string("hello"); });
    auto nothing = kv::async([] {});
    CHECK(answer.get() == 42);
    CHECK(greeting.get() == "hello");
    nothing.get();
  });
}

TEST_CASE("a task is linked to its owner: its crash is his") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto owner = probe.run([] { return kv::spawn_monitor([] { kv::async(fail).get(); }).first; });
  CHECK(probe.expect_down(owner).reason.text() == "no luck");
  probe.run([] {
    kv::trap_exit(true);
    auto work = kv::async(fail);
    CHECK_THROWS_AS(work.get(), kv::call_error);
    CHECK(kv::receive<kv::exit_signal>().from == work.id());
  });
}

TEST_CASE("a task without a link fails by its answer alone") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  probe.run([] {
    auto work = kv::async_nolink(fail);
    try {
      work.get();
      FAIL("there is no result");
    } catch (const kv::call_error& e) {
      CHECK(e.callee() == work.id());
      CHECK(e.reason().text() == "no luck");
    }
    auto gone = kv::async_nolink([]() -> int { kv::exit(kv::exit_reason::custom("no time")); });
    CHECK_THROWS_AS(gone.get(), kv::call_error);
    CHECK_FALSE(kv::receive_for<kv::exit_signal>(0ns));
  });
}

TEST_CASE("a task that takes too long goes on, and can be waited for again") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  probe.run([&] {
    auto work = kv::async(patient(probe, 1));
    const auto who = kv::receive<started>().who;
    CHECK_THROWS_AS(work.get(0ns), kv::call_error);
    kv::send(who, go_on{});
    CHECK(work.get() == 1);
  });
}

TEST_CASE("a task that nobody wants any more is killed, and its owner is not") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  probe.run([&] {
    {
      auto work = kv::async(patient(probe, 1));
      kv::monitor(kv::receive<started>().who);
    }
    CHECK(kv::receive<kv::down>().reason == kv::exit_reason::killed);
    auto cancelled = kv::async(patient(probe, 1));
    kv::receive<started>();
    cancelled.cancel();
    cancelled.cancel();
    CHECK_THROWS_AS(cancelled.get(), kv::call_error);
    CHECK_FALSE(kv::receive_for<kv::exit_signal>(0ns));
  });
}

TEST_CASE("a task ends with its owner, whatever ends him") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  for (const auto& reason : {kv::exit_reason::normal, kv::exit_reason::kill, kv::exit_reason::custom("enough")}) {
    const auto owner = runtime.spawn([to = probe.id()] {
      auto linked = kv::async(patient(to, 1));
      auto free = kv::async_nolink(patient(to, 2));
      kv::exit(kv::receive<kv::exit_reason>());
    });
    probe.run([&] {
      for (int i = 0; i < 2; ++i) kv::monitor(kv::receive<started>().who);
      reason == kv::exit_reason::kill ? kv::exit(owner, reason) : kv::send(owner, reason);
      for (int i = 0; i < 2; ++i) CHECK(kv::receive<kv::down>().reason == kv::exit_reason::killed);
    });
  }
}

TEST_CASE("several tasks are waited for at a time") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  probe.run([&] {
    std::vector<kv::task<int>> work;
    std::vector<kv::pid> who;
    for (int i = 0; i < 3; ++i) {
      work.push_back(kv::async(patient(probe, i)));
      who.push_back(kv::receive<started>().who);
    }
    for (const int next : {1, 2, 0}) {
      kv::send(who[static_cast<std::size_t>(next)], go_on{});
      const auto ready = kv::wait_any(work);
      REQUIRE(ready);
      CHECK(work[*ready].get() == next);
      work.erase(work.begin() + static_cast<std::ptrdiff_t>(*ready));
    }
  });
}

TEST_CASE("a stream works on a range and keeps its order") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  std::vector<int> numbers(100);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto squares = probe.run([&] { return kv::async_stream(numbers, [](int n) { return n * n; }); });
  REQUIRE(squares.size() == numbers.size());
  for (const int n : numbers) CHECK(squares[static_cast<std::size_t>(n)].value() == n * n);
  CHECK(probe.run([] { return kv::async_stream(std::vector<int>{}, [](int n) { return n; }); }).empty());
}

TEST_CASE("a stream has no more processes at work than it may") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto gauge = runtime.spawn<meter>();
  const std::vector<int> numbers(50, 1);
  const auto work = [gauge](int n) {
    gauge.call(&meter::begin);
    static_cast<void>(kv::receive_for<go_on>(1us));
    gauge.call(&meter::end);
    return n;
  };
  CHECK(probe.run([&] { return kv::async_stream(numbers, work, {.max_concurrency = 3}); }).size() == 50);
  CHECK(gauge.call(&meter::peak) <= 3);
  CHECK(gauge.call(&meter::peak) > 0);
}

TEST_CASE("an element that fails or takes too long spoils no other") {
  kv::simulation runtime({.runtime = {.on_report = [](const kv::report&) {}}});  // where an hour takes no time
  kv::testing::probe probe(runtime);
  const std::vector<std::string> words{"fine", "bad", "endless", "fine, too"};
  const auto results = probe.run([&] {
    return kv::async_stream(words,
                            [](const std::string& word) {
                              if (word == "bad") throw std::runtime_error("a bad word");
                              if (word == "endless") kv::receive<go_on>();
                              return word.size();
                            },
                            {.max_concurrency = 4, .timeout = 1h});
  });
  REQUIRE(results.size() == 4);
  CHECK(results[0].value() == 4);
  CHECK_FALSE(results[1]);
  CHECK(results[1].error().reason().text() == "a bad word");
  CHECK_THROWS_AS(static_cast<void>(results[1].value()), kv::call_error);
  CHECK(results[2].error().why() == kv::call_error::code::timeout);
  CHECK(results[3].value() == 9);
  CHECK(runtime.process_count() <= 4);
}

TEST_CASE("a stream ends with its caller") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto caller = runtime.spawn([to = probe.id()] {
    kv::async_stream(std::vector<int>{1, 2, 3}, [to](int n) { return patient(to, n)(); },
                     {.max_concurrency = 2, .timeout = kv::infinity});
  });
  probe.run([&] {
    for (int i = 0; i < 2; ++i) kv::monitor(kv::receive<started>().who);
    kv::exit(caller, kv::exit_reason::kill);
    for (int i = 0; i < 2; ++i) CHECK(kv::receive<kv::down>().reason == kv::exit_reason::killed);
  });
}

TEST_CASE("a stream of no concurrency is refused, and tasks work only inside a process") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  CHECK_THROWS_AS(
      probe.run([] { kv::async_stream(std::vector<int>{1}, [](int n) { return n; }, {.max_concurrency = 0}); }),
      std::invalid_argument);
  CHECK_THROWS_AS(kv::async([] { return 1; }), std::logic_error);
}

}  // namespace task_test
