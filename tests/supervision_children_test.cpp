// Promises under test: children can be added while their supervisor runs, which refuses what makes no sense and lives
// on. A start may also say that there is nobody to start.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "children.hpp"
#include "reports.hpp"

namespace supervision_children_test {

using namespace std::chrono_literals;
using kv::child_result;
using kv::supervisor;
using kv::testing::kill_and_await;
using kv::testing::probe;
using code = kv::child_result::code;

namespace {

using super = kv::ref<supervisor>;

ids ids_of(const super& s) {
  ids result;
  for (const auto& c : s.call(&supervisor::which_children)) result.push_back(c.id);
  return result;
}

}  // namespace

TEST_CASE("start_child adds a child behind the others, which is the first to be stopped") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")});
  const auto answer = s.call(&supervisor::start_child, spec_of(p, "c"));
  CHECK(answer.what == code::ok);
  expect_ids<started>(p, 2);
  CHECK(p.expect<started>().who == answer.who);
  CHECK(info_of(s, "c").who == answer.who);
  CHECK(ids_of(s) == ids{"a", "b", "c"});
  shut_down(p, runtime, s);
  CHECK(expect_ids<stopped>(p, 3) == ids{"c", "b", "a"});
  const auto told = seen.all<kv::start_report>();
  REQUIRE(told.size() == 3);
  CHECK(told[2].supervisor == s.id());
  CHECK(told[2].child == "c");
  CHECK(told[2].who == answer.who);
}

TEST_CASE("a child that was added is restarted as one that was there from the start") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {});
  kill_and_await(runtime, s.call(&supervisor::start_child, spec_of(p, "late")).who);
  CHECK(info_of(s, "late").restarts == 1);
  CHECK(expect_ids<started>(p, 2) == ids{"late", "late"});
}

TEST_CASE("start_child of an id that is known tells which child has it, and starts nothing") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a")});
  const auto a = p.expect<started>().who;
  CHECK(s.call(&supervisor::start_child, spec_of(p, "a")) == child_result{code::already_started, a});
  REQUIRE(s.call(&supervisor::terminate_child, "a"));
  CHECK(s.call(&supervisor::start_child, spec_of(p, "a")) == child_result{code::already_present});
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("start_child that fails answers why and keeps nothing") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a")});
  const auto bad = [&](const std::function<kv::pid()>& start) {
    return s.call(&supervisor::start_child, kv::worker("bad", start));
  };
  struct fails_to_start {
    fails_to_start() { throw std::runtime_error("no oven"); }
  };
  const auto by_throw = bad([]() -> kv::pid { throw std::runtime_error("no flour"); });
  CHECK(by_throw.what == code::failed);
  CHECK(by_throw.reason.text() == "no flour");
  CHECK(bad([] { return kv::spawn_link<fails_to_start>().id(); }).reason.text() == "no oven");
  CHECK(bad([]() -> kv::pid { throw 17; }).reason.text() == "unknown exception");
  CHECK(ids_of(s) == ids{"a"});
  CHECK(s.call(&supervisor::start_child, spec_of(p, "bad")));  // now it can be had
}

TEST_CASE("start_child with a spec that makes no sense answers what is allowed") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {});
  const auto refusal = [&](kv::child_spec spec) {
    const auto answer = s.call(&supervisor::start_child, std::move(spec));
    CHECK(answer.what == code::invalid);
    CHECK_THROWS_AS(std::rethrow_exception(answer.reason.exception()), std::invalid_argument);
    return std::string(answer.reason.text());
  };
  auto spec = spec_of(p, "it");
  spec.start = nullptr;
  CHECK(refusal(spec) == "child it has no start function");
  spec = spec_of(p, "it");
  spec.id.clear();
  CHECK(refusal(spec) == "a child has an empty id");
  spec = spec_of(p, "it");
  spec.is_supervisor = true;  // with a worker's 5 s
  CHECK(refusal(spec) == "child it supervises, so its shutdown must be infinity or brutal_kill, not a time");
  CHECK(ids_of(s).empty());
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("worker and supervisor_child refuse an empty id and an empty start at once") {
  const auto start = [] { return kv::ignore; };
  CHECK_THROWS_WITH_AS(kv::worker("", start), "a child has an empty id", std::invalid_argument);
  CHECK_THROWS_WITH_AS(kv::supervisor_child("", start), "a child has an empty id", std::invalid_argument);
  CHECK_THROWS_WITH_AS(kv::worker("it", nullptr), "child it has no start function", std::invalid_argument);
  CHECK_THROWS_WITH_AS(kv::supervisor_child("it", {}), "child it has no start function", std::invalid_argument);
  CHECK_THROWS_WITH_AS(kv::shutdown::within(-1ns), "shutdown::within needs a time of 0 or more", std::invalid_argument);
  CHECK_FALSE(kv::shutdown::within(0ns).is_brutal());
  CHECK(kv::supervisor_child("it", start).shutdown == kv::shutdown::infinity());
}

