// Promises under test: a supervisor remembers its last restarts, with who, when and why, those that failed included,
// and no more of them than it should.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <sstream>
#include <stdexcept>

#include <kv/simulation.hpp>

#include "children.hpp"

namespace restart_history_test {

using namespace std::chrono_literals;
using kv::supervisor;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

std::vector<kv::restart_event> history_of(const kv::ref<supervisor>& s) { return s.call(&supervisor::history); }

kv::ref<supervisor> remembering(kv::runtime& home, std::size_t limit, specs children) {
  return home.spawn<supervisor>(kv::supervisor_options{.max_restarts = 100, .period = long_period, .history = limit},
                                [=] { return children; });
}

std::string text_of(const kv::restart_event& event) {
  std::ostringstream out;
  out << event;
  return out.str();
}

}  // namespace

TEST_CASE("a supervisor remembers who was restarted, and why, with the siblings that went along") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")}, kv::strategy::one_for_all);
  CHECK(history_of(s).empty());
  const auto a = info_of(s, "a").who;
  const auto b = info_of(s, "b").who;
  kill_and_await(runtime, b);
  const auto history = history_of(s);
  REQUIRE(history.size() == 2);
  CHECK(history[0].child == "a");
  CHECK(history[0].old_pid == a);
  CHECK(history[0].new_pid == info_of(s, "a").who);
  CHECK(history[1].child == "b");
  CHECK(history[1].old_pid == b);
  CHECK(history[1].new_pid == info_of(s, "b").who);
  for (const auto& event : history) {
    CHECK(event.reason == kv::exit_reason::killed);  // of b
    CHECK_FALSE(event.failure);
    CHECK(event.when <= runtime.now());
  }
}

TEST_CASE("a supervisor remembers the starts that failed") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto weak = kv::worker("weak", [=, to = p.id()] {
    if (++*count == 2) throw std::runtime_error("no flour");
    return kv::spawn_link<child>(to, "weak").id();
  });
  const auto s = supervise(runtime, {weak});
  kill_and_await(runtime, p.expect<started>().who);
  p.expect<started>();
  const auto bad = kv::worker("bad", []() -> kv::pid { throw std::runtime_error("no oven"); });
  s.call(&supervisor::start_child, bad);
  const auto history = history_of(s);
  REQUIRE(history.size() == 3);
  CHECK(history[0].failure.value().text() == "no flour");
  CHECK_FALSE(history[0].new_pid);
  CHECK(history[1].reason.text() == "no flour");
  CHECK(history[1].new_pid == info_of(s, "weak").who);
  CHECK(history[1].old_pid == history[0].old_pid);
  CHECK(history[2].child == "bad");
  CHECK(history[2].failure.value().text() == "no oven");
  CHECK_FALSE(history[2].old_pid);
}

TEST_CASE("a supervisor remembers no more than it should") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  for (const std::size_t limit : {0U, 1U, 3U}) {
    const auto s = remembering(runtime, limit, {spec_of(p, "a")});
    std::vector<kv::pid> killed;
    for (int i = 0; i < 4; ++i) {
      killed.push_back(p.expect<started>().who);
      kill_and_await(runtime, killed.back());
    }
    p.expect<started>();
    const auto history = history_of(s);
    REQUIRE(history.size() == limit);
    for (std::size_t i = 0; i < limit; ++i) CHECK(history[i].old_pid == killed[killed.size() - limit + i]);
  }
}

TEST_CASE("restart events print themselves") {
  kv::restart_event event{
      .when = {}, .child = "a", .old_pid = {3, 1, 1}, .new_pid = {4, 1, 1}, .reason = kv::exit_reason::killed};
  CHECK(text_of(event) == "a: <3.1> ended (killed), now <4.1>");
  event.failure = kv::exit_reason::custom("no flour");
  CHECK(text_of(event) == "a: <3.1> ended (killed), and did not start again (no flour)");
}

TEST_CASE("a supervisor remembers when" * doctest::test_suite("in simulation")) {
  kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
  probe p(world);
  const auto s = remembering(world, 16, {spec_of(p, "a")});
  const auto begin = world.now();
  for (const auto time : {1s, 2s}) {
    world.advance(time);
    kill_and_await(world, p.expect<started>().who);
  }
  const auto history = history_of(s);
  REQUIRE(history.size() == 2);
  CHECK(history[0].when - begin == 1s);
  CHECK(history[1].when - begin == 3s);
}

}  // namespace restart_history_test
