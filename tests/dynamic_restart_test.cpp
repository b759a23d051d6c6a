// Promises under test: a dynamic supervisor restarts the children whose specs say so, each alone; it has no more
// children than it may; what it is asked about a child it answers in all of that child's states.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

#include "children.hpp"
#include "reports.hpp"

namespace dynamic_restart_test {

using namespace std::chrono_literals;
using kv::child_result;
using kv::dynamic_supervisor;
using kv::restart;
using kv::testing::kill_and_await;
using kv::testing::probe;
using code = kv::child_result::code;

namespace {

using dynamic = kv::ref<dynamic_supervisor>;

kv::dynamic_supervisor_options limit_of(unsigned max_restarts) {
  return {.max_restarts = max_restarts, .period = long_period};
}

child_result start(const dynamic& s, const kv::child_spec& spec) {
  return s.call([spec](dynamic_supervisor& self) { return self.start_child(spec); });
}

child_result try_start(const dynamic& s, kv::pid test, const std::string& id) {
  return s.call([=](dynamic_supervisor& self) { return self.try_start_child<child>(test, id); });
}

kv::child_info only_child(const dynamic& s) {
  const auto all = s.call(&dynamic_supervisor::which_children);
  REQUIRE(all.size() == 1);
  return all[0];
}

/// A child that starts once, and then fails `failures` times.
kv::child_spec weak(kv::pid test, int failures) {
  const auto count = std::make_shared<std::atomic<int>>(0);
  return kv::worker("weak", [=] {
    const int attempt = ++*count;
    if (attempt > 1 && attempt <= failures + 1) throw std::runtime_error("no flour");
    return kv::spawn_link<child>(test, "weak").id();
  });
}

}  // namespace

TEST_CASE("a child of a dynamic supervisor is restarted as its spec and its end demand") {
  const auto crash = kv::exit_reason::custom("fire");
  struct row {
    restart when;
    kv::exit_reason why;
    bool restarted;
  };
  for (const auto& [when, why, restarted] :
       std::initializer_list<row>{{restart::permanent, kv::exit_reason::normal, true},
                                  {restart::permanent, crash, true},
                                  {restart::transient, kv::exit_reason::shutdown_because("done"), false},
                                  {restart::transient, crash, true},
                                  {restart::temporary, crash, false},
                                  {restart::temporary, kv::exit_reason::normal, false}}) {
    CAPTURE(static_cast<int>(when));
    CAPTURE(to_string(why));
    reports seen;
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    probe p(runtime);
    const auto s = runtime.spawn<dynamic_supervisor>(limit_of(1));
    const auto sibling = try_start(s, p, "sibling").who;
    const auto it = start(s, spec_of(p, "it", when)).who;
    p.monitor(it);
    kv::ref<child>(runtime.core(), it).cast(&child::end, why);
    p.expect_down(it);
    auto left = s.call(&dynamic_supervisor::which_children);
    std::ranges::sort(left, {}, &kv::child_info::id);  // the sibling has none
    REQUIRE(left.size() == (restarted ? 2 : 1));
    CHECK(left[0].who == sibling);
    const auto told = seen.all<kv::restart_report>();
    REQUIRE(told.size() == (restarted ? 1 : 0));
    if (!restarted) continue;
    CHECK(left[1].id == "it");
    CHECK(left[1].who != it);
    CHECK(runtime.alive(left[1].who));
    CHECK(left[1].restarts == 1);
    CHECK(left[1].restart == when);
    CHECK(told[0].child == "it");
    CHECK(told[0].old_pid == it);
    CHECK(told[0].new_pid == left[1].who);
    CHECK(told[0].reason == why);
  }
}

TEST_CASE("a dynamic supervisor gives up after one restart too many, whichever children those were of") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>(limit_of(1));
  p.monitor(s);
  const auto a = start(s, spec_of(p, "a")).who;
  const auto b = start(s, spec_of(p, "b")).who;
  try_start(s, p, "guest");
  kill_and_await(runtime, a);
  kill_and_await(runtime, b);
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 4).size() == 4);
  const auto told = seen.all<kv::give_up_report>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].supervisor == s.id());
  CHECK(told[0].child == "b");
  CHECK(told[0].restarts == 1);
}

TEST_CASE("temporary children of a dynamic supervisor may die as often as they like") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>(limit_of(0));
  for (int i = 0; i < 10; ++i) kill_and_await(runtime, try_start(s, p, "guest").who);
  CHECK(s.call(&dynamic_supervisor::count_children) == kv::child_counts{});
}

TEST_CASE("a restart of a dynamic child that fails is tried again, and each attempt counts") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>(limit_of(3));
  const auto first = start(s, weak(p, 2)).who;
  expect_ids<started>(p, 1);
  kill_and_await(runtime, first);
  const auto again = p.expect<started>().who;
  CHECK(only_child(s).who == again);
  CHECK(only_child(s).restarts == 1);
  const auto history = s.call(&dynamic_supervisor::history);
  REQUIRE(history.size() == 3);
  CHECK(history[0].reason == kv::exit_reason::killed);
  CHECK(history[0].failure.value().text() == "no flour");
  CHECK(history[1].reason.text() == "no flour");
  CHECK(history[2].new_pid == again);
  CHECK_FALSE(history[2].failure);
  for (const auto& event : history) CHECK(event.old_pid == first);

  p.monitor(s);
  kill_and_await(runtime, again);  // the fourth
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
}

