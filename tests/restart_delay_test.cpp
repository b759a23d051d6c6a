// Promises under test: restarts wait as long as the policy says, longer each time, until a child has kept for a while;
// what has to be down meanwhile is down, requests get OTP's answers, and what is cancelled never happens.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

#include <kv/simulation.hpp>

#include "children.hpp"

namespace restart_delay_test {

using namespace std::chrono_literals;
using kv::child_result;
using kv::restart_delay;
using kv::strategy;
using kv::supervisor;
using kv::testing::probe;
using code = kv::child_result::code;

namespace {

/// 1 s, 2 s, 4 s, 8 s, 10 s, 10 s; and again from 1 s after 20 s of life.
constexpr restart_delay steady{.first = 1s, .factor = 2, .most = 10s, .jitter = 0, .stable_after = 20s};

/// A world in which a supervisor delays its restarts.
struct fixture {
  explicit fixture(strategy how = {}, restart_delay delay = steady, unsigned max_restarts = 100)
      : options{.strategy = how, .max_restarts = max_restarts, .period = long_period, .delay = delay} {}

  void start(const specs& children) {
    s = world.spawn<supervisor>(options, [=] { return children; });
    expect_ids<started>(p, children.size());
  }
  void kill(const std::string& id) {
    world.exit(info_of(s, id).who, kv::exit_reason::kill);
    world.run_until_idle();
  }
  bool is_up(const std::string& id) { return world.alive(info_of(s, id).who); }
  bool is_restarting(const std::string& id) { return info_of(s, id).is_restarting; }
  /// Returns who starts within that time, and not before its end.
  ids started_after(std::chrono::nanoseconds time) {
    world.advance(time - 1ns);
    CHECK_FALSE(p.has<started>());
    world.advance(1ns);
    ids result;
    while (const auto news = p.run([] { return kv::receive_for<started>(0s); })) result.push_back(news->id);
    return result;
  }

