// Promises under test: a ghost keeps what it was given for exactly its time after the end of its target, whatever that
// died of; a target that comes back stops the clock.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/ghost.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "owners.hpp"

namespace ghost_test {

using kv::testing::kill_and_await;
using kv::testing::probe;
using namespace std::chrono_literals;

namespace {

using words = kv::ghost<std::string>;

/// What a ghost said at its end.
struct said {
  std::string words;
};

/// A target, and its ghost that stays a minute.
struct scene {
  kv::simulation world{{.runtime = {.on_report = [](const kv::report&) {}}}};
  probe p{world};
  kv::ref<blank> target = world.spawn<blank>();
  kv::ref<words> ghost = haunt(1min);

  kv::ref<words> haunt(std::chrono::nanoseconds grace) {
    return kv::haunt(world, target, grace, std::string("milk"),
                     [to = p.id()](const std::string& state) { kv::send(to, said{state}); });
  }
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a ghost lives on for its time, to the nanosecond, whatever its target died of") {
  const std::vector<void (*)(blank&)> ends{[](blank&) { kv::exit(kv::exit_reason::normal); },
                                           [](blank&) { kv::exit(kv::exit_reason::shutdown); },
                                           [](blank&) { throw std::runtime_error("no flour"); },
                                           [](blank&) { kv::exit(kv::self(), kv::exit_reason::kill); }};
  for (const auto end : ends) {
    scene s;
    s.world.advance(1h);
    CHECK(s.ghost.alive());
    CHECK_FALSE(s.ghost.call(&words::end_of_target));
    s.p.monitor(s.ghost);
    s.target.cast(end);
    s.world.advance(1min - 1ns);
    CHECK(s.ghost.call(&words::get) == "milk");
    CHECK(s.ghost.call(&words::end_of_target).has_value());
    CHECK_FALSE(s.p.has<said>());
    s.world.advance(1ns);
    CHECK(s.p.expect<said>().words == "milk");
    CHECK(s.p.expect_down(s.ghost).reason == kv::exit_reason::normal);
  }
}

TEST_CASE("what a ghost holds is set and changed, before and after the end") {
  scene s;
  CHECK(s.ghost.call(&words::get) == "milk");
  s.ghost.call(&words::set, "eggs");
  kill_and_await(s.world, s.target);
  CHECK(s.ghost.call(&words::update, [](std::string old) { return old + " and flour"; }) == "eggs and flour");
  s.world.advance(1min);
  CHECK(s.p.expect<said>().words == "eggs and flour");
}

TEST_CASE("a target can leave its last words to its ghost") {
  struct speaker {
    kv::ref<words> ghost;
    void haunt() { ghost = kv::haunt(kv::self(), 1min, std::string("silence")); }
    void on_exit(const kv::exit_reason&) { ghost.cast(&words::set, "last words"); }
  };
  scene s;
  const auto who = s.world.spawn<speaker>();
  who.call(&speaker::haunt);
  const auto ghost = who.call([](speaker& state) { return state.ghost; });
  who.stop();
  CHECK(ghost.call(&words::get) == "last words");
  CHECK(ghost.call(&words::target) == who.id());
}

TEST_CASE("a ghost of somebody dead begins to fade at once") {
  scene s;
  kill_and_await(s.world, s.target);
  s.world.advance(1min);
  CHECK_FALSE(s.ghost.alive());
  const auto late = s.haunt(1s);
  s.world.advance(1s - 1ns);
  CHECK(late.call(&words::end_of_target) == kv::exit_reason::noproc);
  s.world.advance(1ns);
  CHECK_FALSE(late.alive());
}

TEST_CASE("no time is as good as any, but for less than none") {
  scene s;
  const auto brief = s.haunt(0ns);
  const auto eternal = s.haunt(kv::infinity);
  CHECK_THROWS_WITH_AS(s.haunt(-1ns), doctest::Contains("the grace period is -1 ns"), kv::start_error);
  s.world.run_until_idle();
  CHECK(brief.alive());
  kill_and_await(s.world, s.target);
  s.world.run_until_idle();
  CHECK_FALSE(brief.alive());
  s.world.advance(24h * 365);
  CHECK(eternal.alive());
}

TEST_CASE("a target that comes back stops the clock, and its end starts it anew") {
  scene s;
  kill_and_await(s.world, s.target);
  s.world.advance(1min - 1ns);
  const auto again = s.world.spawn<blank>();
  s.ghost.call(&words::follow, again.id());
  CHECK(s.ghost.call(&words::target) == again.id());
  CHECK_FALSE(s.ghost.call(&words::end_of_target));
  s.world.advance(1h);
  CHECK(s.ghost.alive());
  CHECK_FALSE(s.p.has<said>());
  kill_and_await(s.world, again);
  s.world.advance(1min - 1ns);
  CHECK(s.ghost.alive());
  s.world.advance(1ns);
  CHECK_FALSE(s.ghost.alive());
  CHECK(s.p.has<said>());
}

TEST_CASE("who comes back in the very moment in which the time is over still finds the ghost") {
  scene s;
  kill_and_await(s.world, s.target);
  s.world.advance(1s);
  s.world.suspend(s.ghost);
  s.ghost.cast(&words::follow, s.world.spawn<blank>().id());
  s.world.advance(59s);  // the message that its time is over stands behind that
  s.world.resume(s.ghost);
  s.world.run_until_idle();
  CHECK(s.ghost.alive());
  CHECK_FALSE(s.p.has<said>());
}

TEST_CASE("a ghost that follows somebody else is not touched by the end of the first") {
  scene s;
  const auto other = s.world.spawn<blank>();
  s.ghost.call(&words::follow, other.id());
  kill_and_await(s.world, s.target);
  s.world.advance(1h);
  CHECK(s.ghost.alive());
}

TEST_CASE("a table whose heir is a ghost lasts as long as that") {
  scene s;
  auto t = make_table(s.world, {.owner = s.target});
  const auto keeper = kv::haunt(s.world, s.target, 1min, t);
  s.target.call([t, keeper](blank&) mutable { t.set_heirs({keeper.id()}); });
  kill_and_await(s.world, s.target);
  s.world.advance(1min - 1ns);
  CHECK(t.owner() == keeper.id());
  CHECK(is_whole(keeper.call(&kv::ghost<numbers>::get)));
  s.world.advance(1ns);
  CHECK(is_gone(t));
}

TEST_CASE("a ghost that is killed says nothing") {
  scene s;
  kill_and_await(s.world, s.target);
  kill_and_await(s.world, s.ghost);
  s.world.advance(1h);
  CHECK_FALSE(s.p.has<said>());
}

TEST_SUITE_END();

}  // namespace ghost_test
