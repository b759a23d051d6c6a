// Promises under test: children start in order and stop in reverse; a start that fails takes back what it began and
// says which child it was; each child is asked to end in the way its spec says; a supervisor leaves no orphan.
#include <doctest/doctest.h>

#include <stdexcept>

#include <kv/simulation.hpp>

#include "children.hpp"
#include "reports.hpp"

namespace supervision_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct fails_to_start {
  fails_to_start() { throw std::runtime_error("no flour"); }
};

kv::start_error start_failure(kv::runtime& home, const specs& children, std::chrono::nanoseconds period = 5s) {
  try {
    home.spawn<kv::supervisor>(kv::supervisor_options{.period = period}, [=] { return children; });
  } catch (const kv::start_error& e) {
    return e;
  }
  throw std::logic_error("the supervisor started");
}

/// Starts a supervisor inside a process of its own, which waits then.
template <class F>
kv::pid spawn_parent(kv::runtime& home, F start) {
  return home.spawn([start] {
    start();
    kv::receive<go_on>();
  });
}

}  // namespace

TEST_CASE("children start in order and stop in reverse") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b"), spec_of(p, "c")});
  CHECK(expect_ids<started>(p, 3) == ids{"a", "b", "c"});
  CHECK(shut_down(p, runtime, s) == kv::exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 3) == ids{"c", "b", "a"});
}

TEST_CASE("a supervisor of no children starts and stops") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto s = supervise(runtime, {});
  CHECK(s.call(&kv::supervisor::which_children).empty());
  CHECK(shut_down(p, runtime, s) == kv::exit_reason::shutdown);
}

TEST_CASE("a supervisor that is stopped stops its children first, in reverse") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b"), spec_of(p, "c")});
  s.stop(kv::exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 3) == ids{"c", "b", "a"});
}

TEST_CASE("stop of a supervisor returns when its children are gone") {
  kv::simulation runtime;
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of<slow_child>(p, "slow")});
  const auto slow = p.expect<started>().who;
  runtime.spawn([s, to = p.id()] {
    s.stop(kv::exit_reason::shutdown, kv::infinity);
    kv::send(to, finished{});
  });
  p.expect<asked>();
  CHECK_FALSE(p.run([] { return kv::receive_for<finished>(4s).has_value(); }));
  runtime.send(slow, go_on{});
  p.expect<stopped>();
  p.expect<finished>();
}

TEST_CASE("which_children tells of every child in the order of their start") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto inner = kv::supervisor_child("inner", [to = p.id()] {
    const auto init = [to] { return specs{spec_of(to, "worker")}; };
    return kv::spawn_link<kv::supervisor>(kv::supervisor_options{}, init).id();
  });
  const auto s = supervise(runtime, {spec_of(p, "a"), inner, spec_of(p, "z")});
  const auto children = s.call(&kv::supervisor::which_children);
  REQUIRE(children.size() == 3);
  CHECK(children[0].id == "a");
  CHECK(children[0].who == p.expect<started>().who);
  CHECK_FALSE(children[0].is_supervisor);
  CHECK(children[1].id == "inner");
  CHECK(children[1].is_supervisor);
  CHECK(runtime.alive(children[1].who));
  CHECK(children[2].id == "z");
  for (const auto& c : children) CHECK(c.restarts == 0);
}

TEST_CASE("a child that does not start stops those before it in reverse and is named") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto bad = kv::worker("bad", [] { return kv::spawn_link<fails_to_start>().id(); });
  const auto failure = start_failure(runtime, {spec_of(p, "a"), spec_of(p, "b"), bad, spec_of(p, "never")});
  CHECK(std::string(failure.what()).find("child bad: ") != std::string::npos);
  CHECK(std::string(failure.what()).find("no flour") != std::string::npos);
  CHECK(expect_ids<started>(p, 2) == ids{"a", "b"});
  CHECK(expect_ids<stopped>(p, 2) == ids{"b", "a"});
  CHECK_FALSE(p.has<started>());
  // What the child said is still there, under what the supervisor said.
  try {
    std::rethrow_exception(failure.reason().exception());
  } catch (const kv::start_error& e) {
    CHECK_THROWS_WITH_AS(std::rethrow_exception(e.reason().exception()), "no flour", std::runtime_error);
  }
}

TEST_CASE("a start function that throws by itself is a failed start") {
  kv::runtime runtime({.threads = 1});
  const auto bad = kv::worker("bad", []() -> kv::pid { throw std::out_of_range("no oven"); });
  const auto failure = start_failure(runtime, {bad});
  CHECK(std::string(failure.what()).find("child bad: no oven") != std::string::npos);
}

