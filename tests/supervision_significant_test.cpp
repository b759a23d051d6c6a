// Promises under test: the end of significant children ends their supervisor as its options say, and no other end does.
#include <doctest/doctest.h>

#include <stdexcept>

#include "children.hpp"
#include "reports.hpp"

namespace supervision_significant_test {

using kv::exit_reason;
using kv::supervisor;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

kv::child_spec significant(kv::pid test, const std::string& id, kv::restart when = kv::restart::transient) {
  auto spec = spec_of(test, id, when);
  spec.significant = true;
  return spec;
}

kv::supervisor_options ending_with(kv::auto_shutdown how) { return {.period = long_period, .auto_shutdown = how}; }

}  // namespace

TEST_CASE("any_significant: the first significant child that is through ends the supervisor") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto run = [&](kv::restart when, const exit_reason& why) {
    const specs children{spec_of(p, "a"), significant(p, "job", when), significant(p, "other"), spec_of(p, "z")};
    const auto s = runtime.spawn<supervisor>(ending_with(kv::auto_shutdown::any_significant), [=] { return children; });
    p.monitor(s);
    expect_ids<started>(p, 4);
    kv::ref<child>(runtime.core(), info_of(s, "job").who).cast(&child::end, why);
    CHECK(p.expect_down(s).reason == exit_reason::shutdown);
    CHECK(expect_ids<stopped>(p, 4) == ids{"job", "z", "other", "a"});
  };
  run(kv::restart::transient, exit_reason::normal);
  run(kv::restart::transient, exit_reason::shutdown_because("done"));
  run(kv::restart::temporary, exit_reason::normal);
  run(kv::restart::temporary, exit_reason::custom("fire"));
  CHECK(seen.all<kv::give_up_report>().empty());
}

TEST_CASE("all_significant: the last significant child that is through ends the supervisor") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const specs children{significant(p, "x"), spec_of(p, "a", kv::restart::transient),
                       significant(p, "y", kv::restart::temporary)};
  const auto s = runtime.spawn<supervisor>(ending_with(kv::auto_shutdown::all_significant), [=] { return children; });
  p.monitor(s);
  expect_ids<started>(p, 3);
  for (const auto* const id : {"x", "a"}) {
    kv::ref<child>(runtime.core(), info_of(s, id).who).cast(&child::end, exit_reason::normal);
    CHECK(expect_ids<stopped>(p, 1) == ids{id});
    CHECK(info_of(s, "y").who);  // still there, and its supervisor
  }
  kv::ref<child>(runtime.core(), info_of(s, "y").who).cast(&child::end, exit_reason::normal);
  CHECK(p.expect_down(s).reason == exit_reason::shutdown);
}

TEST_CASE("a significant child that is restarted or terminated ends nobody") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  for (const auto how : {kv::auto_shutdown::any_significant, kv::auto_shutdown::all_significant}) {
    const specs children{significant(p, "job")};
    const auto s = runtime.spawn<supervisor>(ending_with(how), [=] { return children; });
    kill_and_await(runtime, p.expect<started>().who);
    p.expect<started>();
    CHECK(s.call(&supervisor::terminate_child, "job"));
    CHECK(s.call(&supervisor::count_children).active == 0);
    CHECK(s.call(&supervisor::restart_child, "job"));
    p.expect<started>();
  }
}

TEST_CASE("all_significant: a significant child that somebody terminated is not waited for") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const specs children{significant(p, "x"), significant(p, "y")};
  const auto s = runtime.spawn<supervisor>(ending_with(kv::auto_shutdown::all_significant), [=] { return children; });
  p.monitor(s);
  s.call(&supervisor::terminate_child, "x");
  kv::ref<child>(runtime.core(), info_of(s, "y").who).cast(&child::end, exit_reason::normal);
  CHECK(p.expect_down(s).reason == exit_reason::shutdown);
}

TEST_CASE("significant children are refused where they make no sense") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto refusal = [&](kv::auto_shutdown how, const kv::child_spec& spec) {
    try {
      runtime.spawn<supervisor>(ending_with(how), [=] { return specs{spec}; });
    } catch (const kv::start_error& e) {
      CHECK_THROWS_AS(std::rethrow_exception(e.reason().exception()), std::invalid_argument);
      return std::string(e.reason().text());
    }
    return std::string("taken");
  };
  const std::string permanent = "child job is significant, so it must be transient or temporary";
  const std::string never = "child job is significant, so auto_shutdown must be any_significant or all_significant";
  CHECK(refusal(kv::auto_shutdown::any_significant, significant(p, "job", kv::restart::permanent)) == permanent);
  CHECK(refusal(kv::auto_shutdown::all_significant, significant(p, "job", kv::restart::permanent)) == permanent);
  CHECK(refusal(kv::auto_shutdown::never, significant(p, "job")) == never);
  CHECK(refusal(kv::auto_shutdown::any_significant, significant(p, "job")) == "taken");

  const auto s = supervise(runtime, {});
  const auto late = s.call(&supervisor::start_child, significant(p, "job"));
  CHECK(late.what == kv::child_result::code::invalid);
  CHECK(late.reason.text() == never);
}

}  // namespace supervision_significant_test
