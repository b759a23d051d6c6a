// Mailboxes with a limit.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace mailbox_test {

using namespace std::chrono_literals;

namespace {

struct parcel {
  int number = 0;
};
struct handled {
  int number = 0;
};

/// Tells of every parcel that it has handled.
struct clerk {
  kv::pid to;
  using messages = kv::message_types<parcel>;
  clerk(kv::pid reader, std::uint32_t limit, kv::when_full how = kv::when_full::drop) : to(reader) {
    kv::limit_mailbox(limit, how);
  }
  void handle(const parcel& p) { kv::send(to, handled{p.number}); }
  int answer() { return 42; }
};

std::uint64_t dropped(const kv::runtime& home, kv::pid who) {
  const auto info = home.info(who);
  return info ? info->dropped : 0;
}

struct watcher_of_one {
  kv::pid to;
  explicit watcher_of_one(kv::pid reader) : to(reader) { kv::limit_mailbox(1); }
  using messages = kv::message_types<parcel>;
  void handle(const parcel&) {}
  void handle(const kv::down& d) { kv::send(to, d); }
  void watch(kv::pid who) { kv::monitor(who); }
};

}  // namespace

TEST_CASE("what a full mailbox has no room for is dropped and counted, and the rest is handled") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn_named<clerk>("clerk", probe.id(), 3U);
  {
    const kv::testing::suspended frozen(runtime, server);
    for (int i = 1; i <= 10; ++i) runtime.send(server, parcel{i});
    CHECK(dropped(runtime, server) == 7);
  }
  for (int i = 1; i <= 3; ++i) CHECK(probe.expect<handled>().number == i);
  CHECK(server.call(&clerk::answer) == 42);  // so nothing more comes
  CHECK_FALSE(probe.has<handled>());
  const auto told = seen.all<kv::overload_report>();
  REQUIRE(told.size() == 1);  // once for all of them
  CHECK(told[0].who == server.id());
  CHECK(told[0].name == "clerk");
  CHECK(told[0].limit == 3);
}

TEST_CASE("a mailbox that has emptied has room again, and its next overflow is reported again") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 2U);
  for (int round = 1; round <= 3; ++round) {
    {
      const kv::testing::suspended frozen(runtime, server);
      for (int i = 0; i < 5; ++i) runtime.send(server, parcel{i});
    }
    for (int i = 0; i < 2; ++i) CHECK(probe.expect<handled>().number == i);
    CHECK(seen.all<kv::overload_report>().size() == static_cast<std::size_t>(round));
    CHECK(dropped(runtime, server) == static_cast<std::uint64_t>(3 * round));
  }
}

TEST_CASE("a call to a full mailbox is refused at once") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U, kv::when_full::block);
  const kv::testing::suspended frozen(runtime, server);
  runtime.send(server, parcel{1});
  try {
    server.call(&clerk::answer);
    FAIL("the call got through");
  } catch (const kv::call_error& e) {
    CHECK(e.why() == kv::call_error::code::overloaded);
    CHECK(e.callee() == server.id());
    CHECK(std::string(e.what()).find("overloaded") != std::string::npos);
  }
  CHECK_THROWS_AS(probe.run([&] { return server.send_request(&clerk::answer); }), kv::call_error);
}

TEST_CASE("signals get into a full mailbox") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U);
  probe.monitor(server);
  const kv::testing::suspended frozen(runtime, server);
  for (int i = 0; i < 3; ++i) runtime.send(server, parcel{i});
  runtime.exit(server, kv::exit_reason::kill);
  CHECK(probe.expect_down(server).reason == kv::exit_reason::killed);
}

TEST_CASE("a down and the answer to a call get into a full mailbox") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto victim = runtime.spawn<blank>();
  const auto server = runtime.spawn<watcher_of_one>(probe.id());
  server.call(&watcher_of_one::watch, victim.id());
  {
    const kv::testing::suspended frozen(runtime, server);
    for (int i = 0; i < 3; ++i) runtime.send(server, parcel{i});
    kv::testing::kill_and_await(runtime, victim);
  }
  CHECK(probe.expect<kv::down>().from == victim.id());
}

TEST_CASE("a script takes what it wants, and what it leaves counts") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto script = runtime.spawn([to = probe.id()] {
    kv::limit_mailbox(2);
    kv::send(to, handled{0});
    kv::receive<std::string>();
    while (const auto next = kv::receive_for<parcel>(0ns)) kv::send(to, handled{next->number});
    kv::send(to, handled{-1});
  });
  CHECK(probe.expect<handled>().number == 0);
  runtime.send(script, parcel{1});
  runtime.send(script, std::string("go on"));
  CHECK(probe.expect<handled>().number == 1);
  CHECK(probe.expect<handled>().number == -1);
}