TEST_CASE("children that make no sense are an invalid_argument inside the start_error, and none is started") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto cause = [](const kv::start_error& e) { std::rethrow_exception(e.reason().exception()); };
  const auto twice = start_failure(runtime, {spec_of(p, "a"), spec_of(p, "b"), spec_of(p, "a")});
  CHECK_THROWS_WITH_AS(cause(twice), "two children have the id a", std::invalid_argument);
  CHECK(std::string(twice.what()) == "start of kv::supervisor: error: two children have the id a");
  auto nothing = spec_of(p, "void");
  nothing.start = nullptr;
  const auto empty = start_failure(runtime, {spec_of(p, "a"), nothing});
  CHECK_THROWS_WITH_AS(cause(empty), "child void has no start function", std::invalid_argument);
  const auto zero = start_failure(runtime, {spec_of(p, "a")}, 0s);
  CHECK_THROWS_WITH_AS(cause(zero), "the period of restarts must be more than 0", std::invalid_argument);
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("a stubborn child is asked, and killed when its time is over") {
  kv::simulation runtime;
  probe p(runtime);
  auto stubborn = spec_of<stubborn_child>(p, "stubborn");
  stubborn.shutdown = kv::shutdown::within(1ms);
  const auto s = supervise(runtime, {stubborn, spec_of(p, "after")});
  const auto who = p.expect<started>().who;
  p.monitor(who);
  shut_down(p, runtime, s);
  CHECK(p.expect<asked>().reason == kv::exit_reason::shutdown);
  CHECK(p.expect_down(who).reason == kv::exit_reason::killed);
  CHECK(expect_ids<stopped>(p, 2) == ids{"after", "stubborn"});
}

TEST_CASE("a child to be killed is not asked first") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  auto stubborn = spec_of<stubborn_child>(p, "stubborn");
  stubborn.shutdown = kv::shutdown::brutal_kill();
  const auto s = supervise(runtime, {stubborn});
  const auto who = p.expect<started>().who;
  p.monitor(who);
  shut_down(p, runtime, s);
  CHECK(p.expect_down(who).reason == kv::exit_reason::killed);
  CHECK_FALSE(p.has<asked>());
}

TEST_CASE("a child with all the time it wants is waited for") {
  kv::simulation runtime;
  probe p(runtime);
  auto slow = spec_of<slow_child>(p, "slow");
  slow.shutdown = kv::shutdown::infinity();
  const auto s = supervise(runtime, {spec_of(p, "before"), slow});
  p.expect<started>();
  const auto who = p.expect<started>().who;
  p.monitor(who);
  p.monitor(s);
  runtime.exit(s, kv::exit_reason::shutdown);
  p.expect<asked>();
  CHECK_FALSE(p.run([] { return kv::receive_for<kv::down>(1h).has_value(); }));
  runtime.send(who, go_on{});
  CHECK(p.expect_down(who).reason == kv::exit_reason::shutdown);
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 2) == ids{"slow", "before"});
}

TEST_CASE("a killed supervisor leaves no orphan, nor do those below it") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto inner = kv::supervisor_child("inner", [to = p.id()] {
    const auto init = [to] { return specs{spec_of(to, "x"), spec_of(to, "y")}; };
    return kv::spawn_link<kv::supervisor>(kv::supervisor_options{}, init).id();
  });
  const auto s = supervise(runtime, {spec_of(p, "a"), inner});
  const auto below = info_of(s, "inner").who;
  std::vector<kv::pid> all{below};
  for (int i = 0; i < 3; ++i) all.push_back(p.expect<started>().who);
  for (const auto who : all) p.monitor(who);
  kill_and_await(runtime, s);
  for (const auto who : all) p.expect_down(who);
  CHECK(expect_ids<stopped>(p, 3).size() == 3);
}

TEST_CASE("a supervisor that is killed while a child starts leaves no orphan") {
  struct never_ready : child {
    never_ready(kv::pid test, const std::string& id) : child(test, id) { kv::receive<go_on>(); }
  };
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  spawn_parent(runtime, [to = p.id()] {
    kv::spawn_link<kv::supervisor>(kv::supervisor_options{}, [to] {
      kv::send(to, kv::self());
      return specs{spec_of(to, "a"), spec_of<never_ready>(to, "never ready")};
    });
  });
  const auto s = p.expect<kv::pid>();
  std::vector<kv::pid> all{p.expect<started>().who, p.expect<started>().who};
  for (const auto who : all) p.monitor(who);
  kill_and_await(runtime, s);
  for (const auto who : all) p.expect_down(who);
}

TEST_CASE("a supervisor that is killed while it stops its children leaves no orphan") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  auto slow = spec_of<slow_child>(p, "slow");
  slow.shutdown = kv::shutdown::infinity();
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b"), slow});
  std::vector<kv::pid> all;
  for (int i = 0; i < 3; ++i) all.push_back(p.expect<started>().who);
  for (const auto who : all) p.monitor(who);
  runtime.exit(s, kv::exit_reason::shutdown);
  p.expect<asked>();
  kill_and_await(runtime, s);
  p.expect_down(all[0]);
  p.expect_down(all[1]);
  runtime.send(all[2], go_on{});
  p.expect_down(all[2]);
}

TEST_CASE("a supervisor ends with its parent, and stops its children in order") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto parent = spawn_parent(runtime, [to = p.id()] {
    const auto init = [to] { return specs{spec_of(to, "a"), spec_of(to, "b")}; };
    kv::send(to, kv::spawn_link<kv::supervisor>(kv::supervisor_options{}, init).id());
  });
  const auto s = p.expect<kv::pid>();
  p.monitor(s);
  kill_and_await(runtime, parent);
  CHECK(p.expect_down(s).reason == kv::exit_reason::killed);
  CHECK(expect_ids<stopped>(p, 2) == ids{"b", "a"});
}

TEST_CASE("a stranger cannot ask a supervisor to end") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a")});
  p.run([&] { kv::exit(s, kv::exit_reason::shutdown); });
  CHECK(runtime.alive(info_of(s, "a").who));
  CHECK(runtime.alive(s));
}

}  // namespace supervision_test
