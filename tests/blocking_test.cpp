// Promises under test: a process that is blocked inside a callback holds up nobody; many can be blocked at once, and
// one too many is told; a busy process starves nobody.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "threads.hpp"

namespace blocking_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct waiter {
  int wait() { return kv::receive<int>(); }
  int answer() { return 42; }
};

}  // namespace

TEST_CASE("a process that is blocked inside a callback does not stop others on its thread") {
  kv::runtime runtime({.threads = 1});
  const auto blocked = runtime.spawn<waiter>();
  blocked.cast(&waiter::wait);
  const auto other = runtime.spawn<waiter>();
  CHECK(other.call(&waiter::answer) == 42);
  runtime.send(blocked, 1);
  CHECK(blocked.call(&waiter::answer) == 42);
}

TEST_CASE("a chain of processes that each wait for the next is answered") {
  struct link_of_chain {
    kv::ref<link_of_chain> next;
    int depth() { return next ? next.call_for(kv::testing::patience, &link_of_chain::depth) + 1 : 1; }
  };
  kv::runtime runtime({.threads = 1});
  kv::ref<link_of_chain> first;
  for (int i = 0; i < 1000; ++i) first = runtime.spawn<link_of_chain>(first);
  CHECK(first.call_for(kv::testing::patience, &link_of_chain::depth) == 1000);
}

TEST_CASE("five thousand processes are blocked at once, and each gets its own message") {
  constexpr int many = 5000;
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  std::vector<kv::pid> all;
  for (int i = 0; i < many; ++i) {
    all.push_back(runtime.spawn([to = kv::pid(p)] {
      kv::send(to, true);
      kv::send(to, kv::receive<int>());
    }));
  }
  for (int i = 0; i < many; ++i) p.expect<bool>();
  const auto other = runtime.spawn<waiter>();
  CHECK(other.call(&waiter::answer) == 42);
  long expected = 0;
  long sum = 0;
  for (int i = 0; i < many; ++i) {
    runtime.send(all[static_cast<std::size_t>(i)], i);
    expected += i;
  }
  for (int i = 0; i < many; ++i) sum += p.expect<int>();
  CHECK(sum == expected);
}

TEST_CASE("one blocked process too many gets out_of_stacks, and the runtime goes on") {
  reports seen;
  kv::runtime runtime({.threads = 1, .max_stacks = 3, .on_report = seen.sink()});
  probe p(runtime);
  std::vector<kv::ref<waiter>> blocked;
  for (int i = 0; i < 3; ++i) {
    blocked.push_back(runtime.spawn<waiter>());
    blocked.back().cast(&waiter::wait);
    CHECK(runtime.spawn<waiter>().call(&waiter::answer) == 42);
  }
  // It may go on after a call that cannot be waited for, and after a receive.
  const auto callee = runtime.spawn<waiter>();
  runtime.spawn([to = kv::pid(p), callee] {
    std::string seen_by_me;
    try {
      kv::receive<int>();
    } catch (const kv::out_of_stacks& e) {
      seen_by_me = e.what();
    }
    try {
      callee.call(&waiter::answer);
    } catch (const kv::out_of_stacks&) {
      seen_by_me += "; again";
    }
    kv::send(to, seen_by_me);
  });
  CHECK(p.expect<std::string>() == "all 3 stacks are held by blocked processes (runtime_options::max_stacks); again");

  // Where nobody catches it, it ends the one process.
  const auto victim = runtime.spawn([] { kv::receive<int>(); });
  p.monitor(victim);
  CHECK(p.expect_down(victim).reason.what() != kv::exit_reason::kind::killed);

  // A stack that is given back serves again, also when its holder was killed.
  kill_and_await(runtime, blocked[0]);
  runtime.send(blocked[1], 1);
  CHECK(blocked[1].call(&waiter::answer) == 42);
  const auto next = runtime.spawn<waiter>();
  next.cast(&waiter::wait);
  CHECK(callee.call(&waiter::answer) == 42);
  runtime.send(next, 1);
  CHECK(next.call(&waiter::answer) == 42);
}

TEST_CASE("stacks serve again and again") {
  kv::runtime runtime({.threads = 1, .max_stacks = 2});
  probe p(runtime);
  for (int i = 0; i < 2000; ++i) {
    const auto reader = runtime.spawn([to = kv::pid(p)] { kv::send(to, kv::receive<int>()); });
    runtime.send(reader, i);
    CHECK(p.expect<int>() == i);
  }
}

TEST_CASE("a process that always has messages does not starve another on its thread" * needs_threads) {
  struct busy {
    bool stop = false;
    void again(kv::ref<busy> me) {
      if (!stop) me.cast(&busy::again, me);
    }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto b = runtime.spawn<busy>();
  b.cast(&busy::again, b);
  const auto other = runtime.spawn<waiter>();
  CHECK(other.call(&waiter::answer) == 42);
  // Nor one that waits for a message, or for a deadline.
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    kv::send(to, kv::receive<int>());
    kv::send(to, kv::receive_for<int>(std::chrono::milliseconds(1)).has_value());
  });
  runtime.send(reader, 7);
  CHECK(p.expect<int>() == 7);
  CHECK_FALSE(p.expect<bool>());
  b.call([](busy& state) { state.stop = true; });
}

TEST_CASE("two processes that call each other without end do not starve a third on their thread") {
  kv::runtime runtime({.threads = 1});
  const auto callee = runtime.spawn<waiter>();
  const auto calls = runtime.spawn([callee] {
    for (;;) callee.call(&waiter::answer);
  });
  const auto third = runtime.spawn<waiter>();
  CHECK(third.call(&waiter::answer) == 42);
  CHECK(kill_and_await(runtime, calls) == kv::exit_reason::killed);
}

}  // namespace blocking_test
