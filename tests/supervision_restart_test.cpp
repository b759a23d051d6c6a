// Promises under test: what is restarted after which end; which siblings go along; how many restarts are too many.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "children.hpp"
#include "reports.hpp"

namespace supervision_restart_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using kv::restart;
using kv::strategy;

/// Ends a child by itself and waits until its supervisor has dealt with that.
void end_child(probe& p, kv::runtime& home, const kv::ref<kv::supervisor>& s, kv::pid who, const kv::exit_reason& why) {
  p.monitor(who);
  kv::ref<child>(home.core(), who).cast(&child::end, why);
  p.expect_down(who);
  s.call(&kv::supervisor::which_children);
}

/// A child whose start fails when the number of the attempt is among these.
kv::child_spec failing_at(kv::pid test, const std::string& id, const std::vector<int>& attempts,
                          const std::shared_ptr<std::atomic<int>>& count) {
  return kv::worker(id, [=] {
    if (std::ranges::find(attempts, ++*count) != attempts.end()) throw std::runtime_error("not this time");
    return kv::spawn_link<child>(test, id).id();
  });
}

}  // namespace

TEST_CASE("a child is restarted as its kind and its end demand") {
  const kv::exit_reason crash = kv::exit_reason::custom("fire");
  const kv::exit_reason tidy = kv::exit_reason::shutdown_because("done");
  struct row {
    restart when;
    kv::exit_reason why;
    bool restarted;
    bool remembered;
  };
  for (const auto& [when, why, restarted, remembered] : std::initializer_list<row>{
           {restart::permanent, kv::exit_reason::normal, true, true},
           {restart::permanent, kv::exit_reason::shutdown, true, true},
           {restart::permanent, crash, true, true},
           {restart::transient, kv::exit_reason::normal, false, true},
           {restart::transient, kv::exit_reason::shutdown, false, true},
           {restart::transient, tidy, false, true},
           {restart::transient, kv::exit_reason::killed, true, true},
           {restart::transient, crash, true, true},
           {restart::temporary, kv::exit_reason::normal, false, false},
           {restart::temporary, crash, false, false},
       }) {
    CAPTURE(static_cast<int>(when));
    CAPTURE(to_string(why));
    reports seen;
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    probe p(runtime);
    const auto s = supervise(runtime, {spec_of(p, "it", when), spec_of(p, "sibling")});
    const auto it = info_of(s, "it").who;
    const auto sibling = info_of(s, "sibling").who;
    end_child(p, runtime, s, it, why);
    const auto now = info_of(s, "it");
    CHECK((now.id == "it") == remembered);
    CHECK(runtime.alive(now.who) == restarted);
    CHECK(now.restarts == (restarted ? 1 : 0));
    CHECK(info_of(s, "sibling").who == sibling);
    const auto told = seen.all<kv::restart_report>();
    REQUIRE(told.size() == (restarted ? 1 : 0));
    if (!restarted) continue;
    CHECK(told[0].old_pid == it);
    CHECK(told[0].new_pid == now.who);
    CHECK(told[0].reason == why);
  }
}

TEST_CASE("a strategy decides which siblings go along, down in reverse and up in order") {
  struct row {
    strategy how;
    std::string victim;
    ids down, up;
  };
  for (const auto& [how, victim, down, up] : std::initializer_list<row>{
           {strategy::one_for_one, "a", {"a"}, {"a"}},
           {strategy::one_for_one, "c", {"c"}, {"c"}},
           {strategy::one_for_all, "a", {"a", "c", "b"}, {"a", "b", "c"}},
           {strategy::one_for_all, "b", {"b", "c", "a"}, {"a", "b", "c"}},
           {strategy::one_for_all, "c", {"c", "b", "a"}, {"a", "b", "c"}},
           {strategy::rest_for_one, "a", {"a", "c", "b"}, {"a", "b", "c"}},
           {strategy::rest_for_one, "b", {"b", "c"}, {"b", "c"}},
           {strategy::rest_for_one, "c", {"c"}, {"c"}},
       }) {
    CAPTURE(static_cast<int>(how));
    CAPTURE(victim);
    reports seen;
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    probe p(runtime);
    const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b"), spec_of(p, "c")}, how);
    expect_ids<started>(p, 3);
    kill_and_await(runtime, info_of(s, victim).who);
    CHECK(expect_ids<started>(p, up.size()) == up);
    CHECK(expect_ids<stopped>(p, down.size()) == down);
    for (const auto& c : s.call(&kv::supervisor::which_children)) CHECK(runtime.alive(c.who));
    CHECK_FALSE(p.has<started>());
    CHECK_FALSE(p.has<stopped>());
  }
}

