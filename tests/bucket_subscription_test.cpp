// Promises under test: who is subscribed to a bucket is told of every change, once and in order; nobody else is, and who
// has ended is forgotten.
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "reports.hpp"
#include "servers.hpp"

namespace bucket_subscription_test {

using kv::bucket;
using kv::bucket_changed;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct go_on {};

void subscribe(probe& p, const kv::ref<bucket>& b) {
  p.run([&] { kv::subscribe(b); });
}

std::size_t subscribers(const kv::ref<bucket>& b) { return b.call(&bucket::subscriber_count); }

}  // namespace

TEST_CASE("subscribes to puts and deletes") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  b.call(&bucket::put, "milk", "3");
  CHECK(p.expect<bucket_changed>() == bucket_changed{b, "milk", "3"});
  b.cast(&bucket::erase, "milk");  // also from elsewhere
  CHECK(p.expect<bucket_changed>() == bucket_changed{b, "milk", std::nullopt});
}

TEST_CASE("a change is in the subscriber's mailbox when the call that made it returns") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  for (int i = 0; i < 100; ++i) {
    b.call(&bucket::put, "milk", std::to_string(i));
    REQUIRE(p.has<bucket_changed>());
  }
}

TEST_CASE("who subscribes twice is told once") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  subscribe(p, b);
  CHECK(subscribers(b) == 1);
  b.call(&bucket::put, "milk", "3");
  CHECK(p.has<bucket_changed>());
  CHECK_FALSE(p.has<bucket_changed>());
  CHECK(p.run([&] { return kv::unsubscribe(b); }));
  CHECK(subscribers(b) == 0);
}

TEST_CASE("who is not subscribed, or not any more, hears nothing") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  probe other(runtime);
  const auto b = runtime.spawn<bucket>();
  CHECK_FALSE(p.run([&] { return kv::unsubscribe(b); }));
  subscribe(p, b);
  subscribe(other, b);
  CHECK(p.run([&] { return kv::unsubscribe(b); }));
  CHECK_FALSE(p.run([&] { return kv::unsubscribe(b); }));
  b.call(&bucket::put, "milk", "3");
  CHECK(other.has<bucket_changed>());
  CHECK_FALSE(p.has<bucket_changed>());
  subscribe(p, b);
  b.call(&bucket::put, "milk", "4");
  CHECK(p.expect<bucket_changed>().value == "4");
}

TEST_CASE("putting the value that is there is told, deleting what is not there is not") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  CHECK(b.call(&bucket::erase, "milk") == std::nullopt);
  CHECK_FALSE(p.has<bucket_changed>());
  b.call(&bucket::put, "milk", "3");
  b.call(&bucket::put, "milk", "3");
  CHECK(p.has<bucket_changed>());
  CHECK(p.has<bucket_changed>());
  CHECK(b.call(&bucket::erase, "milk") == "3");
  CHECK(b.call(&bucket::erase, "milk") == std::nullopt);
  CHECK(p.has<bucket_changed>());
  CHECK_FALSE(p.has<bucket_changed>());
}

TEST_CASE("reading changes nothing") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  b.call(&bucket::put, "milk", "3");
  subscribe(p, b);
  b.call(&bucket::get, "milk");
  b.call(&bucket::keys);
  b.call(&bucket::size);
  CHECK_FALSE(p.has<bucket_changed>());
}

TEST_CASE("changes of two buckets are told apart") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<bucket>();
  const auto b = runtime.spawn<bucket>();
  subscribe(p, a);
  subscribe(p, b);
  b.call(&bucket::put, "milk", "3");
  a.call(&bucket::put, "milk", "4");
  CHECK(p.expect<bucket_changed>() == bucket_changed{b, "milk", "3"});
  CHECK(p.expect<bucket_changed>() == bucket_changed{a, "milk", "4"});
}

TEST_CASE("keys and values are told byte by byte") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  const std::string bytes("\0 \n\xff", 4);
  for (const auto& text : {bytes, std::string(), std::string(100'000, 'x')}) {
    b.call(&bucket::put, text, text);
    CHECK(p.expect<bucket_changed>() == bucket_changed{b, text, text});
  }
}

TEST_CASE("a thousand subscribers are all told") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  const int count = 1000;
  for (int i = 0; i < count; ++i) {
    runtime.spawn([b, to = p.id()] {
      kv::subscribe(b);
      kv::send(to, go_on{});
      kv::send(to, kv::receive<bucket_changed>());
    });
  }
  for (int i = 0; i < count; ++i) p.expect<go_on>();
  CHECK(subscribers(b) == count);
  b.call(&bucket::put, "milk", "3");
  for (int i = 0; i < count; ++i) REQUIRE(p.expect<bucket_changed>() == bucket_changed{b, "milk", "3"});
}

