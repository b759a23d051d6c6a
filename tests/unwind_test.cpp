// Promises under test: an exit signal reaches a process that is blocked; it is unwound, destructors run and may still
// call; catching everything only puts the end off until the next blocking call.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace unwind_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::testing::exit_and_await;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

const auto enough = exit_reason::custom("enough");

struct waiter {
  int wait() { return kv::receive<int>(); }
  /// The same, and says first that it is about to: so that a signal cannot come before.
  int wait_and_tell(kv::pid to) {
    kv::send(to, true);
    return wait();
  }
};

/// Runs a function when it is destroyed.
template <class F>
struct at_end {
  F run;
  explicit at_end(F function) : run(std::move(function)) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { run(); }
};

}  // namespace

TEST_CASE("an exit signal reaches a process that is blocked in receive, and is no crash") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto script = runtime.spawn([to = kv::pid(p)] {
    kv::send(to, true);
    kv::receive<int>();
  });
  p.expect<bool>();
  CHECK(exit_and_await(runtime, script, enough) == enough);
  const auto server = runtime.spawn<waiter>();
  server.cast(&waiter::wait_and_tell, p.id());
  p.expect<bool>();
  CHECK(kill_and_await(runtime, server) == exit_reason::killed);
  CHECK(seen.all<kv::crash_report>().empty());
}

TEST_CASE("an exit signal reaches a process that is blocked in a call, and the callee goes on") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto callee = runtime.spawn<waiter>();
  const auto calls = runtime.spawn([to = kv::pid(p), callee] {
    kv::send(to, true);
    callee.call(&waiter::wait);
    kv::send(to, std::string("never"));
  });
  p.expect<bool>();
  CHECK(exit_and_await(runtime, calls, enough) == enough);
  runtime.send(callee, 7);
  callee.call([](waiter&) {});
  CHECK_FALSE(p.has<std::string>());
}

TEST_CASE("an exit signal reaches a process that waits for a child's constructor, and a linked child ends too") {
  struct slow {
    explicit slow(kv::pid to) {
      kv::send(to, kv::self());
      kv::receive<int>();
    }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto parent = runtime.spawn([to = kv::pid(p)] { kv::spawn_link<slow>(to); });
  const auto child = p.expect<kv::pid>();
  p.monitor(child);
  CHECK(exit_and_await(runtime, parent, enough) == enough);
  CHECK(p.expect_down(child).reason == enough);
}

TEST_CASE("a process that ends itself is unwound, and what comes after is not run") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn([to = kv::pid(p)] {
    kv::receive<bool>();
    const at_end farewell([to] { kv::send(to, std::string("unwound")); });
    try {
      kv::exit(enough);
    } catch (const std::exception&) {
      kv::send(to, std::string("caught"));
    }
    kv::send(to, std::string("never"));
  });
  p.monitor(a);
  runtime.send(a, true);
  CHECK(p.expect_down(a).reason == enough);
  CHECK(p.expect<std::string>() == "unwound");
  CHECK_FALSE(p.has<std::string>());
}

