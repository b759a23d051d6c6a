// Promises under test: a wait that would never end is refused; what comes together with the deadline is taken; a process
// that will not end does not take a processor for itself.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>

#include <kv/process.hpp>
#include <kv/simulation.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace waiting_test {

using namespace std::chrono_literals;
using kv::call_error;
using kv::exit_reason;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Answers when it is told to.
struct debtor {
  kv::from<int> owed{nullptr};
  void ask(kv::from<int> caller) { owed = std::move(caller); }
  void pay() { owed.reply(42); }
};

/// A mailbox of one message, whose senders wait.
struct narrow {
  using messages = kv::message_types<int>;
  kv::alias address;
  int handled = 0;
  narrow() : address(kv::make_alias()) { kv::limit_mailbox(1, kv::when_full::block); }
  void handle(const int&) { ++handled; }
  void note() { ++handled; }
};

template <class F>
std::string refusal_of(F function) {
  try {
    function();
    return "none";
  } catch (const call_error& e) {
    return e.why() == call_error::code::overloaded ? "overloaded" : e.what();
  }
}

}  // namespace

TEST_CASE("a process that sends to its own full mailbox is told at once, however it sends") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto n = runtime.spawn<narrow>();
  n.cast([n, to = kv::pid(p)](narrow& state) {
    kv::send(kv::self(), 1);
    CHECK(refusal_of([] { kv::send(kv::self(), 2); }) == "overloaded");
    CHECK(refusal_of([&] { kv::send(state.address, 2); }) == "overloaded");
    CHECK(refusal_of([&] { n.send(2); }) == "overloaded");
    CHECK(refusal_of([&] { n.cast(&narrow::note); }) == "overloaded");
    kv::send(to, true);
  });
  p.expect<bool>();
  // This thread waits for room; the process never did.
  n.cast([to = kv::pid(p)](narrow& state) { kv::send(to, state.handled); });
  CHECK(p.expect<int>() == 1);
}

TEST_CASE("in a destructor, what a process sends to its own full mailbox is dropped") {
  struct farewell {
    farewell() = default;
    farewell(const farewell&) = delete;
    farewell& operator=(const farewell&) = delete;
    ~farewell() { kv::send(kv::self(), 2); }
  };
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto n = runtime.spawn<narrow>();
  n.cast([to = kv::pid(p)](narrow&) {
    kv::send(kv::self(), 1);
    {
      const farewell here;
    }
    kv::send(to, std::string("outside"));
  });
  CHECK(p.expect<std::string>() == "outside");
  CHECK(seen.all<kv::overload_report>().size() == 1);
}

TEST_CASE("an answer that comes together with the deadline is taken") {
  kv::simulation world;
  probe p(world);
  const auto d = world.spawn<debtor>();
  const auto calls = world.spawn([to = kv::pid(p), d] {
    kv::send(to, d.call_for(1s, &debtor::ask));
    auto request = d.send_request(&debtor::ask);
    kv::send(to, request.get(1s));
    kv::send(to, kv::receive_for<int>(1s).value_or(0));
    kv::send(to, kv::await_name("late", 1s).has_value());
  });
  // Its time is up, and before it has a turn, what it waits for is there.
  const auto too_late_but_for = [&](auto what_comes) {
    world.run_until_idle();
    world.suspend(calls);
    world.advance(1s);
    what_comes();
    world.run_until_idle();
    world.resume(calls);
  };
  too_late_but_for([&] { d.cast(&debtor::pay); });
  CHECK(p.expect<int>() == 42);
  too_late_but_for([&] { d.cast(&debtor::pay); });
  CHECK(p.expect<int>() == 42);
  too_late_but_for([&] { world.send(calls, 7); });
  CHECK(p.expect<int>() == 7);
  too_late_but_for([&] { world.register_name("late", d); });
  CHECK(p.expect<bool>());
}

TEST_CASE("a process that swallows its end time and again sleeps in between, and ends when it stops that") {
  kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
  probe p(world);
  auto rounds = std::make_shared<int>(0);
  auto stop = std::make_shared<bool>(false);
  const auto stubborn = world.spawn([rounds, stop] {
    while (!*stop) {
      try {
        ++*rounds;
        static_cast<void>(kv::receive_for<int>(0ns));
        kv::receive<int>();
      } catch (...) {
      }
    }
  });
  p.monitor(stubborn);
  world.run_until_idle();
  world.exit(stubborn, exit_reason::kill);
  world.advance(60s);
  CHECK(*rounds > 3);
  CHECK(*rounds < 100);
  CHECK(world.alive(stubborn));
  *stop = true;
  CHECK(p.expect_down(stubborn).reason == exit_reason::killed);
}

TEST_CASE("a leaf that calls a process of another runtime is told that it must not block") {
  kv::runtime here({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  const auto other = elsewhere.spawn<blank>();
  const auto leaf = here.spawn<blank_leaf>();
  leaf.call([other](blank_leaf&) {
    CHECK_THROWS_AS(other.call([](blank&) {}), kv::leaf_blocked);
    CHECK_THROWS_AS(other.stop(), kv::leaf_blocked);
  });
  CHECK(other.alive());
}

}  // namespace waiting_test