  kv::supervisor_options options;
  kv::simulation world{{.runtime = {.on_report = [](const kv::report&) {}}}};
  probe p{world};
  kv::ref<supervisor> s;
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a child is down until its delay is over, and its sibling is not") {
  fixture f;
  f.start({spec_of(f.p, "it"), spec_of(f.p, "sibling")});
  const auto sibling = info_of(f.s, "sibling").who;
  for (const auto delay : {1s, 2s, 4s}) {
    f.kill("it");
    CHECK(f.is_restarting("it"));
    CHECK_FALSE(info_of(f.s, "it").who);
    CHECK(f.s.call(&supervisor::count_children).active == 1);
    CHECK(f.started_after(delay) == ids{"it"});
    CHECK(f.is_up("it"));
    CHECK_FALSE(f.is_restarting("it"));
  }
  f.world.advance(20s);  // long enough to be a new case
  f.kill("it");
  CHECK(f.started_after(1s) == ids{"it"});
  CHECK(info_of(f.s, "sibling").who == sibling);
  CHECK(info_of(f.s, "it").restarts == 4);
}

TEST_CASE("starts that fail are further apart each time") {
  fixture f;
  const auto count = std::make_shared<int>(0);
  const auto weak = kv::worker("weak", [=, to = f.p.id()] {
    if (++*count > 1 && *count < 5) throw std::runtime_error("no flour");
    return kv::spawn_link<child>(to, "weak").id();
  });
  f.start({weak});
  f.kill("weak");
  CHECK(f.started_after(1s).empty());
  CHECK(*count == 2);
  CHECK(f.is_restarting("weak"));
  CHECK(f.started_after(2s).empty());
  CHECK(f.started_after(4s).empty());
  CHECK(f.started_after(8s) == ids{"weak"});
  const auto history = f.s.call(&supervisor::history);
  REQUIRE(history.size() == 4);
  for (std::size_t i = 1; i < 4; ++i) CHECK(history[i].when - history[i - 1].when == 1s * (1 << i));
}

TEST_CASE("one_for_all: the siblings are down for as long as the delay, and come up in order") {
  fixture f(strategy::one_for_all);
  f.start({spec_of(f.p, "a"), spec_of(f.p, "it"), spec_of(f.p, "z"), spec_of(f.p, "guest", kv::restart::temporary)});
  f.kill("it");
  CHECK(expect_ids<stopped>(f.p, 4) == ids{"it", "guest", "z", "a"});
  for (const auto* const id : {"a", "it", "z"}) {
    CHECK_FALSE(info_of(f.s, id).who);
    CHECK(f.is_restarting(id) == (std::string(id) == "it"));
  }
  CHECK(f.s.call(&supervisor::count_children) == kv::child_counts{.specs = 3, .active = 0, .workers = 3});
  CHECK(f.started_after(1s) == ids{"a", "it", "z"});
}

TEST_CASE("rest_for_one: those before go on, those after are down for as long as the delay") {
  fixture f(strategy::rest_for_one);
  f.start({spec_of(f.p, "a"), spec_of(f.p, "it"), spec_of(f.p, "z")});
  f.kill("it");
  CHECK(expect_ids<stopped>(f.p, 2) == ids{"it", "z"});
  CHECK(f.is_up("a"));
  CHECK_FALSE(f.is_up("z"));
  CHECK(f.started_after(1s) == ids{"it", "z"});
}

TEST_CASE("one_for_all: a start that fails half-way takes those before down again until it is tried again") {
  fixture f(strategy::one_for_all);
  const auto count = std::make_shared<int>(0);
  const auto weak = kv::worker("weak", [=, to = f.p.id()] {
    if (++*count == 2) throw std::runtime_error("no flour");
    return kv::spawn_link<child>(to, "weak").id();
  });
  f.start({spec_of(f.p, "a"), weak, spec_of(f.p, "z")});
  f.kill("z");
  f.world.advance(1s);
  CHECK(expect_ids<started>(f.p, 1) == ids{"a"});
  CHECK(expect_ids<stopped>(f.p, 4) == ids{"z", "weak", "a", "a"});
  CHECK(f.is_restarting("weak"));
  CHECK_FALSE(f.is_restarting("z"));
  CHECK(f.started_after(1s) == ids{"a", "weak", "z"});  // the first attempt of its own
}

TEST_CASE("requests during a delay are answered as OTP's supervisor answers them while it restarts") {
  fixture f;
  f.start({spec_of(f.p, "it")});
  f.kill("it");
  CHECK(f.s.call(&supervisor::start_child, spec_of(f.p, "it")) == child_result{code::already_present});
  CHECK(f.s.call(&supervisor::restart_child, "it") == child_result{code::restarting});
  CHECK(f.s.call(&supervisor::delete_child, "it") == child_result{code::restarting});
  CHECK(f.started_after(1s) == ids{"it"});  // none of that has changed anything
}

TEST_CASE("a child that is terminated during its delay stays down, can be forgotten and started anew") {
  fixture f;
  f.start({spec_of(f.p, "it")});
  f.kill("it");
  CHECK(f.s.call(&supervisor::terminate_child, "it") == child_result{});
  CHECK_FALSE(f.is_restarting("it"));
  CHECK_FALSE(f.world.fire_next_timer());  // nothing is due
  CHECK(f.s.call(&supervisor::restart_child, "it"));
  CHECK(expect_ids<started>(f.p, 1) == ids{"it"});
  f.kill("it");
  CHECK(f.started_after(1s) == ids{"it"});  // somebody started it: a new case
  f.kill("it");
  f.s.call(&supervisor::terminate_child, "it");
  CHECK(f.s.call(&supervisor::delete_child, "it") == child_result{});
  CHECK(f.s.call(&supervisor::start_child, spec_of(f.p, "it")));
  f.world.advance(1h);
  CHECK(f.is_up("it"));
  CHECK(expect_ids<started>(f.p, 1) == ids{"it"});
  CHECK_FALSE(f.p.has<started>());
}

TEST_CASE("siblings that went down for a delayed restart come back at once when it is cancelled") {
  fixture f(strategy::one_for_all);
  f.start({spec_of(f.p, "a"), spec_of(f.p, "it"), spec_of(f.p, "z")});
  f.kill("it");
  CHECK(f.s.call(&supervisor::terminate_child, "it"));
  CHECK(expect_ids<started>(f.p, 2) == ids{"a", "z"});
  CHECK_FALSE(f.is_up("it"));
  f.world.advance(1h);
  CHECK_FALSE(f.p.has<started>());
}

TEST_CASE("children that are started during the delay of all are there at once, and restarted with the others") {
  fixture f(strategy::one_for_all);
  f.start({spec_of(f.p, "a"), spec_of(f.p, "it")});
  f.kill("it");
  CHECK(f.s.call(&supervisor::start_child, spec_of(f.p, "late")));
  CHECK(f.s.call(&supervisor::restart_child, "a"));
  CHECK(expect_ids<started>(f.p, 2) == ids{"late", "a"});
  CHECK(f.is_up("late"));
  CHECK(f.is_up("a"));
  CHECK(f.started_after(1s) == ids{"a", "it", "late"});
}

TEST_CASE("a sibling that waits for another's delay can be stopped and forgotten") {
  fixture f(strategy::one_for_all);
  f.start({spec_of(f.p, "a"), spec_of(f.p, "it"), spec_of(f.p, "z")});
  f.kill("it");
  CHECK(f.s.call(&supervisor::delete_child, "z") == child_result{});
  CHECK(f.s.call(&supervisor::start_child, spec_of(f.p, "a")) == child_result{code::already_present});
  CHECK(f.started_after(1s) == ids{"a", "it"});
}

TEST_CASE("a supervisor that is told to end during a delay does so at once, and nothing is started any more") {
  fixture f;
  f.start({spec_of(f.p, "it")});
  f.kill("it");
  const auto begin = f.world.now();
  CHECK(shut_down(f.p, f.world, f.s) == kv::exit_reason::shutdown);
  CHECK(f.world.now() == begin);
  f.world.advance(1h);
  CHECK_FALSE(f.p.has<started>());
  CHECK(f.world.process_count() == 0);
}

TEST_CASE("an earlier sibling that dies during a delay takes its place, also when that was just over") {
  for (const bool is_over : {false, true}) {
    CAPTURE(is_over);
    fixture f(strategy::rest_for_one);
    f.start({spec_of(f.p, "a"), spec_of(f.p, "it")});
    f.kill("it");
    const auto a = info_of(f.s, "a").who;
    f.world.suspend(f.s);
    f.world.exit(a, kv::exit_reason::kill);
    if (is_over) f.world.advance(1s);  // behind the news of that death stands now that it is time
    f.world.resume(f.s);
    f.world.run_until_idle();
    CHECK(f.is_restarting("a"));
    CHECK_FALSE(f.is_restarting("it"));
    CHECK(f.started_after(1s) == ids{"a", "it"});
    f.world.advance(1h);
    CHECK_FALSE(f.p.has<started>());
  }
}

TEST_CASE("a delayed restart counts as any other") {
  fixture f({}, steady, 2);
  f.start({spec_of(f.p, "it")});
  f.p.monitor(f.s);
  for (const auto delay : {1s, 2s}) {
    f.kill("it");
    CHECK(f.started_after(delay) == ids{"it"});
  }
  f.kill("it");
  CHECK(f.p.expect_down(f.s).reason == kv::exit_reason::shutdown);
}

TEST_CASE("children that die at the same moment do not all come back at the same") {
  fixture f({}, {.first = 1s, .jitter = 0.5});
  f.start({spec_of(f.p, "a"), spec_of(f.p, "b")});
  f.kill("a");
  f.kill("b");
  const auto first = f.world.fire_next_timer().value();
  f.world.run_until_idle();
  CHECK(first > 500ms);
  CHECK(first <= 1s);
  CHECK(f.is_up("a") != f.is_up("b"));
  CHECK(f.world.fire_next_timer().value() + first <= 1s);
  f.world.run_until_idle();
  CHECK(f.is_up("a"));
  CHECK(f.is_up("b"));
}

TEST_CASE("a dynamic child is delayed, and its restart can be cancelled by the pid that it had") {
  fixture f;
  const auto s = f.world.spawn<kv::dynamic_supervisor>(
      kv::dynamic_supervisor_options{.max_restarts = 100, .period = long_period, .delay = steady});
  const auto start = [&](const kv::child_spec& spec) {
    return s.call([spec](kv::dynamic_supervisor& self) { return self.start_child(spec); }).who;
  };
  auto it = start(spec_of(f.p, "it"));
  f.p.expect<started>();
  for (const auto delay : {1s, 2s}) {
    f.world.exit(it, kv::exit_reason::kill);
    f.world.run_until_idle();
    const auto info = s.call(&kv::dynamic_supervisor::which_children).at(0);
    CHECK(info.is_restarting);
    CHECK_FALSE(info.who);
    CHECK(f.started_after(delay) == ids{"it"});
    it = s.call(&kv::dynamic_supervisor::children).at(0);
  }
  f.world.exit(it, kv::exit_reason::kill);
  f.world.run_until_idle();
  CHECK(s.call(&kv::dynamic_supervisor::terminate_child, it) == child_result{});
  CHECK_FALSE(f.world.fire_next_timer());
  CHECK(s.call(&kv::dynamic_supervisor::count_children) == kv::child_counts{});
  CHECK_FALSE(f.p.has<started>());
}

TEST_SUITE_END();

}  // namespace restart_delay_test