TEST_CASE("a temporary sibling goes along and does not come back") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "guest", restart::temporary)}, strategy::one_for_all);
  expect_ids<started>(p, 2);
  kill_and_await(runtime, info_of(s, "a").who);
  CHECK(expect_ids<stopped>(p, 2) == ids{"a", "guest"});
  CHECK(s.call(&kv::supervisor::which_children).size() == 1);
  CHECK(expect_ids<started>(p, 1) == ids{"a"});
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("two children that die at the same time are restarted together once") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")}, strategy::one_for_all, 1);
  expect_ids<started>(p, 2);
  {
    const auto a = info_of(s, "a").who;
    const auto b = info_of(s, "b").who;
    kv::testing::suspended frozen(runtime, s);
    kill_and_await(runtime, a);
    kill_and_await(runtime, b);
  }
  CHECK(info_of(s, "a").restarts == 1);
  CHECK(info_of(s, "b").restarts == 1);
  CHECK(expect_ids<started>(p, 2) == ids{"a", "b"});
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("one restart too many and the supervisor stops its children, reports and ends with shutdown") {
  for (const unsigned limit : {0U, 1U, 3U}) {
    CAPTURE(limit);
    reports seen;
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    probe p(runtime);
    const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "weak"), spec_of(p, "z")}, {}, limit);
    p.monitor(s);
    expect_ids<started>(p, 1);
    auto weak = p.expect<started>().who;
    expect_ids<started>(p, 1);
    for (unsigned i = 0; i < limit; ++i) {
      kill_and_await(runtime, weak);
      weak = p.expect<started>().who;
      p.expect<stopped>();
    }
    CHECK(runtime.alive(s));
    kill_and_await(runtime, weak);
    CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
    CHECK(expect_ids<stopped>(p, 3) == ids{"weak", "z", "a"});
    CHECK_FALSE(p.has<started>());
    const auto told = seen.all<kv::give_up_report>();
    REQUIRE(told.size() == 1);
    CHECK(told[0].supervisor == s.id());
    CHECK(told[0].child == "weak");
    CHECK(told[0].restarts == limit);
    CHECK(told[0].reason == kv::exit_reason::killed);
    CHECK(seen.all<kv::crash_report>().empty());
  }
}

TEST_CASE("a supervisor that gives up is itself restarted by the one above") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto inner = kv::supervisor_child("inner", [to = p.id()] {
    const auto init = [to] { return specs{spec_of(to, "weak")}; };
    const kv::supervisor_options options{.max_restarts = 0, .period = long_period};
    return kv::spawn_link<kv::supervisor>(options, init).id();
  });
  const auto s = supervise(runtime, {inner});
  kill_and_await(runtime, p.expect<started>().who);
  CHECK(runtime.alive(p.expect<started>().who));
  CHECK(info_of(s, "inner").restarts == 1);
}

TEST_CASE("a restart that fails is tried again, and each attempt counts") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto s = supervise(runtime, {failing_at(p, "weak", {2, 3}, count)}, {}, 3);
  kill_and_await(runtime, p.expect<started>().who);
  const auto again = p.expect<started>().who;
  CHECK(info_of(s, "weak").who == again);
  const auto told = seen.all<kv::restart_report>();
  REQUIRE(told.size() == 3);
  CHECK_FALSE(told[0].new_pid);
  CHECK(told[0].reason == kv::exit_reason::killed);
  CHECK_FALSE(told[1].new_pid);
  CHECK(told[1].reason.text() == "not this time");
  CHECK(told[2].new_pid == again);
  p.monitor(s);
  kill_and_await(runtime, again);  // the fourth end within the period
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
}

TEST_CASE("a restart that always fails makes the supervisor give up") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto s = supervise(runtime, {spec_of(p, "a"), failing_at(p, "weak", {2, 3, 4, 5, 6}, count)}, {}, 3);
  p.monitor(s);
  expect_ids<started>(p, 1);
  kill_and_await(runtime, p.expect<started>().who);
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
  CHECK(*count == 4);  // the start and three restarts
  CHECK(expect_ids<stopped>(p, 2) == ids{"weak", "a"});
}

TEST_CASE("a restart of all that fails half-way begins again with the first") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto s =
      supervise(runtime, {spec_of(p, "a"), failing_at(p, "b", {2}, count), spec_of(p, "c")}, strategy::one_for_all);
  expect_ids<started>(p, 3);
  kill_and_await(runtime, info_of(s, "c").who);
  CHECK(expect_ids<started>(p, 4) == ids{"a", "a", "b", "c"});
  CHECK(expect_ids<stopped>(p, 4) == ids{"c", "b", "a", "a"});
  for (const auto& c : s.call(&kv::supervisor::which_children)) CHECK(runtime.alive(c.who));
}

TEST_CASE("a restart of the rest that fails half-way leaves those before alone and starts those after") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto s =
      supervise(runtime, {spec_of(p, "a"), failing_at(p, "b", {2}, count), spec_of(p, "c")}, strategy::rest_for_one);
  expect_ids<started>(p, 3);
  const auto a = info_of(s, "a").who;
  kill_and_await(runtime, info_of(s, "b").who);
  CHECK(expect_ids<started>(p, 2) == ids{"b", "c"});
  CHECK(info_of(s, "a").who == a);
}

TEST_CASE("what is restarted shows how often it was, and its own children begin with none") {
  struct parent : child {
    parent(kv::pid test, const std::string& id)
        : child(test, id), below(kv::spawn_link<child>(test, "below of " + id)) {}
    kv::ref<child> below;
  };
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of<parent>(p, "it")});
  const auto restarts_of = [&](kv::pid who) { return runtime.info(who).value().restarts; };
  for (std::uint32_t count = 0; count < 3; ++count) {
    const auto it = info_of(s, "it").who;
    CHECK(restarts_of(it) == count);
    CHECK(restarts_of(kv::ref<parent>(runtime.core(), it).call([](parent& self) { return self.below.id(); })) == 0);
    kill_and_await(runtime, it);
  }
  const auto late = s.call(&kv::supervisor::start_child, spec_of(p, "late"));
  CHECK(restarts_of(late.who) == 0);
}

}  // namespace supervision_restart_test
