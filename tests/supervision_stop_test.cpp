// Promises under test: a supervisor that is killed while it stops a child leaves no orphan; why a child ended while it
// was stopped is not lost; each child has the time that its spec says, and nobody can cheat a supervisor about an end.
#include <doctest/doctest.h>

#include <stdexcept>

#include <kv/simulation.hpp>

#include "children.hpp"
#include "exploring.hpp"
#include "reports.hpp"

namespace supervision_stop_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::supervisor;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Ends with a reason of its own when it is asked to end.
class sore_child : public child {
 public:
  sore_child(kv::pid test, const std::string& id) : child(test, id) { kv::trap_exit(true); }
  void handle(const kv::exit_signal&) { kv::exit(exit_reason::custom("sore")); }
};

/// Fails when it is asked to end.
class failing_child : public child {
 public:
  failing_child(kv::pid test, const std::string& id) : child(test, id) { kv::trap_exit(true); }
  void handle(const kv::exit_signal&) { throw std::runtime_error("spilt milk"); }
};

/// Cuts the link to its supervisor.
class disloyal_child : public child {
 public:
  disloyal_child(kv::pid test, const std::string& id, kv::pid parent) : child(test, id) { kv::unlink(parent); }
};

kv::child_spec with(kv::shutdown how, kv::child_spec spec) {
  spec.shutdown = how;
  return spec;
}

std::vector<std::string> oddities(const reports& seen) {
  std::vector<std::string> result;
  for (const auto& odd : seen.all<kv::oddity_report>()) result.push_back(odd.what);
  return result;
}

std::string odd(const std::string& id, kv::pid who, const std::string& reason) {
  return "child " + id + ' ' + to_string(who) + " ended while it was stopped: " + reason;
}

}  // namespace

TEST_CASE("a supervisor that is killed while it waits for a child to end takes that child along") {
  reports seen;
  kv::simulation runtime({.runtime = {.on_report = seen.sink()}});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), with(kv::shutdown::infinity(), spec_of<stubborn_child>(p, "b"))});
  expect_ids<started>(p, 2);
  const auto b = info_of(s, "b").who;
  runtime.exit(s, exit_reason::shutdown);
  CHECK(p.expect<asked>().reason == exit_reason::shutdown);
  p.monitor(b);
  runtime.run_until_idle();  // it has done with what it was asked
  kill_and_await(runtime, s);
  CHECK(p.expect<asked>().reason == exit_reason::killed);  // still linked, so it hears of the death
  CHECK(p.expect_down(b).reason == exit_reason::killed);   // and nobody outlives his parent
}

TEST_CASE("stubborn children of a supervisor that is killed, of either kind, die with it") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of<stubborn_child>(p, "a"), spec_of<stubborn_child>(p, "b")});
  const auto d = runtime.spawn<kv::dynamic_supervisor>();
  d.call([to = p.id()](kv::dynamic_supervisor& self) {
    self.start_child<stubborn_child>(to, "plain");
    self.start_child(spec_of<stubborn_child>(to, "kept"));
  });
  for (int i = 0; i < 4; ++i) p.monitor(p.expect<started>().who);
  kill_and_await(runtime, s);
  kill_and_await(runtime, d);
  for (int i = 0; i < 4; ++i) CHECK(p.expect<kv::down>().reason == exit_reason::killed);
}

TEST_CASE("a dynamic supervisor that is killed while it waits for stubborn children takes them along") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto d = runtime.spawn<kv::dynamic_supervisor>(kv::testing::patience);
  d.call([to = p.id()](kv::dynamic_supervisor& self) {
    for (int i = 0; i < 10; ++i) self.start_child<stubborn_child>(to, "stubborn");
  });
  for (int i = 0; i < 10; ++i) p.monitor(p.expect<started>().who);
  runtime.exit(d, exit_reason::shutdown);
  CHECK(expect_ids<asked>(p, 10).size() == 10);
  kill_and_await(runtime, d);
  for (int i = 0; i < 10; ++i) CHECK(p.expect<kv::down>().reason == exit_reason::killed);
}

TEST_CASE("what a child ends with while it is stopped is reported unless it is orderly") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "calm"), spec_of<sore_child>(p, "sore"),
                                     spec_of<failing_child>(p, "failing"), spec_of<slow_child>(p, "slow")});
  const auto slow = info_of(s, "slow").who;
  const auto sore = info_of(s, "sore").who;
  const auto failing = info_of(s, "failing").who;
  p.monitor(s);
  runtime.exit(s, exit_reason::shutdown);
  p.expect<asked>();
  runtime.send(slow, go_on{});
  CHECK(p.expect_down(s).reason == exit_reason::shutdown);
  CHECK(oddities(seen) == ids{odd("failing", failing, "error: spilt milk"), odd("sore", sore, "sore")});
  CHECK(seen.all<kv::crash_report>().size() == 1);
}

TEST_CASE("a child that ended before it was asked to keeps its reason") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")});
  const auto a = info_of(s, "a").who;
  const auto b = info_of(s, "b").who;
  p.monitor(a);
  {
    const kv::testing::suspended frozen(runtime, s);
    s.cast(&supervisor::terminate_child, "a");  // and behind it the news of both ends
    s.cast(&supervisor::terminate_child, "b");
    kv::ref<child>(runtime.core(), a).cast(&child::end, exit_reason::custom("old age"));
    p.expect_down(a);
    kill_and_await(runtime, b);
  }
  CHECK(s.call(&supervisor::count_children).active == 0);
  CHECK(oddities(seen) == ids{odd("a", a, "old age"), odd("b", b, "killed")});
}

