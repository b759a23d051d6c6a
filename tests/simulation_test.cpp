// Promises under test: a simulation is a runtime that a test holds in its hand. The same seed gives the same run; time
// stands until it is told to pass; a run that cannot go on says who waits for what.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <kv/kv.hpp>
#include <kv/simulation.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"

namespace simulation_test {

namespace {

using kv::simulation;
using kv::testing::probe;
using namespace std::chrono_literals;

struct tick {};
struct tock {};

/// Counts what it is sent.
class counter {
 public:
  void handle(const tick&) { ++ticks_; }
  void handle(const tock&) { ++tocks_; }
  using messages = kv::message_types<tick, tock>;
  void bump() { ++ticks_; }
  int ticks() const { return ticks_; }
  int tocks() const { return tocks_; }

 private:
  int ticks_ = 0;
  int tocks_ = 0;
};

/// The same, on its caller's stack.
class leaf_counter : public counter {
 public:
  static constexpr bool leaf = true;
};

/// A small life with everything in it: servers, leaves, deaths, timeouts.
std::vector<std::string> live(std::uint64_t seed) {
  simulation world({.seed = seed, .runtime = {.on_report = [](const kv::report&) {}}});
  const auto tree = kv::start_tree(world);
  probe p(world);
  tree.events.forward_to(p);
  for (const auto* name : {"a", "b", "a"}) {
    world.spawn([&tree, name] {
      const auto b = tree.registry.create(name);
      b.call(&kv::bucket::put, "milk", "3");
      if (kv::receive_for<tick>(1s)) return;
      kv::exit(b, kv::exit_reason::kill);
    });
  }
  p.expect<kv::exited>();
  world.advance(5s);
  return world.trace();
}

std::string text_of(const auto& action) {
  try {
    action();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

// Seeds ----------------------------------------------------------------------------------------------------------

TEST_CASE("the same seed gives the same run, another one another") {
  std::set<std::vector<std::string>> runs;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto trace = live(seed);
    CHECK(trace == live(seed));
    runs.insert(trace);
  }
  CHECK(runs.size() > 5);  // one that happens to deviate nowhere is the plain one
}

TEST_CASE("another process may take its turn before and after a call to a leaf") {
  std::set<int> seen;
  for (std::uint64_t seed = 1; seed < 200 && seen.size() < 3; ++seed) {
    simulation world(seed);
    const auto c = world.spawn<leaf_counter>();
    for (int i = 0; i < 2; ++i) world.spawn([c] { c.call(&leaf_counter::bump); });
    seen.insert(c.call(&leaf_counter::ticks));
  }
  CHECK(seen == std::set<int>{0, 1, 2});
}

TEST_CASE("only the deviations that are asked for take place, and they are the same as before") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    simulation world(seed);
    const auto c = world.spawn<counter>();
    for (int i = 0; i < 20; ++i) world.spawn([c] { c.call(&counter::bump); });
    world.run_until_idle();
    const auto all = world.deviations();
    simulation again({.seed = seed, .only = all});
    const auto d = again.spawn<counter>();
    for (int i = 0; i < 20; ++i) again.spawn([d] { d.call(&counter::bump); });
    again.run_until_idle();
    CHECK(again.trace() == world.trace());
    CHECK(simulation({.seed = seed, .only = std::vector<kv::deviation>{}}).deviations().empty());
  }
}

TEST_CASE("random numbers are those of the seed") {
  const auto numbers = [](std::uint64_t seed) {
    std::vector<std::uint64_t> drawn;
    simulation world(seed);
    world.spawn([&] {
      for (int i = 0; i < 3; ++i) drawn.push_back(kv::random());
    });
    world.run_until_idle();
    return drawn;
  };
  CHECK(numbers(1) == numbers(1));
  CHECK(numbers(1) != numbers(2));
}

// Turns ----------------------------------------------------------------------------------------------------------

TEST_CASE("a step is one message") {
  simulation world;
  const auto c = world.spawn<counter>();
  CHECK_FALSE(world.step());
  for (int i = 0; i < 3; ++i) c.send(tick{});
  CHECK(world.step());
  CHECK(world.step());
  const auto last = world.trace().back();
  CHECK_MESSAGE(last.find("handles simulation_test::(anonymous namespace)::tick") != std::string::npos, last);
  CHECK(world.run_until_idle() == 1);
  CHECK_FALSE(world.step());
  CHECK(c.call(&counter::ticks) == 3);
}

TEST_CASE("a test may choose whose turn it is") {
  simulation world;
  const auto a = world.spawn<counter>();
  const auto b = world.spawn<counter>();
  a.send(tick{});
  b.send(tick{});
  world.step(b);
  CHECK(world.processes_and_waits().find(
            to_string(a.id()) + " simulation_test::(anonymous namespace)::counter: can run") != std::string::npos);
  world.step(a);
  CHECK(text_of([&] { world.step(a); }).find("has nothing to do") != std::string::npos);
}

TEST_CASE("a test may say what the next message has to be") {
  simulation world;
  const auto c = world.spawn<counter>();
  c.send(tick{});
  c.send(tock{});
  world.expect<tick>(c);
  const auto wrong = text_of([&] { world.expect<tick>(c); });
  CHECK(wrong.find("tests/simulation_test.cpp:") != std::string::npos);
  CHECK(wrong.find("it handles simulation_test::(anonymous namespace)::tock") != std::string::npos);
  CHECK(wrong.find("seed 0, the last steps:") != std::string::npos);
  world.expect<tock>(c);  // it is still there
  CHECK(text_of([&] { world.expect<tock>(c); }).find("has no message to handle") != std::string::npos);
}

TEST_CASE("a failed expectation of a probe prints the seed and the last steps") {
  simulation world(5);
  probe p(world);
  const auto text = text_of([&] { p.expect<tick>(); });
  CHECK(text.find("no simulation_test::(anonymous namespace)::tick came") != std::string::npos);
  CHECK(text.find("seed 5, the last steps:") != std::string::npos);
}

TEST_CASE("a process that is held gets no turn, and its mailbox stays open") {
  simulation world;
  const auto c = world.spawn<counter>();
  const auto asleep = world.spawn([] { kv::receive<tick>(); });
  world.run_until_idle();
  world.suspend(c);
  world.suspend(asleep);  // in the middle of what it does
  c.send(tick{});
  world.send(asleep, tick{});
  world.run_until_idle();
  CHECK(world.alive(asleep));
  CHECK_THROWS_AS(world.step(c), kv::testing::expectation_failed);
  world.exit(c, kv::exit_reason::kill);
  world.run_until_idle();
  CHECK(c.alive());
  CHECK(world.processes_and_waits().find("held by the test") != std::string::npos);
  world.resume(asleep);
  world.resume(c);
  world.run_until_idle();
  CHECK_FALSE(world.alive(asleep));
  CHECK_FALSE(c.alive());
}

TEST_CASE("an injected exit takes effect when the process gets its turn") {
  simulation world;
  const auto c = world.spawn<counter>();
  world.exit(c, kv::exit_reason::shutdown);
  CHECK(c.alive());
  CHECK(world.step());
  CHECK_FALSE(c.alive());
}

TEST_CASE("a process cannot drive the simulation that runs it") {
  reports seen;
  simulation world({.runtime = {.on_report = seen.sink()}});
  world.spawn([&] { world.run_until_idle(); });
  world.run_until_idle();
  CHECK(seen.all<kv::crash_report>().size() == 1);
}

TEST_CASE("a function with a thread of its own runs as any process") {
  simulation world;
  probe p(world);
  world.spawn_thread([to = p.id()] {
    kv::send(to, kv::self());
    kv::receive<tick>();
  });
  const auto who = p.expect<kv::pid>();
  p.monitor(who);
  world.send(who, tick{});
  CHECK(p.expect_down(who).reason == kv::exit_reason::normal);
}

TEST_CASE("two simulations live on one thread, and may talk") {
  simulation one(1), two(2);
  const auto c = one.spawn<counter>();
  const auto d = two.spawn<counter>();
  CHECK_FALSE(two.alive(c));
  one.spawn([c, d] {
    d.call(&counter::bump);
    c.call(&counter::bump);
  });
  one.run_until_idle();
  CHECK(d.call(&counter::ticks) == 1);
  CHECK(c.call(&counter::ticks) == 1);
}

// Time -----------------------------------------------------------------------------------------------------------

TEST_CASE("time stands while anybody can run, and passes at once when everybody waits") {
  simulation world;
  const auto start = world.now();
  probe p(world);
  CHECK_FALSE(p.run([] { return kv::receive_for<tick>(24h).has_value(); }));
  CHECK(world.now() - start == 24h);
}

TEST_CASE("time that is let pass fires each timer in its turn") {
  simulation world;
  std::vector<std::chrono::nanoseconds> woken;
  const auto start = world.now();
  for (const auto after : {3s, 1s, 2s, 5s}) {
    world.spawn([&, after] {
      static_cast<void>(kv::receive_for<tick>(after));
      woken.push_back(kv::now() - start);
    });
  }
  world.advance(3s);
  CHECK(woken == std::vector<std::chrono::nanoseconds>{1s, 2s, 3s});
  CHECK(world.now() - start == 3s);
  CHECK(world.fire_next_timer() == 2s);
  CHECK(woken.size() == 3);
  CHECK(world.step());
  CHECK(woken.size() == 4);
  CHECK_FALSE(world.fire_next_timer());
  CHECK_THROWS_AS(world.advance(-1s), std::invalid_argument);
}

TEST_CASE("a message that comes before the deadline is in time, also when both are there") {
  simulation world;
  std::optional<bool> in_time;
  const auto waits = world.spawn([&] { in_time = kv::receive_for<tick>(1s).has_value(); });
  world.run_until_idle();
  world.send(waits, tick{});
  CHECK(world.fire_next_timer() == 1s);
  world.run_until_idle();
  CHECK(in_time == true);
}

TEST_CASE("a call that is not answered in time times out in virtual time") {
  simulation world;
  const auto stuck = world.spawn<counter>();
  world.suspend(stuck);
  const auto start = world.now();
  CHECK_THROWS_WITH_AS(stuck.call(&counter::bump), doctest::Contains("timeout"), kv::call_error);
  CHECK(world.now() - start == kv::default_timeout);
  world.resume(stuck);
}

// Runs that cannot go on -----------------------------------------------------------------------------------------

TEST_CASE("a deadlock is an error that lists who waits for what") {
  simulation world;
  struct talker {
    void talk_to(kv::ref<talker> other) { other.call_for(kv::infinity, &talker::talk_to, other); }
  };
  const auto a = world.spawn<talker>();
  const auto b = world.spawn<talker>();
  world.spawn([] { kv::receive<tick>(); });
  const auto text = text_of([&] {
    a.cast(&talker::talk_to, b);
    b.cast(&talker::talk_to, a);
    a.call_for(kv::infinity, [](talker&) {});
  });
  CHECK(text.find("deadlock") == 0);
  CHECK(text.find(to_string(a.id()) + " ") != std::string::npos);
  CHECK(text.find("waits for the answer of " + to_string(b.id())) != std::string::npos);
  CHECK(text.find("waits for a message of simulation_test::(anonymous namespace)::tick since 0 s") !=
        std::string::npos);
  CHECK(text.find("the last steps:") != std::string::npos);
}

TEST_CASE("a test that waits for what never comes is told so") {
  simulation world;
  probe p(world);
  CHECK_THROWS_AS(p.run([] { kv::receive<tick>(); }), kv::simulation_error);
  world.send(p, tick{});
  p.expect<tick>();  // nothing is broken by it
}

TEST_CASE("a run without end meets the step limit, and ends") {
  simulation world({.max_steps = 100});
  struct echo {
    void go_on() { kv::ref<echo>(*kv::detail::this_process().home, kv::self()).cast(&echo::go_on); }
  };
  const auto e = world.spawn<echo>();
  e.cast(&echo::go_on);
  const auto text = text_of([&] { world.run_until_idle(); });
  CHECK_MESSAGE(text.find("more than 100 steps") == 0, text);
  CHECK_MESSAGE(text.find("can run") != std::string::npos, text);
}

TEST_CASE("a process that never waits is ended when the run has failed") {
  simulation world({.seed = 3, .max_steps = 1000});
  const auto c = world.spawn<leaf_counter>();
  world.spawn([c] {
    for (;;) c.call(&leaf_counter::bump);
  });
  world.spawn([c] {
    for (;;) c.call(&leaf_counter::bump);
  });
  CHECK_THROWS_AS(world.run_until_idle(), kv::simulation_error);
}

TEST_CASE("a simulation ends while its processes are in the middle of things") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    simulation world(seed);
    const auto tree = kv::start_tree(world);
    for (int i = 0; i < 5; ++i) {
      world.spawn([registry = tree.registry, i] { registry.create(std::to_string(i % 2)); });
      world.spawn([] { kv::receive<tick>(); });
    }
    world.step();
  }
}

// The kit --------------------------------------------------------------------------------------------------------

TEST_CASE("a runtime becomes a simulation in the scope of simulate_runtimes") {
  const kv::testing::simulate_runtimes scope(7);
  kv::runtime runtime({.threads = 2});
  const auto start = runtime.now();
  probe p(runtime);
  CHECK_FALSE(p.run([] { return kv::receive_for<tick>(24h).has_value(); }));
  CHECK(runtime.now() - start == 24h);
}

TEST_CASE("a process of the testing kit is never taken for the server that lived in its slot") {
  simulation world;
  auto b = world.spawn<kv::bucket>();
  world.exit(b, kv::exit_reason::kill);
  world.run_until_idle();
  probe p(world);
  CHECK(p.id().slot == b.id().slot);
  CHECK_FALSE(world.as<kv::bucket>(p));
}

TEST_SUITE_END();

}  // namespace simulation_test