TEST_CASE("a child whose start says ignore is kept without a process until somebody starts it") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto shy = [to = p.id()](const std::string& id) {
    const auto count = std::make_shared<std::atomic<int>>(0);
    return kv::worker(id, [=] { return ++*count == 1 ? kv::ignore : kv::spawn_link<child>(to, id).id(); });
  };
  auto guest = shy("guest");
  guest.restart = kv::restart::temporary;
  const auto s = supervise(runtime, {shy("a"), guest});
  CHECK(ids_of(s) == ids{"a"});
  CHECK_FALSE(info_of(s, "a").who);
  CHECK(seen.all<kv::start_report>().empty());
  CHECK(s.call(&supervisor::start_child, shy("b")) == child_result{code::ok});
  auto late_guest = shy("late guest");
  late_guest.restart = kv::restart::temporary;
  CHECK(s.call(&supervisor::start_child, late_guest) == child_result{code::ok});
  CHECK(ids_of(s) == ids{"a", "b"});
  CHECK(s.call(&supervisor::count_children) == kv::child_counts{.specs = 2, .active = 0, .workers = 2});
  const auto answer = s.call(&supervisor::restart_child, "a");
  CHECK(answer.what == code::ok);
  CHECK(p.expect<started>().who == answer.who);
  CHECK(s.call(&supervisor::count_children).active == 1);
}

TEST_CASE("a restart that is ignored leaves the child down and is not tried again") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto count = std::make_shared<std::atomic<int>>(0);
  const auto once = kv::worker(
      "once", [=, to = p.id()] { return ++*count == 1 ? kv::spawn_link<child>(to, "once").id() : kv::ignore; });
  const auto s = supervise(runtime, {once});
  kill_and_await(runtime, p.expect<started>().who);
  CHECK_FALSE(info_of(s, "once").who);
  CHECK_FALSE(info_of(s, "once").is_restarting);
  CHECK(info_of(s, "once").restarts == 0);
  CHECK(*count == 2);
}

TEST_CASE("count_children counts specs, the living, supervisors and workers") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto inner = kv::supervisor_child(
      "inner", [] { return kv::spawn_link<supervisor>(kv::supervisor_options{}, [] { return specs{}; }).id(); });
  const auto s = supervise(runtime, {spec_of(p, "a"), inner, spec_of(p, "b")});
  CHECK(s.call(&supervisor::count_children) ==
        kv::child_counts{.specs = 3, .active = 3, .supervisors = 1, .workers = 2});
  s.call(&supervisor::terminate_child, "inner");
  CHECK(s.call(&supervisor::count_children) ==
        kv::child_counts{.specs = 3, .active = 2, .supervisors = 1, .workers = 2});
}

TEST_CASE("answers print themselves") {
  const auto text = [](const child_result& answer) {
    std::ostringstream out;
    out << answer;
    return out.str();
  };
  CHECK(text({}) == "ok");
  CHECK(text({code::already_started, {7, 1, 1}}) == "already_started <7.1>");
  CHECK(text({code::failed, {}, kv::exit_reason::custom("no flour")}) == "failed (no flour)");
  CHECK(text({code::invalid}) == "invalid");
}

}  // namespace supervision_children_test
