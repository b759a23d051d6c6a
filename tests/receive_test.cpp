// Promises under test: a function that is a process takes its messages when and in the order it likes, and waits no
// longer than it said; a server gets what it has a handle() for, and what it has not is reported and dropped.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace receive_test {

using namespace std::chrono_literals;
using kv::testing::probe;

namespace {

struct milk {
  int litres = 0;
};
struct eggs {
  int count = 0;
};

/// Takes milk from anybody, and eggs from those who know what it is.
struct shopper {
  using messages = kv::message_types<milk>;
  std::string bag;
  void handle(const milk& m) { bag += "m" + std::to_string(m.litres); }
  void handle(const eggs& e) { bag += "e" + std::to_string(e.count); }
};

std::string bag_of(const kv::ref<shopper>& s) {
  return s.call([](shopper& state) { return state.bag; });
}

}  // namespace

TEST_CASE("a function takes messages in the order of their arrival") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    std::vector<int> seen;
    while (seen.size() < 1000) seen.push_back(kv::receive<int>());
    kv::send(to, seen);
  });
  std::vector<int> sent;
  for (int i = 0; i < 1000; ++i) {
    sent.push_back(i);
    runtime.send(reader, i);
  }
  CHECK(p.expect<std::vector<int>>() == sent);
}

TEST_CASE("messages of other types stay, in their order") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    const auto go = kv::receive<bool>();
    const auto third = kv::receive<eggs>();
    const auto first = kv::receive<milk>();
    const auto second = kv::receive<milk>();
    const auto nothing = kv::receive_for<milk>(0ns);
    kv::send(to, std::vector{int{go}, third.count, first.litres, second.litres, int{nothing.has_value()}});
  });
  runtime.send(reader, milk{1});
  runtime.send(reader, milk{2});
  runtime.send(reader, eggs{3});
  runtime.send(reader, true);
  CHECK(p.expect<std::vector<int>>() == std::vector{1, 3, 1, 2, 0});
}

TEST_CASE("receive with several handlers takes whatever fits first") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    kv::receive<bool>();
    std::string seen;
    for (int i = 0; i < 3; ++i) {
      kv::receive([&](const eggs& e) { seen += "e" + std::to_string(e.count); },
                  [&](const milk& m) { seen += "m" + std::to_string(m.litres); });
    }
    kv::send(to, seen + std::to_string(kv::receive<int>()));
  });
  runtime.send(reader, 9);
  runtime.send(reader, milk{1});
  runtime.send(reader, eggs{2});
  runtime.send(reader, milk{3});
  runtime.send(reader, true);
  CHECK(p.expect<std::string>() == "m1e2m39");
}

TEST_CASE("receive_if takes the first message that is wanted and leaves the others") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    kv::receive<bool>();
    const auto even = kv::receive_if<int>([](const int& n) { return n % 2 == 0; });
    const auto none = kv::receive_if<int>([](const int& n) { return n > 100; }, 1ms);
    const auto left = kv::receive<int>();
    kv::send(to, std::vector{*even, int{none.has_value()}, left, kv::receive<int>()});
  });
  for (const int n : {1, 2, 4}) runtime.send(reader, n);
  runtime.send(reader, true);
  CHECK(p.expect<std::vector<int>>() == std::vector{2, 0, 1, 4});
}

TEST_CASE("a receive that waits is woken by the message it wants, and not ended by others") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    kv::send(to, true);
    kv::send(to, kv::receive<eggs>().count);
    kv::send(to, kv::receive<milk>().litres);
  });
  p.expect<bool>();
  runtime.send(reader, milk{1});
  runtime.send(reader, 5);
  runtime.send(reader, eggs{2});
  CHECK(p.expect<int>() == 2);
  CHECK(p.expect<int>() == 1);
}

TEST_CASE("a receive with a deadline gives up when nothing fits, and takes what fits") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    kv::receive<bool>();
    const bool zero = kv::receive_for(0ns, [](const eggs&) {});
    const bool negative = kv::receive_for(-1h, [](const eggs&) {});
    const bool brief = kv::receive_for(1ms, [](const eggs&) {});
    const bool there = kv::receive_for(0ns, [](const milk&) {});
    const bool gone = kv::receive_for(0ns, [](const milk&) {});
    kv::send(to, std::vector<int>{zero, negative, brief, there, gone});
  });
  runtime.send(reader, milk{});
  runtime.send(reader, true);
  CHECK(p.expect<std::vector<int>>() == std::vector{0, 0, 0, 1, 0});
}
TEST_CASE("a deadline of zero looks and does not wait") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  runtime.spawn([to = kv::pid(p)] {
    kv::spawn([me = kv::self()] { kv::send(me, 1); });
    kv::send(to, kv::receive_for<int>(0ns).has_value());  // the sender has had no chance to run
  });
  CHECK_FALSE(p.expect<bool>());
}
TEST_CASE("a leaf may look for a message with a deadline of zero") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto leaf = runtime.spawn<blank_leaf>();
  CHECK_FALSE(leaf.call([](blank_leaf&) { return kv::receive_for<int>(0ns).has_value(); }));
}

