// Promises under test: where memory is exhausted, a request to a supervisor is refused to its caller, and nothing has
// changed; and a supervisor that is told to end leaves no child.
#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <optional>

#include "exploring.hpp"
#include "shortage.hpp"

namespace supervision_shortage_requests_test {

using namespace shortage;

TEST_SUITE_BEGIN("in simulation");

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

TEST_CASE("a supervisor that is told to end while memory is exhausted leaves no child" * doctest::skip(sanitized)) {
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

TEST_CASE("a child whose start fails after it was started is not left behind, whichever supervisor started it" *
          doctest::skip(sanitized)) {
  const auto is_short = std::make_shared<bool>(true);
  const auto half = kv::worker("half", [=] {
    const auto who = kv::spawn_link_named<worker>("half").id();
    if (*is_short) throw std::bad_alloc();
    return who;
  });
  fixture f;
  CHECK(f.s.call(&supervisor::start_child, half).what == kv::child_result::code::failed);
  f.check_complete();
  const auto dynamic = f.world.spawn<kv::dynamic_supervisor>();
  const auto add = [half](kv::dynamic_supervisor& s) { return s.start_child(half); };
  CHECK(dynamic.call(add).what == kv::child_result::code::failed);
  CHECK_FALSE(f.world.whereis("half"));
  *is_short = false;
  const auto first = dynamic.call(add).who;
  *is_short = true;
  f.kill(first);
  f.world.advance(std::chrono::minutes(1));
  CHECK(f.world.process_count() == std::size(names) + 2);
  *is_short = false;
  f.world.advance(std::chrono::seconds(1));
  CHECK(f.world.whereis("half") == dynamic.call(&kv::dynamic_supervisor::children).at(0));
}

TEST_SUITE_END();

}  // namespace supervision_shortage_requests_test