TEST_CASE("a subscriber that has ended is forgotten, and the others are told") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  const std::vector<void (*)()> ends{[] { kv::exit(kv::exit_reason::normal); },
                                     [] { kv::exit(kv::exit_reason::shutdown); },
                                     [] { throw std::runtime_error("sour"); }};
  for (const auto end : ends) {
    const auto other = runtime.spawn<blank>();
    inside(other, [b] { kv::subscribe(b); });
    CHECK(subscribers(b) == 2);
    CHECK_THROWS_AS(inside(other, end), kv::call_error);  // who calls hears of it after who monitors
    CHECK(subscribers(b) == 1);
    b.call(&bucket::put, "milk", "3");
    CHECK(p.expect<bucket_changed>().value == "3");
  }
}

TEST_CASE("a subscriber whose mailbox is full misses changes, and does the bucket no harm") {
  for (const auto how : {kv::when_full::drop, kv::when_full::block}) {
    kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
    probe p(runtime);
    const auto b = runtime.spawn<bucket>();
    const auto full = runtime.spawn([b, how, to = p.id()] {
      kv::limit_mailbox(1, how);
      kv::subscribe(b);
      kv::send(to, go_on{});
      kv::receive<go_on>();
    });
    p.expect<go_on>();
    subscribe(p, b);
    for (int i = 0; i < 10; ++i) b.call(&bucket::put, "milk", std::to_string(i));
    for (int i = 0; i < 10; ++i) CHECK(p.expect<bucket_changed>().value == std::to_string(i));
    CHECK(b.call(&bucket::get, "milk") == "9");
    kill_and_await(runtime, full);
  }
}

TEST_CASE("the dead cannot subscribe") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto b = runtime.spawn<bucket>();
  const auto dead = runtime.spawn([] {});
  probe p(runtime);
  p.monitor(dead);
  p.expect_down(dead);
  b.call(&bucket::subscribe, dead);
  b.call(&bucket::subscribe, kv::pid{});
  b.call(&bucket::put, "milk", "3");
  CHECK(subscribers(b) == 0);
  CHECK(seen.all<kv::unhandled_report>().empty());
}

TEST_CASE("nobody can subscribe to a dead bucket") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  subscribe(p, b);
  kill_and_await(runtime, b);
  CHECK_THROWS_AS(subscribe(p, b), kv::call_error);
  CHECK_THROWS_AS(p.run([&] { return kv::unsubscribe(b); }), kv::call_error);
  CHECK_FALSE(p.has<bucket_changed>());  // its end is for monitors
}

TEST_CASE("a change prints itself as the guide does") {
  std::ostringstream out;
  out << bucket_changed{{}, "milk", "1"} << ", " << bucket_changed{{}, "milk", std::nullopt};
  CHECK(out.str() == "milk SET TO 1, milk DELETED");
}

TEST_CASE("a bucket without subscribers is as small as its entries and a pointer") {
  CHECK(sizeof(bucket) == sizeof(std::map<std::string, std::string, std::less<>>) + sizeof(void*));
}

TEST_CASE("what a subscriber was told last is what the bucket holds, whoever writes and dies meanwhile") {
  kv::explore(
      affordable(400),
      [](kv::simulation& world) {
        const auto b = world.spawn<bucket>();
        probe p(world);
        for (int writer = 0; writer < 3; ++writer) {
          world.spawn([b, writer] {
            for (int i = 0; i < 3; ++i) b.call(&bucket::put, "milk", std::to_string(10 * writer + i));
            if (writer == 0) b.call(&bucket::erase, "milk");
          });
        }
        const auto bystander = world.spawn([b] {
          kv::subscribe(b);
          kv::receive<go_on>();
        });
        world.spawn([bystander] { kv::exit(bystander, kv::exit_reason::kill); });
        p.run([&] { kv::subscribe(b); });
        auto known = b.call(&bucket::get, "milk");
        world.run_until_idle();
        while (const auto news = p.run([] { return kv::receive_for<bucket_changed>(std::chrono::nanoseconds(0)); })) {
          known = news->value;
        }
        require(known == b.call(&bucket::get, "milk"), "the last message is not the state");
        require(b.call(&bucket::subscriber_count) == 1, "a dead subscriber is kept");
      },
      replayable());
}

}  // namespace bucket_subscription_test