TEST_CASE("many receives with deadlines of their own all give up") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (int i = 0; i < 200; ++i) {
    runtime.spawn(
        [to = kv::pid(p), i] { kv::send(to, kv::receive_for<int>(std::chrono::microseconds(i * 10)).has_value()); });
  }
  for (int i = 0; i < 200; ++i) CHECK_FALSE(p.expect<bool>());
}

TEST_CASE("a message that comes while its receiver's deadline passes is taken or stays, and is never lost") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (int i = 0; i < 500; ++i) {
    const auto reader = runtime.spawn([to = kv::pid(p), i] {
      kv::send(to, true);
      const auto in_time = kv::receive_for<int>(std::chrono::microseconds(i % 20));
      kv::send(to, in_time ? *in_time : kv::receive<int>());
    });
    p.expect<bool>();
    runtime.send(reader, i);
    CHECK(p.expect<int>() == i);
  }
}

TEST_CASE("a message that can only be moved arrives") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] { kv::send(to, *kv::receive<std::unique_ptr<int>>()); });
  runtime.send(reader, std::make_unique<int>(7));
  CHECK(p.expect<int>() == 7);
}

TEST_CASE("a handler that throws ends the process, and the message is taken") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto reader = runtime.spawn([to = kv::pid(p)] {
    try {
      kv::receive([](const int&) { throw std::runtime_error("no milk"); });
    } catch (const std::runtime_error&) {
      kv::send(to, kv::receive<int>());
    }
    kv::receive([](const int&) { throw std::runtime_error("no eggs"); });
  });
  p.monitor(reader);
  for (const int n : {1, 2, 3}) runtime.send(reader, n);
  CHECK(p.expect<int>() == 2);
  CHECK(p.expect_down(reader).reason.text() == "no eggs");
}

// Servers ---------------------------------------------------------------------------------------------------------

TEST_CASE("a server gets listed messages from everybody, and others from those who know its class") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto s = runtime.spawn<shopper>();
  runtime.send(s, milk{1});
  s.send(milk{2});
  s.send(eggs{3});
  CHECK(bag_of(s) == "m1m2e3");
  CHECK(seen.all<kv::unhandled_report>().empty());
}

TEST_CASE("a message that a server has no handle for is reported, dropped and harmless") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto s = runtime.spawn<shopper>();
  runtime.send(s, eggs{1});  // not listed, so nobody who knows only the pid reaches it
  runtime.send(s, 42);
  runtime.send(s, milk{2});
  CHECK(bag_of(s) == "m2");
  const auto dropped = seen.all<kv::unhandled_report>();
  REQUIRE(dropped.size() == 2);
  CHECK(dropped[0].who == s.id());
  CHECK(dropped[0].type.find("shopper") != std::string::npos);
  CHECK(dropped[0].message.find("eggs") != std::string::npos);
  CHECK(dropped[1].message == "int");
}

TEST_CASE("a server that lists nothing drops every message but the runtime's own that it handles") {
  struct watcher {
    kv::pid to;
    explicit watcher(kv::pid reader) : to(reader) {}
    void handle(const kv::down& news) { kv::send(to, news.tag); }
  };
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto w = runtime.spawn<watcher>(p.id());
  const auto other = runtime.spawn<blank>();
  w.call([other](watcher&) { kv::monitor(other, "milk"); });
  runtime.send(w, milk{});
  other.stop();
  CHECK(p.expect<std::string>() == "milk");
  CHECK(seen.all<kv::unhandled_report>().size() == 1);
}

TEST_CASE("a server that receives inside a callback takes messages past its handlers") {
  kv::runtime runtime({.threads = 1});
  const auto s = runtime.spawn<shopper>();
  s.cast([](shopper& state) { state.bag += "r" + std::to_string(kv::receive<eggs>().count); });
  runtime.send(s, milk{1});
  s.send(eggs{2});
  CHECK(bag_of(s) == "r2m1");
}

TEST_CASE("only a process can send with kv::send and receive") {
  CHECK_THROWS_AS(kv::send(kv::pid{}, 1), std::logic_error);
  CHECK_THROWS_AS(kv::receive<int>(), std::logic_error);
  CHECK_THROWS_AS(static_cast<void>(kv::receive_for<int>(0ns)), std::logic_error);
}

}  // namespace receive_test