TEST_CASE("a dynamic child that is about to be restarted is counted, has no pid and can be terminated by its last") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>(
      kv::dynamic_supervisor_options{.max_children = 1, .max_restarts = 3, .period = long_period});
  const auto first = start(s, weak(p, 100)).who;
  {
    const kv::testing::suspended frozen(runtime, s);
    kill_and_await(runtime, first);
    s.cast([=, to = p.id()](dynamic_supervisor& self) {
      kv::send(to, self.which_children().at(0));
      kv::send(to, self.count_children());
      kv::send(to, self.children().size());
      kv::send(to, self.try_start_child<child>(to, "one too many"));
      kv::send(to, self.terminate_child(first));
      kv::send(to, self.terminate_child(first));
    });
  }
  const auto info = p.expect<kv::child_info>();
  CHECK(info.is_restarting);
  CHECK_FALSE(info.who);
  CHECK(p.expect<kv::child_counts>() == kv::child_counts{.specs = 1, .active = 0, .workers = 1});
  CHECK(p.expect<std::size_t>() == 0);
  CHECK(p.expect<child_result>().what == code::max_children);
  CHECK(p.expect<child_result>() == child_result{});
  CHECK(p.expect<child_result>() == child_result{code::not_found});
  CHECK(s.call(&dynamic_supervisor::count_children) == kv::child_counts{});
  CHECK(seen.all<kv::restart_report>().size() == 1);
  CHECK(seen.all<kv::oddity_report>().empty());  // nobody was there to be stopped
}

TEST_CASE("a dynamic supervisor has no more children than it may, and says how many those are") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>(kv::dynamic_supervisor_options{.max_children = 2});
  const auto a = try_start(s, p, "a").who;
  CHECK(start(s, spec_of(p, "b", restart::temporary)));
  const auto text = "there are 2 children, and no more are allowed";
  const auto third = try_start(s, p, "c");
  CHECK(third.what == code::max_children);
  CHECK(third.reason.text() == text);
  CHECK(start(s, spec_of(p, "c")) == third);
  s.call([=, to = p.id()](dynamic_supervisor& self) {
    CHECK_THROWS_WITH_AS(self.start_child<child>(to, "c"), text, kv::max_children_reached);
  });
  expect_ids<started>(p, 2);
  CHECK_FALSE(p.has<started>());
  kill_and_await(runtime, a);
  CHECK(try_start(s, p, "c"));  // there is room again
  CHECK(try_start(s, p, "d").what == code::max_children);

  const auto none = runtime.spawn<dynamic_supervisor>(kv::dynamic_supervisor_options{.max_children = 0});
  CHECK(try_start(none, p, "a").what == code::max_children);
}

TEST_CASE("terminate_child of a dynamic supervisor stops its child, and nobody else's") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>();
  const auto stranger = runtime.spawn<child>(p.id(), "stranger");
  const auto plain = try_start(s, p, "plain").who;
  const auto kept = start(s, spec_of(p, "kept")).who;
  for (const auto who : {plain, kept}) {
    CHECK(s.call(&dynamic_supervisor::terminate_child, who) == child_result{});
    CHECK_FALSE(runtime.alive(who));
    CHECK(s.call(&dynamic_supervisor::terminate_child, who) == child_result{code::not_found});
  }
  CHECK(expect_ids<stopped>(p, 2) == ids{"plain", "kept"});
  CHECK(s.call(&dynamic_supervisor::terminate_child, stranger) == child_result{code::not_found});
  CHECK(s.call(&dynamic_supervisor::terminate_child, kv::pid{}) == child_result{code::not_found});
  CHECK(stranger.alive());
  CHECK(s.call(&dynamic_supervisor::count_children) == kv::child_counts{});
}

TEST_CASE("a dynamic supervisor answers what it cannot start, and lives on") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  struct fails_to_start {
    fails_to_start() { throw std::runtime_error("no oven"); }
  };
  const auto s = runtime.spawn<dynamic_supervisor>();
  const auto by_class = s.call([](dynamic_supervisor& self) { return self.try_start_child<fails_to_start>(); });
  CHECK(by_class.what == code::failed);
  CHECK(by_class.reason.text() == "no oven");
  const auto by_spec = start(s, kv::worker("bad", []() -> kv::pid { throw 17; }));
  CHECK(by_spec.what == code::failed);
  CHECK(by_spec.reason.text() == "unknown exception");
  CHECK(start(s, kv::worker("shy", [] { return kv::ignore; })) == child_result{});
  auto spec = spec_of(p, "it", restart::transient);
  spec.significant = true;
  CHECK(start(s, spec).what == code::invalid);
  spec = spec_of(p, "it");
  spec.start = nullptr;
  CHECK(start(s, spec).what == code::invalid);
  CHECK(s.call(&dynamic_supervisor::count_children) == kv::child_counts{});
}

TEST_CASE("options of a dynamic supervisor that make no sense are refused") {
  kv::runtime runtime({.threads = 1});
  const auto refusal = [&](const kv::dynamic_supervisor_options& options) {
    try {
      runtime.spawn<dynamic_supervisor>(options);
    } catch (const kv::start_error& e) {
      CHECK_THROWS_AS(std::rethrow_exception(e.reason().exception()), std::invalid_argument);
      return std::string(e.reason().text());
    }
    return std::string("taken");
  };
  CHECK(refusal({.stop_within = -1ns}) == "dynamic_supervisor_options::stop_within must be 0 or more");
  CHECK(refusal({.period = 0s}) == "the period of restarts must be more than 0");
  CHECK(refusal({}) == "taken");
}

TEST_CASE("a restart of a dynamic child that says ignore lets it go") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<dynamic_supervisor>();
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto who = start(s, kv::worker("once",
                                       [=, to = p.id()] {
                                         return ++*count == 1 ? kv::spawn_link<child>(to, "once").id() : kv::ignore;
                                       }))
                       .who;
  kill_and_await(runtime, who);
  CHECK(s.call(&dynamic_supervisor::count_children) == kv::child_counts{});
  CHECK(*count == 2);
}

}  // namespace dynamic_restart_test
