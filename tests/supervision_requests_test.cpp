// Promises under test: children can be stopped, started again and forgotten while their supervisor runs; each
// request gets OTP's answer, whatever the child is doing, and none of them ends the supervisor.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include "children.hpp"
#include "reports.hpp"

namespace supervision_requests_test {

using namespace std::chrono_literals;
using kv::child_result;
using kv::supervisor;
using kv::testing::kill_and_await;
using kv::testing::probe;
using code = kv::child_result::code;

namespace {

using super = kv::ref<supervisor>;

/// A child whose start does what `how(attempt)` says before it starts one, with the number of the attempt from 1.
template <class F>
kv::child_spec starting(kv::pid test, const std::string& id, F how) {
  const auto count = std::make_shared<std::atomic<int>>(0);
  return kv::worker(id, [=] {
    how(++*count);
    return kv::spawn_link<child>(test, id).id();
  });
}

kv::child_spec fails_after_first(kv::pid test, const std::string& id) {
  return starting(test, id, [](int attempt) {
    if (attempt > 1) throw std::runtime_error("no flour");
  });
}

ids ids_of(const super& s) {
  ids result;
  for (const auto& c : s.call(&supervisor::which_children)) result.push_back(c.id);
  return result;
}

/// Kills a child that does not start again, and runs a function in its supervisor between that and the next attempt.
template <class F>
void while_restarting(kv::runtime& home, const super& s, const std::string& id, F function) {
  const auto who = info_of(s, id).who;
  const kv::testing::suspended frozen(home, s);
  kill_and_await(home, who);
  s.cast(function);  // comes after the death and before what the supervisor then sends to itself
}

}  // namespace

TEST_CASE("terminate_child stops a child, which is not restarted and stays known unless it is temporary") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "guest", kv::restart::temporary)});
  expect_ids<started>(p, 2);
  CHECK(s.call(&supervisor::terminate_child, "a") == child_result{});
  CHECK(s.call(&supervisor::terminate_child, "a") == child_result{});  // once more does no harm
  CHECK(s.call(&supervisor::terminate_child, "guest") == child_result{});
  CHECK(s.call(&supervisor::terminate_child, "guest") == child_result{code::not_found});
  CHECK(s.call(&supervisor::terminate_child, "nobody") == child_result{code::not_found});
  CHECK(expect_ids<stopped>(p, 2) == ids{"a", "guest"});
  CHECK(ids_of(s) == ids{"a"});
  CHECK_FALSE(info_of(s, "a").who);
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("terminate_child of a child that has just died by itself is no end that is followed by a restart") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a")});
  const auto a = p.expect<started>().who;
  {
    const kv::testing::suspended frozen(runtime, s);
    s.cast(&supervisor::terminate_child, "a");  // and behind it the news of the end
    kill_and_await(runtime, a);
  }
  CHECK_FALSE(info_of(s, "a").who);
  CHECK(seen.all<kv::restart_report>().empty());
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("restart_child starts a child that is down, and only that") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), fails_after_first(p, "weak")});
  const auto a = p.expect<started>().who;
  CHECK(s.call(&supervisor::restart_child, "a") == child_result{code::running, a});
  CHECK(s.call(&supervisor::restart_child, "nobody") == child_result{code::not_found});
  s.call(&supervisor::terminate_child, "a");
  const auto answer = s.call(&supervisor::restart_child, "a");
  CHECK(answer.what == code::ok);
  CHECK(answer.who != a);
  CHECK(info_of(s, "a").who == answer.who);
  CHECK(info_of(s, "a").restarts == 0);  // nobody had to
  s.call(&supervisor::terminate_child, "weak");
  const auto failed = s.call(&supervisor::restart_child, "weak");
  CHECK(failed.what == code::failed);
  CHECK(failed.reason.text() == "no flour");
  CHECK_FALSE(info_of(s, "weak").is_restarting);
  CHECK(s.alive());
}

