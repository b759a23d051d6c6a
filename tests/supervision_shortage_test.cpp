// Promises under test: want of a resource that all share never ends a supervisor, never uses up its restarts, and leaves no
// child that it does not know of or believes alive; what it cannot do now it does when it can.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <kv/kv.hpp>
#include <kv/simulation.hpp>

#include "children.hpp"
#include "exploring.hpp"
#include "reports.hpp"

namespace supervision_shortage_test {

using namespace std::chrono_literals;
using kv::child_result;
using kv::strategy;
using kv::supervisor;
using kv::testing::probe;

namespace {

/// What a child holds, so that its start wants memory.
struct worker {
  std::string note = std::string(100, 'x');
};

kv::child_spec worker_of(const std::string& id) {
  return kv::worker(id, [] { return kv::spawn_link<worker>().id(); });
}

constexpr std::array names{"a", "b", "c", "d", "e", "f"};

specs workers() {
  specs result;
  for (const auto* const name : names) result.push_back(worker_of(name));
  return result;
}

/// A world with a supervisor that gives up after the fourth restart within 5 s.
struct fixture {
  explicit fixture(strategy how = {}, specs children = workers(), kv::restart_delay delay = {})
      : s(world.spawn<supervisor>(kv::supervisor_options{.strategy = how, .delay = delay},
                                  [children = std::move(children)] { return children; })) {}

  /// Asks again when that is refused: once an allocation has been, the next is not.
  std::vector<kv::child_info> children() {
    try {
      return s.call(&supervisor::which_children);
    } catch (const kv::call_error& e) {
      if (e.why() != kv::call_error::code::exited) throw;
      return s.call(&supervisor::which_children);
    }
  }
  kv::child_info info(const std::string& id) {
    const auto all = children();
    return *std::ranges::find(all, id, &kv::child_info::id);
  }
  kv::pid pid_of(const std::string& id) { return info(id).who; }
  std::vector<kv::pid> pids() {
    std::vector<kv::pid> result;
    for (const auto& c : children()) result.push_back(c.who);
    return result;
  }
  void kill(kv::pid who) {
    world.exit(who, kv::exit_reason::kill);
    world.run_until_idle();
  }
  /// What must hold at any time: who is known as running runs, and nobody else does.
  void check_known() {
    std::size_t running = 0;
    for (const auto& c : children()) {
      if (!c.who) continue;
      ++running;
      CHECK(world.alive(c.who));
    }
    CHECK_MESSAGE(world.process_count() == running + 1, world.processes_and_waits());  // and the supervisor
  }
  void check_complete() {
    check_known();
    CHECK(s.call(&supervisor::count_children).active == std::size(names));
  }

  reports seen;
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::ref<supervisor> s;
};

/// Tells whether the allocation that is to be refused has still not come when a function calls the process.
template <class F>
bool may_yet_be_refused(kv::simulation& world, F call) {
  const auto before = world.trace().size();
  call();
  const auto after = world.trace();
  return std::any_of(after.begin() + static_cast<std::ptrdiff_t>(before), after.end(),
                     [](const std::string& line) { return line.find("may be refused") != std::string::npos; });
}

constexpr std::array strategies{strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one};

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
      f.world.advance(1h);
      f.check_known();
      CHECK(f.info("c").is_restarting);
      CHECK(f.s.call(&supervisor::restart_child, "c").what == child_result::code::restarting);
      CHECK((f.pid_of("b") == before[1]) == (how != strategy::one_for_all));
      CHECK(static_cast<bool>(f.pid_of("d")) == (how == strategy::one_for_one));
      CHECK(f.seen.all<kv::give_up_report>().empty());
      const auto reported = f.seen.all<kv::restart_report>().size();
      f.world.advance(1h);
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

TEST_CASE("a child that always lacks something keeps nobody else from coming back") {
  auto children = workers();
  const auto is_short = std::make_shared<bool>(false);
  for (const std::size_t i : {0U, 5U}) {
    children[i].start = [=, start = children[i].start] {
      if (*is_short || (i == 0 && kv::now().time_since_epoch() > 0s && *is_short)) throw std::bad_alloc();
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

TEST_CASE("requests that memory is wanting for are refused, and nothing has changed" * doctest::skip(sanitized)) {
  fixture f;
  const auto before = f.pids();
  std::optional<bool> is_done;
  const auto ask = [&](auto... request) {
    is_done = std::nullopt;
    f.world.suspend(f.s);
    f.world.spawn([&, request...] {
      try {
        is_done = static_cast<bool>(f.s.call(request...));
      } catch (const kv::call_error& e) {
        if (e.why() == kv::call_error::code::exited) is_done = false;
      }
    });
    f.world.run_until_idle();
    f.world.exhaust_memory(true);
    f.world.resume(f.s);
    f.world.step(f.s);
    f.world.exhaust_memory(false);
    f.world.run_until_idle();
    REQUIRE(f.s.alive());
    CHECK(is_done.has_value());
    f.check_known();
    return is_done.value_or(true);
  };
  CHECK_FALSE(ask([](supervisor& s) { return !s.which_children().empty(); }));
  CHECK_FALSE(ask([](supervisor& s) { return static_cast<bool>(s.start_child(worker_of("g"))); }));
  CHECK_FALSE(ask(&supervisor::start_child, worker_of("g")));
  CHECK(f.pids() == before);
  CHECK(f.s.call(&supervisor::start_child, worker_of("g")));
  CHECK(f.s.call(&supervisor::terminate_child, "g"));
  CHECK_FALSE(ask(&supervisor::restart_child, "g"));
  CHECK(ask(&supervisor::delete_child, "g"));
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

TEST_CASE("a supervisor that is told to end while memory is exhausted leaves nobody" * doctest::skip(sanitized)) {
  for (const auto how : strategies) {
    auto children = workers();
    children[1].start = [] { return kv::spawn_link<supervisor>(kv::supervisor_options{}, workers).id(); };
    children[1].is_supervisor = true;
    children[1].shutdown = kv::shutdown::infinity();
    children[2].shutdown = kv::shutdown::brutal_kill();
    children[3].shutdown = kv::shutdown::infinity();
    fixture f(how, children);
    f.world.exhaust_memory(true);
    f.world.exit(f.s, kv::exit_reason::shutdown);
    f.world.run_until_idle();
    CHECK_MESSAGE(f.world.process_count() == 0, f.world.processes_and_waits());
    f.world.exhaust_memory(false);
  }
}

TEST_SUITE_END();

}  // namespace supervision_shortage_test