TEST_CASE("the destructors of a killed process run, innermost first, and those of its state last") {
  struct holder {
    kv::pid to;
    explicit holder(kv::pid reader) : to(reader) {}
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() { kv::send(to, std::string("state")); }
    void wait() {
      kv::send(to, true);
      const at_end outer([this] { kv::send(to, std::string("outer")); });
      const at_end inner([this] { kv::send(to, std::string("inner")); });
      kv::receive<int>();
    }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto h = runtime.spawn<holder>(p.id());
  h.cast(&holder::wait);
  p.expect<bool>();
  kill_and_await(runtime, h);
  CHECK(p.expect<std::string>() == "inner");
  CHECK(p.expect<std::string>() == "outer");
  CHECK(p.expect<std::string>() == "state");
}

TEST_CASE("a destructor of a killed process may still call, and wait for the answer") {
  struct counter {
    int value = 0;
    int add(int n) { return value += n; }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto c = runtime.spawn<counter>();
  const auto a = runtime.spawn([to = kv::pid(p), c] {
    const at_end farewell([=] { kv::send(to, c.call(&counter::add, 5)); });
    kv::send(to, true);
    kv::receive<int>();
  });
  p.expect<bool>();
  CHECK(kill_and_await(runtime, a) == exit_reason::killed);
  CHECK(p.expect<int>() == 5);
}

TEST_CASE("the destructor of a killed server's state may still call") {
  struct counter {
    int value = 0;
    int add(int n) { return value += n; }
  };
  struct owner {
    kv::ref<counter> c;
    explicit owner(kv::ref<counter> counts) : c(counts) {}
    owner(const owner&) = delete;
    owner& operator=(const owner&) = delete;
    ~owner() { c.call(&counter::add, 5); }
  };
  kv::runtime runtime({.threads = 1});
  const auto c = runtime.spawn<counter>();
  kill_and_await(runtime, runtime.spawn<owner>(c));
  CHECK(c.call(&counter::add, 0) == 5);
}

TEST_CASE("catching everything only puts the end off until the next blocking call") {
  struct blocks_again {
    kv::ref<waiter> other;
    void receive() const { kv::receive<int>(); }
    void receive_for() const { static_cast<void>(kv::receive_for<int>(1h)); }
    void call() const { other.call(&waiter::wait); }
    void spawn() const { kv::spawn<waiter>(); }
    void await() const { static_cast<void>(kv::await(kv::monitor(other))); }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto other = runtime.spawn<waiter>();
  other.cast(&waiter::wait);
  for (const auto again : {&blocks_again::receive, &blocks_again::receive_for, &blocks_again::call,
                           &blocks_again::spawn, &blocks_again::await}) {
    const auto stubborn = runtime.spawn([to = kv::pid(p), other, again] {
      kv::send(to, true);
      try {
        kv::receive<int>();
      } catch (...) {
        kv::send(to, std::string("swallowed"));
      }
      (blocks_again{other}.*again)();
      kv::send(to, std::string("never"));
    });
    p.expect<bool>();
    CHECK(kill_and_await(runtime, stubborn) == exit_reason::killed);
    CHECK(p.expect<std::string>() == "swallowed");
    CHECK_FALSE(p.has<std::string>());
  }
}

TEST_CASE("a receive that finds its message already there notices the end, too") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn([to = kv::pid(p)] {
    kv::send(to, true);
    try {
      kv::receive<bool>();
    } catch (...) {
    }
    kv::receive<int>();  // waits in the queue
    kv::send(to, std::string("never"));
  });
  p.expect<bool>();
  runtime.send(a, 1);
  CHECK(kill_and_await(runtime, a) == exit_reason::killed);
  CHECK_FALSE(p.has<std::string>());
}

TEST_CASE("a callback that swallows the unwinding and returns ends the process all the same") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto w = runtime.spawn<waiter>();
  w.cast([to = kv::pid(p)](waiter& state) {
    try {
      state.wait_and_tell(to);
    } catch (...) {
    }
  });
  p.expect<bool>();
  w.cast([to = kv::pid(p)](waiter&) { kv::send(to, std::string("never")); });
  CHECK(exit_and_await(runtime, w, enough) == enough);
  CHECK_FALSE(p.has<std::string>());
}

TEST_CASE("another exception that leaves a callback on the way out does not change the reason") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto w = runtime.spawn<waiter>();
  w.cast([to = kv::pid(p)](waiter& state) {
    try {
      state.wait_and_tell(to);
    } catch (...) {
      throw std::runtime_error("translated");
    }
  });
  p.expect<bool>();
  CHECK(exit_and_await(runtime, w, enough) == enough);
}

TEST_CASE("a trapping process that is blocked is not disturbed by an exit signal, which waits for it") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn([to = kv::pid(p)] {
    kv::trap_exit(true);
    kv::send(to, true);
    kv::send(to, kv::receive<int>());
    kv::send(to, kv::receive<kv::exit_signal>().reason);
  });
  p.expect<bool>();
  runtime.exit(a, enough);
  runtime.send(a, 7);
  CHECK(p.expect<int>() == 7);
  CHECK(p.expect<exit_reason>() == enough);
}

}  // namespace unwind_test