TEST_CASE("delete_child forgets a child that is down, and its id is free") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")});
  const auto a = p.expect<started>().who;
  CHECK(s.call(&supervisor::delete_child, "a") == child_result{code::running, a});
  CHECK(runtime.alive(a));
  CHECK(s.call(&supervisor::delete_child, "nobody") == child_result{code::not_found});
  s.call(&supervisor::terminate_child, "a");
  CHECK(s.call(&supervisor::delete_child, "a") == child_result{});
  CHECK(s.call(&supervisor::delete_child, "a") == child_result{code::not_found});
  CHECK(ids_of(s) == ids{"b"});
  CHECK(s.call(&supervisor::start_child, spec_of(p, "a")));
  CHECK(ids_of(s) == ids{"b", "a"});
}

TEST_CASE("a child that is about to be restarted: known, not to be started or forgotten") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {fails_after_first(p, "weak")}, {}, 3);
  p.monitor(s);
  while_restarting(runtime, s, "weak", [to = p.id()](supervisor& self) {
    const auto info = self.which_children().at(0);
    kv::send(to, info);
    kv::send(to, self.count_children());
    kv::send(to, self.start_child(kv::worker("weak", [] { return kv::ignore; })));
    kv::send(to, self.restart_child("weak"));
    kv::send(to, self.delete_child("weak"));
  });
  const auto info = p.expect<kv::child_info>();
  CHECK(info.is_restarting);
  CHECK_FALSE(info.who);
  CHECK(p.expect<kv::child_counts>() == kv::child_counts{.specs = 1, .active = 0, .workers = 1});
  CHECK(p.expect<child_result>() == child_result{code::already_present});
  CHECK(p.expect<child_result>() == child_result{code::restarting});
  CHECK(p.expect<child_result>() == child_result{code::restarting});
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);  // none of it has kept it from trying
}

TEST_CASE("terminate_child of a child that is about to be restarted cancels that") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {fails_after_first(p, "weak")}, {}, 3);
  while_restarting(runtime, s, "weak", [to = p.id()](supervisor& self) {
    kv::send(to, self.terminate_child("weak"));
    kv::send(to, self.delete_child("weak"));
    kv::send(to, self.start_child(spec_of(to, "weak")));  // a new one, which the old one's retry must not touch
  });
  CHECK(p.expect<child_result>() == child_result{});
  CHECK(p.expect<child_result>() == child_result{});
  const auto again = p.expect<child_result>();
  CHECK(again.what == code::ok);
  CHECK(info_of(s, "weak").who == again.who);
  CHECK(seen.all<kv::restart_report>().size() == 1);
}

TEST_CASE("a restart of all that is cancelled brings back those who went down for it") {
  for (const auto how : {kv::strategy::one_for_all, kv::strategy::rest_for_one}) {
    CAPTURE(static_cast<int>(how));
    reports seen;
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    probe p(runtime);
    const auto s = supervise(runtime, {spec_of(p, "a"), fails_after_first(p, "weak"), spec_of(p, "z")}, how, 3);
    expect_ids<started>(p, 3);
    while_restarting(runtime, s, "weak", [to = p.id()](supervisor& self) {
      for (const auto& c : self.which_children()) kv::send(to, c);
      self.terminate_child("weak");
    });
    const bool all = how == kv::strategy::one_for_all;
    CHECK(p.expect<kv::child_info>().who);  // a
    const auto weak = p.expect<kv::child_info>();
    CHECK(weak.is_restarting);
    const auto z = p.expect<kv::child_info>();
    CHECK_FALSE(z.who);  // it waits for its sibling
    CHECK_FALSE(z.is_restarting);
    CHECK(expect_ids<started>(p, all ? 2 : 1) == (all ? ids{"a", "z"} : ids{"z"}));
    CHECK(runtime.alive(info_of(s, "z").who));
    CHECK_FALSE(info_of(s, "weak").who);
    CHECK_FALSE(p.has<started>());
  }
}

TEST_CASE("a group restart also starts the children that somebody had stopped") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a"), spec_of(p, "b")}, kv::strategy::one_for_all);
  expect_ids<started>(p, 2);
  s.call(&supervisor::terminate_child, "b");
  kill_and_await(runtime, info_of(s, "a").who);
  CHECK(expect_ids<started>(p, 2) == ids{"a", "b"});
}

}  // namespace supervision_requests_test
