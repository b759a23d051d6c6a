// Promises under test: exit signals, what is trapped and what cannot be, and their order among messages.
#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace signal_test {

using kv::exit_reason;
using kv::testing::exit_and_await;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

const auto enough = exit_reason::custom("enough");

}  // namespace

// What an exit signal does ------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("an exit signal ends a process that does not trap it, with that reason", T, blank, blank_leaf) {
  kv::runtime runtime({.threads = 2});
  for (const auto& reason : {exit_reason::shutdown, exit_reason::shutdown_because("upgrade"), exit_reason::killed,
                             exit_reason::noproc, enough}) {
    CHECK(exit_and_await(runtime, runtime.spawn<T>(), reason) == reason);
  }
  CHECK(exit_and_await(runtime, runtime.spawn<T>(), exit_reason::kill) == exit_reason::killed);
}

TEST_CASE("exit normal is ignored, unless it is trapped or comes from the process itself") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  runtime.exit(a, exit_reason::normal);
  inside(a, [] {});

  const auto t = runtime.spawn<trapper>(p.id());
  runtime.exit(t, exit_reason::normal);
  CHECK(p.expect<kv::exit_signal>().reason == exit_reason::normal);
  inside(t, [] {});

  p.monitor(a);
  a.cast([](blank&) { kv::exit(kv::self(), exit_reason::normal); });
  CHECK(p.expect_down(a).reason == exit_reason::normal);
}

TEST_CASE("a trapped exit signal names its sender and leaves the process alive") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto t = runtime.spawn<trapper>(p.id());
  const auto sender = runtime.spawn<blank>();
  inside(sender, [t] { kv::exit(t, enough); });
  const auto signal = p.expect<kv::exit_signal>();
  CHECK(signal.from == sender.id());
  CHECK(signal.reason == enough);
  runtime.exit(t, enough);
  CHECK(p.expect<kv::exit_signal>().from == kv::pid{});
  inside(t, [] {});
}

TEST_CASE("kill cannot be trapped, and arrives as killed at linked processes") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto t = runtime.spawn<trapper>(p.id());
  const auto watches = runtime.spawn<trapper>(p.id());
  const auto follows = runtime.spawn<blank>();
  inside(t, [watches, follows] {
    kv::link(watches);
    kv::link(follows);
  });
  p.monitor(follows);
  CHECK(kill_and_await(runtime, t) == exit_reason::killed);
  CHECK(p.expect_down(follows).reason == exit_reason::killed);
  const auto signal = p.expect<kv::exit_signal>();
  CHECK(signal.from == t.id());
  CHECK(signal.reason == exit_reason::killed);
  inside(watches, [] {});
}

TEST_CASE("killed that is sent by hand can be trapped") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto t = runtime.spawn<trapper>(p.id());
  runtime.exit(t, exit_reason::killed);
  CHECK(p.expect<kv::exit_signal>().reason == exit_reason::killed);
  inside(t, [] {});
}
TEST_CASE("a process that ends itself with the reason kill does not kill those that trap exits") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto t = runtime.spawn<trapper>(p.id());
  const auto a = runtime.spawn<blank>();
  inside(a, [t] { kv::link(t); });
  p.monitor(a);
  a.cast([](blank&) { kv::exit(exit_reason::kill); });
  p.expect_down(a);
  inside(t, [] {});
  CHECK(p.expect<kv::exit_signal>().from == a.id());
}

TEST_CASE("trap_exit tells what was set before, and can be taken back") {
  kv::runtime runtime({.threads = 2});
  const auto a = runtime.spawn<blank>();
  const auto trap = [](bool on) { return [on](blank&) { return kv::trap_exit(on); }; };
  CHECK_FALSE(a.call(trap(true)));
  CHECK(a.call(trap(true)));
  CHECK(a.call(trap(false)));
  CHECK_FALSE(a.call(trap(false)));
  CHECK(exit_and_await(runtime, a, enough) == enough);
}

TEST_CASE("the first reason counts") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  p.monitor(a);
  {
    const kv::testing::suspended frozen(runtime, a);
    a.cast([](blank&) {
      kv::exit(kv::self(), enough);
      kv::exit(kv::self(), exit_reason::kill);
      kv::exit(kv::self(), exit_reason::custom("more"));
    });
  }
  CHECK(p.expect_down(a).reason == enough);
}

TEST_CASE("an exit signal takes effect when the current callback returns, before the messages that wait" *
          needs_threads) {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  p.monitor(a);
  std::promise<void> sent;
  a.cast([to = kv::pid(p), ready = sent.get_future().share()](blank&) {
    kv::send(to, true);
    ready.wait();  // the whole thread: no fiber can run
    kv::send(to, std::string("done"));
  });
  p.expect<bool>();
  runtime.exit(a, enough);
  a.cast([to = kv::pid(p)](blank&) { kv::send(to, std::string("never")); });
  sent.set_value();
  CHECK(p.expect_down(a).reason == enough);
  CHECK(p.expect<std::string>() == "done");
  CHECK_FALSE(p.has<std::string>());
}
TEST_CASE("a process that is killed before it has run never runs, and what it captured is destroyed" * needs_threads) {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto counted = std::make_shared<int>();
  const std::weak_ptr<int> watch = counted;
  std::promise<void> go_on;
  runtime.spawn([ready = go_on.get_future().share()] { ready.wait(); });  // holds the only thread
  const auto a = runtime.spawn([to = kv::pid(p), counted = std::move(counted)] { kv::send(to, 1); });
  p.monitor(a);
  runtime.exit(a, exit_reason::kill);
  go_on.set_value();
  CHECK(p.expect_down(a).reason == exit_reason::killed);
  CHECK_FALSE(p.has<int>());
  CHECK(watch.expired());
}

// Order -----------------------------------------------------------------------------------------------------------

TEST_CASE("messages and trapped signals arrive in the order they were sent") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto sender = runtime.spawn<blank>();
  const auto receiver = runtime.spawn([to = kv::pid(p)] {
    kv::trap_exit(true);
    kv::send(to, true);
    std::string seen;
    while (seen.size() < 400) {
      kv::receive([&](const int& n) { seen += std::to_string(n); },
                  [&](const kv::exit_signal& s) { seen += s.reason.text(); });
    }
    kv::send(to, seen);
  });
  p.expect<bool>();
  std::string sent;
  for (int i = 0; i < 100; ++i) sent += "1a2b";
  inside(sender, [receiver] {
    for (int i = 0; i < 100; ++i) {
      kv::send(receiver, 1);
      kv::exit(receiver, exit_reason::custom("a"));
      kv::send(receiver, 2);
      kv::exit(receiver, exit_reason::custom("b"));
    }
  });
  CHECK(p.expect<std::string>() == sent);
}

TEST_CASE("casts, messages and calls of one sender are handled in the order they were sent") {
  struct recorder {
    std::string seen;
    void handle(const int& n) { seen += std::to_string(n); }
  };
  kv::runtime runtime({.threads = 2});
  const auto r = runtime.spawn<recorder>();
  const auto sender = runtime.spawn<blank>();
  std::string sent;
  for (int i = 0; i < 100; ++i) sent += "1ab";
  inside(sender, [r] {
    for (int i = 0; i < 100; ++i) {
      r.send(1);
      r.cast([](recorder& state) { state.seen += 'a'; });
      r.call([](recorder& state) { state.seen += 'b'; });
    }
  });
  CHECK(r.call([](recorder& state) { return state.seen; }) == sent);
}

}  // namespace signal_test
