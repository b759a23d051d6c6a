// Promises under test: want of a resource that all share never ends a supervisor, never uses up its restarts, and leaves
// no child that it does not know of or wrongly believes alive; what it cannot do now it does when it can.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <vector>

#include "exploring.hpp"
#include "shortage.hpp"

namespace supervision_shortage_test {

using namespace std::chrono_literals;
using namespace shortage;
using kv::child_result;

namespace {

/// What a start function may throw for want of a resource.
const std::vector<std::function<void()>> shortages{
    [] { throw std::bad_alloc(); },
    [] { throw kv::system_limit("no more of it"); },
    [] { throw kv::out_of_stacks("no stack"); },
    [] { throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)); },
    [] { throw std::system_error(std::make_error_code(std::errc::not_enough_memory)); },
    [] {
      struct fails {
        fails() { throw std::bad_alloc(); }
      };
      kv::spawn_link<fails>();
    },
    [] {
      kv::spawn_link<supervisor>(kv::supervisor_options{}, [] {
        return specs{kv::worker("inner", []() -> kv::pid { throw std::bad_alloc(); })};
      });
    },
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("children that die while memory is exhausted come back when it is not, and no restart is used up" *
          doctest::skip(sanitized)) {
  for (const auto how : strategies) {
    CAPTURE(static_cast<int>(how));
    fixture f(how);
    const auto before = f.pids();
    f.world.exhaust_memory(true);
    for (const int i : {5, 4, 3, 2, 1}) {
      f.kill(before[static_cast<std::size_t>(i)]);
      f.world.advance(10s);
    }
    f.world.advance(10min);
    CHECK(f.s.alive());
    CHECK(f.world.alive(before[0]) == (how != strategy::one_for_all));
    f.world.exhaust_memory(false);
    f.world.advance(1s);
    f.check_complete();
    CHECK((f.pid_of("a") == before[0]) == (how != strategy::one_for_all));
    for (int i = 0; i < 3; ++i) {
      f.kill(f.pid_of("c"));
      f.check_complete();
    }
    f.kill(f.pid_of("c"));
    CHECK_FALSE(f.s.alive());  // as many as ever
  }
}

TEST_CASE("one death counts once, however often its restart fails for want of a resource") {
  for (const auto& fails : shortages) {
    for (const auto how : strategies) {
      CAPTURE(static_cast<int>(how));
      const auto is_short = std::make_shared<bool>(false);
      auto children = workers();
      children[2].start = [=, start = children[2].start] {
        if (*is_short) fails();
        return start();
      };
      fixture f(how, children);
      const auto before = f.pids();
      *is_short = true;
      f.kill(before[2]);
      f.world.advance(1min);
      f.check_known();
      CHECK(f.info("c").is_restarting);
      CHECK(f.s.call(&supervisor::restart_child, "c").what == child_result::code::restarting);
      CHECK((f.pid_of("b") == before[1]) == (how != strategy::one_for_all));
      CHECK(static_cast<bool>(f.pid_of("d")) == (how == strategy::one_for_one));
      CHECK(f.seen.all<kv::give_up_report>().empty());
      const auto reported = f.seen.all<kv::restart_report>().size();
      f.world.advance(1min);
      CHECK(f.seen.all<kv::restart_report>().size() == reported);
      *is_short = false;
      f.world.advance(100ms);
      f.check_complete();
      CHECK(f.seen.all<kv::restart_report>().size() > reported);
      CHECK(f.seen.all<kv::restart_report>().back().new_pid);
      CHECK(f.info("c").restarts == 1);
      CHECK_FALSE(f.world.fire_next_timer());  // nothing is tried any more
    }
  }
}

TEST_CASE("a restart that fails for want of a resource is tried again every 100 ms") {
  const auto count = std::make_shared<int>(0);
  const auto weak = kv::worker("weak", [=] {
    if (++*count > 1 && *count < 12) throw kv::system_limit("no more of it");
    return kv::spawn_link<worker>().id();
  });
  fixture f({}, {weak});
  f.kill(f.pid_of("weak"));
  for (int tries = 2; tries < 12; ++tries) {
    CHECK(*count == tries);
    f.world.advance(100ms);
  }
  CHECK(f.pid_of("weak"));
}

TEST_CASE("a child that always lacks something keeps no sibling from coming back") {
  auto children = workers();
  const auto is_short = std::make_shared<bool>(false);
  for (const std::size_t i : {0U, 5U}) {
    children[i].start = [is_short, start = children[i].start] {
      if (*is_short) throw std::bad_alloc();
      return start();
    };
  }
  fixture f({}, children);
  *is_short = true;
  const auto before = f.pids();
  f.kill(before[0]);
  f.kill(before[3]);
  CHECK(f.pid_of("d"));
  CHECK_FALSE(f.pid_of("a"));
  f.world.advance(1min);
  CHECK(f.s.alive());
}

TEST_CASE("std::bad_array_new_length and other failures of a start count as ever") {
  const std::vector<std::function<void()>> faults{
      [] { throw std::bad_array_new_length(); },
      [] { throw std::system_error(std::make_error_code(std::errc::permission_denied)); },
      [] { throw std::runtime_error("no flour"); }};
  for (const auto& fails : faults) {
    const auto count = std::make_shared<int>(0);
    const auto weak = kv::worker("weak", [=] {
      if (++*count > 1) fails();
      return kv::spawn_link<worker>().id();
    });
    fixture f({}, {weak});
    f.kill(f.pid_of("weak"));
    CHECK_FALSE(f.s.alive());
  }
}

TEST_CASE("a delay is kept, also where there is no memory to wait for it" * doctest::skip(sanitized)) {
  const kv::restart_delay slow{.first = 10s, .factor = 1, .most = 10s, .jitter = 0};
  for (const auto how : strategies) {
    CAPTURE(static_cast<int>(how));
    fixture f(how, workers(), slow);
    const auto c = f.pid_of("c");
    f.world.exhaust_memory(true);
    f.kill(c);
    f.world.advance(1s);
    f.world.exhaust_memory(false);
    f.world.advance(8s);
    CHECK(f.info("c").is_restarting);
    CHECK(static_cast<bool>(f.pid_of("d")) == (how == strategy::one_for_one));
    f.world.advance(1s);
    f.check_complete();
  }
}

TEST_CASE("whichever allocation of a supervisor is refused, everybody is known, and comes back" *
          doctest::skip(sanitized)) {
  for (const auto how : strategies) {
    CAPTURE(static_cast<int>(how));
    unsigned nth = 1;
    for (bool refused = true; refused; ++nth) {
      CAPTURE(nth);
      fixture f(how);
      const auto b = f.pid_of("b");
      const auto c = f.pid_of("c");
      f.world.refuse_allocation(f.s, nth);
      f.kill(c);
      f.world.advance(1s);
      f.kill(f.world.alive(b) ? b : c);
      f.world.advance(1s);
      REQUIRE(f.s.alive());
      refused = !may_yet_be_refused(f.world, [&] { f.s.call(&supervisor::count_children); });
      f.check_complete();
    }
  }
}

TEST_SUITE_END();

}  // namespace supervision_shortage_test