TEST_CASE("a sender that is to wait goes on when there is room") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 2U, kv::when_full::block);
  constexpr int many = 1000;
  const auto send_all = [server](int first) {
    for (int i = first; i < first + many; ++i) kv::send(server, parcel{i});
  };
  for (int sender = 0; sender < 3; ++sender) {
    probe.run([&] { kv::spawn_monitor([=] { send_all(sender * many); }); });
  }
  int last[3] = {-1, -1, -1};
  for (int count = 0; count < 3 * many; ++count) {
    const auto number = probe.expect<handled>().number;
    REQUIRE(number % many == last[number / many] + 1);  // each in its order, none lost
    last[number / many] = number % many;
  }
  for (int sender = 0; sender < 3; ++sender) CHECK(probe.expect<kv::down>().reason == kv::exit_reason::normal);
  CHECK(dropped(runtime, server) == 0);
}

TEST_CASE("a sender that waits can be killed, and the others still get in") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U, kv::when_full::block);
  kv::pid doomed;
  kv::pid other;
  {
    const kv::testing::suspended frozen(runtime, server);
    runtime.send(server, parcel{1});
    const auto sends = [&](int number) {
      const auto who = runtime.spawn([=, to = probe.id()] {
        kv::send(to, number);
        kv::send(server, parcel{number});
      });
      probe.monitor(who);
      probe.expect<int>();
      return who;
    };
    doomed = sends(2);
    other = sends(3);
    runtime.exit(doomed, kv::exit_reason::kill);
    CHECK(probe.expect_down(doomed).reason == kv::exit_reason::killed);
  }
  CHECK(probe.expect<handled>().number == 1);
  CHECK(probe.expect<handled>().number == 3);
  CHECK(probe.expect_down(other).reason == kv::exit_reason::normal);
}

TEST_CASE("a sender that waits goes on when the receiver dies") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U, kv::when_full::block);
  const kv::testing::suspended frozen(runtime, server);
  runtime.send(server, parcel{1});
  const auto sender = runtime.spawn([=, to = probe.id()] {
    kv::send(to, std::string("sending"));
    kv::send(server, parcel{2});
    kv::send(server, parcel{3});  // to the dead: nothing happens
  });
  probe.monitor(sender);
  probe.expect<std::string>();
  runtime.exit(server, kv::exit_reason::kill);
  CHECK(probe.expect_down(sender).reason == kv::exit_reason::normal);
}

TEST_CASE("a leaf cannot wait for room") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U, kv::when_full::block);
  const auto leaf = runtime.spawn<blank_leaf>();
  const kv::testing::suspended frozen(runtime, server);
  runtime.send(server, parcel{1});
  leaf.call([server](blank_leaf&) { CHECK_THROWS_AS(kv::send(server, parcel{2}), kv::leaf_blocked); });
}

TEST_CASE("a limit can be changed, but not to nothing") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<clerk>(probe.id(), 1U);
  CHECK_THROWS_WITH_AS(probe.run([] { kv::limit_mailbox(0); }),
                       "limit_mailbox: the limit is 0; at least 1 message must have room", std::invalid_argument);
  server.call([](clerk&) { kv::limit_mailbox(5); });
  const kv::testing::suspended frozen(runtime, server);
  for (int i = 0; i < 7; ++i) runtime.send(server, parcel{i});
  CHECK(dropped(runtime, server) == 2);
}

TEST_CASE("the next process of a slot has a mailbox without a limit, and its own count") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto first = runtime.spawn<clerk>(probe.id(), 1U);
  for (int i = 0; i < 5; ++i) {
    const auto before = runtime.spawn<clerk>(probe.id(), 1U);
    runtime.send(before, parcel{0});
    kv::testing::kill_and_await(runtime, before);
  }
  const auto after = runtime.spawn<clerk>(probe.id(), 3U);
  const kv::testing::suspended frozen(runtime, after);
  for (int i = 0; i < 3; ++i) runtime.send(after, parcel{i});
  CHECK(dropped(runtime, after) == 0);
  CHECK(runtime.alive(first));
}

TEST_CASE("what came by an alias that is taken back makes room") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<blank>();
  server.call([&](blank&) {
    kv::limit_mailbox(2);
    for (int round = 0; round < 3; ++round) {
      const auto address = kv::make_alias();
      kv::send(address, parcel{1});
      static_cast<void>(kv::receive_for<handled>(0ns));  // looks through what has come
      kv::send(address, parcel{2});
      kv::unalias(address);
      static_cast<void>(kv::receive_for<handled>(0ns));
    }
    CHECK(runtime.info(kv::self())->within->mailbox == 0);
    for (int i = 0; i < 2; ++i) kv::send(kv::self(), parcel{i});
    CHECK(runtime.info(kv::self())->dropped == 0);
  });
}

}  // namespace mailbox_test