TEST_CASE("a child that is killed because it should be is not reported, one whose time was over is") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {with(kv::shutdown::brutal_kill(), spec_of<stubborn_child>(p, "brutal")),
                                     with(kv::shutdown::within(0s), spec_of<stubborn_child>(p, "hurried"))});
  const auto hurried = info_of(s, "hurried").who;
  shut_down(p, runtime, s);
  CHECK(oddities(seen) == ids{odd("hurried", hurried, "killed")});
}

TEST_CASE("a child that has cut its link is stopped all the same") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto disloyal =
      kv::worker("disloyal", [to = p.id()] { return kv::spawn_link<disloyal_child>(to, "disloyal", kv::self()).id(); });
  const auto s = supervise(runtime, {spec_of(p, "a"), disloyal});
  CHECK(shut_down(p, runtime, s) == exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 2) == ids{"disloyal", "a"});

  const auto d = runtime.spawn<kv::dynamic_supervisor>();
  const auto start = [to = p.id()](kv::dynamic_supervisor& self) {
    return self.start_child<disloyal_child>(to, "disloyal", kv::self()).id();
  };
  const auto first = d.call(start);
  d.call(start);
  CHECK(d.call(&kv::dynamic_supervisor::terminate_child, first));
  CHECK(shut_down(p, runtime, d) == exit_reason::shutdown);
  expect_ids<stopped>(p, 2);
}

TEST_CASE("a child cannot pretend that it, or another, is dead") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")});
  const auto a = info_of(s, "a").who;
  kv::ref<child>(runtime.core(), a).call([s](child&) { kv::exit(s.id(), exit_reason::custom("fire")); });
  CHECK(info_of(s, "a").who == a);
  CHECK(runtime.alive(a));

  const auto d = runtime.spawn<kv::dynamic_supervisor>();
  const auto c = d.call([to = p.id()](kv::dynamic_supervisor& self) { return self.start_child<child>(to, "c").id(); });
  kv::ref<child>(runtime.core(), c).call([d](child&) { kv::exit(d.id(), exit_reason::normal); });
  CHECK(d.call(&kv::dynamic_supervisor::children) == std::vector{c});
  CHECK(seen.all<kv::restart_report>().empty());
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("each child has its own time to end, one after the other") {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  probe p(world);
  const auto s =
      supervise(world, {with(kv::shutdown::within(1s), spec_of<stubborn_child>(p, "a")),
                        with(kv::shutdown::brutal_kill(), spec_of<stubborn_child>(p, "b")), spec_of<child>(p, "c"),
                        with(kv::shutdown::within(3s), spec_of<stubborn_child>(p, "d"))});
  const auto begin = world.now();
  CHECK(shut_down(p, world, s) == exit_reason::shutdown);
  CHECK(world.now() - begin == 4s);
  CHECK(expect_ids<asked>(p, 2) == ids{"d", "a"});
  CHECK(expect_ids<stopped>(p, 4) == ids{"d", "c", "b", "a"});
}

TEST_CASE("ten thousand stubborn children of a dynamic supervisor take one timeout" * doctest::timeout(300)) {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  probe p(world);
  const auto s = world.spawn<kv::dynamic_supervisor>(5s);
  constexpr auto count = affordable(10'000);
  s.call([to = p.id()](kv::dynamic_supervisor& self) {
    for (std::size_t i = 0; i < count; ++i) self.start_child<stubborn_child>(to, "stubborn");
  });
  const auto begin = world.now();
  CHECK(shut_down(p, world, s) == exit_reason::shutdown);
  CHECK(world.now() - begin == 5s);
  CHECK(expect_ids<asked>(p, count).size() == count);
  CHECK(oddities(seen) == ids{std::to_string(count) + " children ended while they were stopped: killed"});
  CHECK(world.process_count() == 0);
}

TEST_CASE("children of a dynamic supervisor have each their own time, all at once") {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  probe p(world);
  const auto s = world.spawn<kv::dynamic_supervisor>(2s);
  s.call([to = p.id()](kv::dynamic_supervisor& self) {
    self.start_child<stubborn_child>(to, "two");
    for (const auto& [id, time] : {std::pair("one", 1s), std::pair("three", 3s), std::pair("also two", 2s)}) {
      CHECK(self.start_child(with(kv::shutdown::within(time), spec_of<stubborn_child>(to, id))));
    }
    CHECK(self.start_child(with(kv::shutdown::brutal_kill(), spec_of<stubborn_child>(to, "none"))));
    CHECK(self.start_child(with(kv::shutdown::infinity(), spec_of<slow_child>(to, "all"))));
  });
  kv::pid slow;
  for (int i = 0; i < 6; ++i) {
    const auto news = p.expect<started>();
    if (news.id == "all") slow = news.who;
  }
  p.monitor(s);
  world.exit(s, exit_reason::shutdown);
  world.advance(0s);
  CHECK(expect_ids<stopped>(p, 1) == ids{"none"});
  for (const auto& [time, which] : {std::pair(1s, ids{"one"}), {1s, ids{"also two", "two"}}, {1s, ids{"three"}}}) {
    CHECK_FALSE(p.has<stopped>());
    world.advance(time);
    auto gone = expect_ids<stopped>(p, which.size());
    std::ranges::sort(gone);
    CHECK(gone == which);
  }
  world.advance(1h);
  CHECK_FALSE(p.has<stopped>());
  world.send(slow, go_on{});
  CHECK(p.expect_down(s).reason == exit_reason::shutdown);
  CHECK(oddities(seen) == ids{"4 children ended while they were stopped: killed"});
}

TEST_SUITE_END();

}  // namespace supervision_stop_test
