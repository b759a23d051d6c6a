// Promises under test: a dynamic supervisor knows its living children, never restarts one, and ends all of them at the
// same time with itself.
#include <doctest/doctest.h>

#include <set>

#include <kv/simulation.hpp>

#include "children.hpp"
#include "reports.hpp"

namespace dynamic_supervisor_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using dynamic = kv::ref<kv::dynamic_supervisor>;

template <class T = child>
kv::pid start(const dynamic& s, kv::pid test, const std::string& id) {
  return s.call([=](kv::dynamic_supervisor& self) { return self.start_child<T>(test, id).id(); });
}

std::set<kv::pid> children(const dynamic& s) {
  const auto all = s.call(&kv::dynamic_supervisor::children);
  return {all.begin(), all.end()};
}

}  // namespace

TEST_CASE("a dynamic supervisor knows its children, none, one and many") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  CHECK(children(s).empty());
  std::set<kv::pid> expected;
  for (int i = 0; i < 100; ++i) expected.insert(start(s, p, std::to_string(i)));
  CHECK(expected.size() == 100);
  CHECK(children(s) == expected);
  CHECK(s.call(&kv::dynamic_supervisor::count_children).active == 100);
}

TEST_CASE("a child of a dynamic supervisor that ends in any way is forgotten and not restarted") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  const auto killed = start(s, p, "killed");
  const auto crashed = start(s, p, "crashed");
  const auto stays = start(s, p, "stays");
  expect_ids<started>(p, 3);
  kill_and_await(runtime, killed);
  p.monitor(crashed);
  kv::ref<child>(runtime.core(), crashed).cast(&child::fail, "fire");
  p.expect_down(crashed);
  CHECK(children(s) == std::set{stays});
  p.monitor(stays);
  kv::ref<child>(runtime.core(), stays).cast(&child::end, kv::exit_reason::normal);
  CHECK(p.expect_down(stays).reason == kv::exit_reason::normal);
  CHECK(children(s).empty());
  CHECK_FALSE(p.has<started>());
}

TEST_CASE("a child of a dynamic supervisor that does not start is told to whoever starts it") {
  struct fails_to_start {
    fails_to_start() { throw std::runtime_error("no flour"); }
  };
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  const auto stays = start(s, p, "stays");
  const auto why = s.call([](kv::dynamic_supervisor& self) -> std::string {
    try {
      self.start_child<fails_to_start>();
      return "it started";
    } catch (const kv::start_error& e) {
      return std::string(e.reason().text());
    }
  });
  CHECK(why == "no flour");
  CHECK(children(s) == std::set{stays});
}

TEST_CASE("a dynamic supervisor asks all children before it kills the first") {
  kv::simulation runtime;  // in which a millisecond is not over while anybody has something to do
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>(1ms);
  constexpr int count = 20;
  for (int i = 0; i < count; ++i) p.monitor(start<stubborn_child>(s, p, std::to_string(i)));
  const auto willing = start(s, p, "willing");
  p.monitor(willing);
  p.monitor(s);
  runtime.exit(s, kv::exit_reason::shutdown);
  std::string order;
  for (int i = 0; i < 2 * count + 2; ++i) {
    p.run([&] {
      kv::receive([&](const asked& a) { order += a.reason == kv::exit_reason::shutdown ? 'a' : '?'; },
                  [&](const kv::down& d) {
                    if (d.from == willing) return;
                    order += d.from == s.id() ? 's' : 'd';
                    CHECK(d.reason == (d.from == s.id() ? kv::exit_reason::shutdown : kv::exit_reason::killed));
                  });
    });
  }
  CHECK(order == std::string(count, 'a') + std::string(count, 'd') + 's');
}

TEST_CASE("a dynamic supervisor waits for slow children, and for no longer than they take") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>(kv::testing::patience);
  const auto first = start<slow_child>(s, p, "first");
  const auto second = start<slow_child>(s, p, "second");
  p.monitor(first);
  p.monitor(second);
  p.monitor(s);
  runtime.exit(s, kv::exit_reason::shutdown);
  CHECK(expect_ids<asked>(p, 2).size() == 2);  // the second is not kept waiting by the first
  runtime.send(second, go_on{});
  CHECK(p.expect_down(second).reason == kv::exit_reason::shutdown);
  CHECK_FALSE(p.has<kv::down>());
  runtime.send(first, go_on{});
  CHECK(p.expect_down(first).reason == kv::exit_reason::shutdown);
  CHECK(p.expect_down(s).reason == kv::exit_reason::shutdown);
}

TEST_CASE("a dynamic supervisor that is stopped ends its children first") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  for (const auto* const id : {"a", "b"}) start(s, p, id);
  s.stop(kv::exit_reason::shutdown);
  CHECK_FALSE(s.alive());
  CHECK(expect_ids<stopped>(p, 2).size() == 2);
}

TEST_CASE("a dynamic supervisor that is killed leaves no orphan") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  std::set<kv::pid> all;
  for (int i = 0; i < 100; ++i) all.insert(start(s, p, std::to_string(i)));
  for (const auto who : all) p.monitor(who);
  kill_and_await(runtime, s);
  for (const auto who : all) CHECK(p.expect_down(who).reason == kv::exit_reason::killed);
}

TEST_CASE("a dynamic supervisor ends with its parent and takes its children along") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto parent = runtime.spawn([to = p.id()] {
    kv::send(to, kv::spawn_link<kv::dynamic_supervisor>().id());
    kv::receive<go_on>();
  });
  const dynamic s(runtime.core(), p.expect<kv::pid>());
  const auto a = start(s, p, "a");
  p.monitor(a);
  p.monitor(s);
  runtime.send(parent, go_on{});  // even when it ends as it was meant to
  p.expect_down(a);               // in either order: the link of the child is told before the monitor
  p.expect_down(s);
  CHECK(expect_ids<stopped>(p, 1) == ids{"a"});
}

TEST_CASE("neither a stranger nor a child can ask a dynamic supervisor to end") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>();
  const auto a = start(s, p, "a");
  p.run([&] { kv::exit(s, kv::exit_reason::shutdown); });
  kv::ref<child>(runtime.core(), a).call([s](child&) { kv::exit(s.id(), kv::exit_reason::shutdown); });
  CHECK(runtime.alive(s));
  CHECK(s.alive());
}

}  // namespace dynamic_supervisor_test
