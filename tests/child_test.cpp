// Promises under test: children that are spawned linked die with their parent and it with them, unless they end
// normally or it traps exits; a child that cannot start is told by start_error alone.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace child_test {

using kv::exit_reason;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

template <class T>
struct fragile {
  static constexpr bool leaf = T::leaf;
  fragile() { throw std::runtime_error("no milk"); }
};
struct yes {
  static constexpr bool leaf = true;
};
struct no {
  static constexpr bool leaf = false;
};

/// Traps exits, and takes none of the signals.
struct deaf {
  using messages = kv::message_types<>;
  deaf() { kv::trap_exit(true); }
};

}  // namespace

TEST_CASE("linked children die with their parent, and their children with them") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto parent = runtime.spawn<blank>();
  const auto child = parent.call([](blank&) { return kv::spawn_link<blank>(); });
  const auto leaf = parent.call([](blank&) { return kv::spawn_link<blank_leaf>(); });
  const auto grandchild = child.call([](blank&) { return kv::spawn_link([] { kv::receive<int>(); }); });
  for (const kv::pid id : {child.id(), leaf.id(), grandchild}) p.monitor(id);
  kill_and_await(runtime, parent);
  for (const kv::pid id : {child.id(), leaf.id(), grandchild}) CHECK(p.expect_down(id).reason == exit_reason::killed);
}

TEST_CASE("linked children outlive a parent that ends normally") {
  kv::runtime runtime({.threads = 2});
  const auto parent = runtime.spawn<blank>();
  const auto child = parent.call([](blank&) { return kv::spawn_link<blank>(); });
  parent.stop();
  inside(child, [] {});
}

TEST_CASE("a linked function that throws ends its parent, or is told to one that traps exits") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto child = p.run([] { return kv::spawn_link([] { throw std::runtime_error("no milk"); }); });
  const auto signal = p.expect<kv::exit_signal>();
  CHECK(signal.from == child);
  CHECK(signal.reason.text() == "no milk");

  const auto parent = runtime.spawn<blank>();
  p.monitor(parent);
  inside(parent, [] { kv::spawn_link([] { throw std::runtime_error("no eggs"); }); });
  CHECK(p.expect_down(parent).reason.text() == "no eggs");
  CHECK(seen.all<kv::crash_report>().size() == 2);
}

TEST_CASE("a linked server that crashes ends its parent") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto parent = runtime.spawn<blank>();
  const auto child = parent.call([](blank&) { return kv::spawn_link<blank>(); });
  p.monitor(parent);
  child.cast([](blank&) { throw std::runtime_error("no milk"); });
  CHECK(p.expect_down(parent).reason.text() == "no milk");
}

TEST_CASE_TEMPLATE("a constructor that throws is told by start_error alone and harms no parent", T, fragile<yes>,
                   fragile<no>) {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  CHECK_THROWS_WITH_AS(runtime.spawn<T>(), doctest::Contains("no milk"), kv::start_error);
  const auto parent = runtime.spawn<blank>();
  const auto text = parent.call([](blank&) {
    try {
      kv::spawn_link<T>();
    } catch (const kv::start_error& e) {
      return std::string(e.reason().text());
    }
    return std::string("started");
  });
  CHECK(text == "no milk");
  inside(parent, [] {});

  probe p(runtime);
  p.run([] { CHECK_THROWS_AS(kv::spawn_link<T>(), kv::start_error); });
  CHECK_FALSE(p.has<kv::exit_signal>());
  CHECK(seen.all<kv::crash_report>().empty());
}

TEST_CASE("a process that is killed while it constructs is told by start_error alone") {
  struct patient {
    explicit patient(kv::pid to) {
      kv::send(to, kv::self());
      kv::receive<int>();
    }
  };
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto parent = runtime.spawn<blank>();
  parent.cast([to = kv::pid(p)](blank&) {
    try {
      kv::spawn_link<patient>(to);
    } catch (const kv::start_error& e) {
      kv::send(to, e.reason());
    }
  });
  runtime.exit(p.expect<kv::pid>(), exit_reason::kill);
  CHECK(p.expect<exit_reason>() == exit_reason::killed);
  inside(parent, [] {});
}

TEST_CASE("a trapping server without a handler for exit signals ends with its parent and with nobody else") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto parent = runtime.spawn<blank>();
  const auto peer = runtime.spawn<blank>();
  const auto server = parent.call([](blank&) { return kv::spawn_link<deaf>(); });
  server.call([peer](deaf&) { kv::link(peer); });
  CHECK(kill_and_await(runtime, peer) == exit_reason::killed);
  server.call([](deaf&) {});  // lives
  REQUIRE(seen.all<kv::unhandled_report>().size() == 1);
  CHECK(seen.all<kv::unhandled_report>()[0].who == server.id());
  p.monitor(server);
  kill_and_await(runtime, parent);
  CHECK(p.expect_down(server).reason == exit_reason::killed);
}

}  // namespace child_test
