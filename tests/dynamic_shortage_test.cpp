// Promises under test: as of supervision_shortage_test.cpp, for dynamic supervisors.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "exploring.hpp"
#include "shortage.hpp"

namespace dynamic_shortage_test {

using namespace std::chrono_literals;
using kv::dynamic_supervisor;

namespace {

constexpr std::size_t kept = 10;

/// A world with a dynamic supervisor, which has children with a spec and as many without.
struct fixture {
  explicit fixture(kv::restart_delay delay = {})
      : s(world.spawn<dynamic_supervisor>(kv::dynamic_supervisor_options{.delay = delay})) {
    for (std::size_t i = 0; i < kept; ++i) {
      first.push_back(s.call(start_one).who);
      guests.push_back(s.call(start_guest).who);
    }
  }

  static kv::child_result start_one(dynamic_supervisor& s) { return s.start_child(shortage::worker_of("it")); }
  static kv::child_result start_guest(dynamic_supervisor& s) { return s.try_start_child<shortage::worker>(); }

  void kill(kv::pid who) {
    world.exit(who, kv::exit_reason::kill);
    world.run_until_idle();
  }
  /// Asks again when that is refused.
  std::vector<kv::child_info> children() {
    try {
      return s.call(&dynamic_supervisor::which_children);
    } catch (const kv::call_error& e) {
      if (e.why() != kv::call_error::code::exited) throw;
      return s.call(&dynamic_supervisor::which_children);
    }
  }
  void check_complete(std::size_t expected) {
    std::size_t running = 0;
    for (const auto& c : children()) {
      CHECK(world.alive(c.who));
      ++running;
    }
    CHECK(running == expected);
    CHECK_MESSAGE(world.process_count() == running + 1, world.processes_and_waits());  // and the supervisor
  }

  reports seen;
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::ref<dynamic_supervisor> s;
  std::vector<kv::pid> first, guests;
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("dynamic children that die while memory is exhausted come back when it is not" * doctest::skip(sanitized)) {
  fixture f;
  f.world.exhaust_memory(true);
  for (std::size_t i = 0; i < 5; ++i) {
    f.kill(f.first[i]);
    f.world.advance(10s);
  }
  f.kill(f.guests[0]);
  f.world.advance(10min);
  CHECK(f.s.alive());
  f.world.exhaust_memory(false);
  f.world.advance(1s);
  f.check_complete(2 * kept - 1);
  for (std::size_t i = 5; i < 8; ++i) f.kill(f.first[i]);
  f.check_complete(2 * kept - 1);
  f.kill(f.first[8]);
  CHECK_FALSE(f.s.alive());  // as many as ever
}

TEST_CASE("one death of a dynamic child counts once, and is reported once, until the restart works") {
  fixture f;
  const auto is_short = std::make_shared<bool>(false);
  const auto weak = f.s.call([=](dynamic_supervisor& s) {
    return s.start_child(kv::worker("weak", [=] {
      if (*is_short) throw kv::system_limit("no more of it");
      return kv::spawn_link<shortage::worker>().id();
    }));
  });
  *is_short = true;
  f.kill(weak.who);
  f.world.advance(5min);
  REQUIRE(f.seen.all<kv::restart_report>().size() == 1);
  CHECK_FALSE(f.seen.all<kv::restart_report>()[0].new_pid);
  f.kill(f.first[0]);  // which lacks nothing
  CHECK(f.s.call(&dynamic_supervisor::children).size() == 2 * kept);
  *is_short = false;
  f.world.advance(100ms);
  f.check_complete(2 * kept + 1);
  CHECK(f.seen.all<kv::restart_report>().size() == 3);
  CHECK_FALSE(f.world.fire_next_timer());  // nothing is tried any more
}

TEST_CASE("a delay of a dynamic child is kept, also where there is no memory to wait for it" *
          doctest::skip(sanitized)) {
  fixture f({.first = 10s, .factor = 1, .most = 10s, .jitter = 0});
  f.world.exhaust_memory(true);
  f.kill(f.first[0]);
  f.world.advance(1s);
  f.world.exhaust_memory(false);
  f.world.advance(8s);
  CHECK(f.s.call(&dynamic_supervisor::children).size() == 2 * kept - 1);
  f.world.advance(1s);
  f.check_complete(2 * kept);
}

TEST_CASE("whichever allocation of a dynamic supervisor is refused, everybody is known, and comes back" *
          doctest::skip(sanitized)) {
  unsigned nth = 1;
  for (bool refused = true; refused; ++nth) {
    CAPTURE(nth);
    fixture f;
    f.world.refuse_allocation(f.s, nth);
    std::size_t more = 0;
    for (const auto start : {fixture::start_one, fixture::start_guest}) {
      try {
        if (f.s.call(start)) ++more;
      } catch (const kv::call_error& e) {
        CHECK(e.why() == kv::call_error::code::exited);
      }
      f.world.run_until_idle();
      f.check_complete(2 * kept + more);
    }
    f.kill(f.first[0]);
    f.world.advance(1s);
    f.kill(f.first[1]);
    f.world.advance(1s);
    REQUIRE(f.s.alive());
    refused = !shortage::may_yet_be_refused(f.world, [&] { f.s.call(&dynamic_supervisor::count_children); });
    f.check_complete(2 * kept + more);
  }
  CHECK(nth > 10);
}

TEST_CASE("a dynamic supervisor that is told to end while memory is exhausted leaves no child" *
          doctest::skip(sanitized)) {
  fixture f;
  f.world.exhaust_memory(true);
  f.kill(f.first[0]);
  f.world.exit(f.s, kv::exit_reason::shutdown);
  f.world.run_until_idle();
  CHECK_MESSAGE(f.world.process_count() == 0, f.world.processes_and_waits());
  f.world.exhaust_memory(false);
}

TEST_CASE("whichever allocation is refused while a dynamic supervisor stops its children, it leaves no child" *
          doctest::skip(sanitized)) {
  for (unsigned nth = 1; nth < 100; ++nth) {
    CAPTURE(nth);
    fixture f;
    f.world.refuse_allocation(f.s, nth);
    f.world.exit(f.s, kv::exit_reason::shutdown);
    f.world.run_until_idle();
    CHECK_MESSAGE(f.world.process_count() == 0, f.world.processes_and_waits());
  }
}

TEST_SUITE_END();

}  // namespace dynamic_shortage_test
