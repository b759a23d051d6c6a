// Promises under test: linked processes end together, in either direction and for every reason that is not orderly;
// who traps exits is told instead; a link can be taken back.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace link_test {

using kv::exit_reason;
using kv::testing::exit_and_await;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

const auto enough = exit_reason::custom("enough");

}  // namespace

TEST_CASE_TEMPLATE("a link ends the other process with the same reason", T, blank, blank_leaf) {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (const bool first_dies : {true, false}) {
    const auto a = runtime.spawn<T>();
    const auto b = runtime.spawn<T>();
    inside(a, [b] { kv::link(b); });
    const kv::pid dies = first_dies ? a : b;
    const kv::pid follows = first_dies ? b : a;
    p.monitor(follows);
    runtime.exit(dies, enough);
    CHECK(p.expect_down(follows).reason == enough);
  }
}

TEST_CASE("an exception ends the linked process with that exception") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto b = runtime.spawn<blank>();
  inside(a, [b] { kv::link(b); });
  p.monitor(b);
  a.cast([](blank&) { throw std::runtime_error("no milk"); });
  const auto news = p.expect_down(b);
  CHECK(news.reason.what() == exit_reason::kind::error);
  CHECK(news.reason.text() == "no milk");
  CHECK(seen.all<kv::crash_report>().size() == 1);  // b did not crash itself
}

TEST_CASE("a death goes through a chain of a thousand links") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto first = runtime.spawn<blank>();
  auto last = first;
  for (int i = 0; i < 1000; ++i) {
    const auto next = runtime.spawn<blank>();
    inside(last, [next] { kv::link(next); });
    last = next;
  }
  p.monitor(last);
  runtime.exit(first, enough);
  CHECK(p.expect_down(last).reason == enough);
}

TEST_CASE("one death ends all of many linked processes") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto hub = runtime.spawn<blank>();
  for (int i = 0; i < 1000; ++i) {
    const auto spoke = runtime.spawn<blank>();
    inside(spoke, [hub] { kv::link(hub); });
    p.monitor(spoke);
  }
  runtime.exit(hub, enough);
  for (int i = 0; i < 1000; ++i) CHECK(p.expect<kv::down>().reason == enough);
}

TEST_CASE("a normal end leaves the linked process alone, and is told to one that traps exits") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto b = runtime.spawn<blank>();
  const auto t = runtime.spawn<trapper>(p.id());
  inside(a, [b, t] {
    kv::link(b);
    kv::link(t);
  });
  a.stop();
  const auto signal = p.expect<kv::exit_signal>();
  CHECK(signal.from == a.id());
  CHECK(signal.reason == exit_reason::normal);
  inside(b, [] {});  // lives, after whatever a's death sent it
  inside(t, [] {});
}

TEST_CASE("linking twice and from both sides is one link") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto t = runtime.spawn<trapper>(p.id());
  inside(a, [t] {
    kv::link(t);
    kv::link(t);
  });
  inside(t, [a] { kv::link(a); });
  kill_and_await(runtime, a);
  t.stop();  // after whatever a's death sent it
  CHECK(p.expect<kv::exit_signal>().from == a.id());
  CHECK_FALSE(p.has<kv::exit_signal>());
}

TEST_CASE("unlinking from either side takes the link back for both") {
  kv::runtime runtime({.threads = 2});
  for (const bool by_first : {true, false}) {
    const auto a = runtime.spawn<blank>();
    const auto b = runtime.spawn<blank>();
    inside(a, [b] {
      kv::link(b);
      kv::link(b);
    });
    inside(by_first ? a : b, [other = by_first ? b : a] { kv::unlink(other); });
    kill_and_await(runtime, a);
    inside(b, [] {});
  }
}

TEST_CASE("no exit signal of a link comes once unlink has returned") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto leaf = runtime.spawn<blank_leaf>();
  p.run([&] { kv::link(leaf); });
  // Ends on this thread: the signal has been sent, and the probe has not looked at it yet.
  CHECK_THROWS_AS(inside(leaf, [] { kv::exit(enough); }), kv::call_error);
  p.run([&] { kv::unlink(leaf); });
  CHECK_FALSE(p.has<kv::exit_signal>());
}

TEST_CASE("unlinking a stranger, the dead, oneself or nobody does nothing") {
  kv::runtime runtime({.threads = 2});
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  const auto stranger = runtime.spawn<blank>();
  const auto a = runtime.spawn<blank>();
  inside(a, [dead, stranger] {
    kv::unlink(dead);
    kv::unlink(stranger);
    kv::unlink(kv::self());
    kv::unlink({});
  });
  inside(a, [] {});
  inside(stranger, [] {});
}

TEST_CASE("linking to the dead is answered with noproc, also when their runtime is") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  const auto foreign = [] {
    kv::runtime elsewhere({.threads = 1});
    return elsewhere.spawn<blank>().id();
  }();
  for (const kv::pid nobody : {dead.id(), foreign, kv::pid{}}) {
    const auto t = runtime.spawn<trapper>(p.id());
    inside(t, [nobody] { kv::link(nobody); });
    const auto signal = p.expect<kv::exit_signal>();
    CHECK(signal.from == nobody);
    CHECK(signal.reason == exit_reason::noproc);
    const auto b = runtime.spawn<blank>();
    p.monitor(b);
    b.cast([nobody](blank&) { kv::link(nobody); });
    CHECK(p.expect_down(b).reason == exit_reason::noproc);
  }
}

TEST_CASE("a link to oneself does nothing") {
  kv::runtime runtime({.threads = 1});
  const auto a = runtime.spawn<blank>();
  inside(a, [] { kv::link(kv::self()); });
  CHECK(exit_and_await(runtime, a, enough) == enough);
}

TEST_CASE("two processes that end at once end both, with a reason of one of them") {
  for (int i = 0; i < 200; ++i) {
    kv::runtime runtime({.threads = 2});
    probe p(runtime);
    const auto a = runtime.spawn<blank>();
    const auto b = runtime.spawn<blank>();
    inside(a, [b] { kv::link(b); });
    p.monitor(a);
    p.monitor(b);
    a.cast([](blank&) { kv::exit(exit_reason::custom("a")); });
    b.cast([](blank&) { kv::exit(exit_reason::custom("b")); });
    for (const auto id : {a.id(), b.id()}) {
      const auto text = std::string(p.expect_down(id).reason.text());
      CHECK((text == "a" || text == "b"));
    }
  }
}

TEST_CASE("only a process can link, unlink, trap or spawn linked") {
  CHECK_THROWS_AS(kv::link({}), std::logic_error);
  CHECK_THROWS_AS(kv::unlink({}), std::logic_error);
  CHECK_THROWS_AS(kv::trap_exit(true), std::logic_error);
  CHECK_THROWS_AS(kv::spawn_link<blank>(), std::logic_error);
  CHECK_THROWS_AS(kv::self(), std::logic_error);
}

}  // namespace link_test
