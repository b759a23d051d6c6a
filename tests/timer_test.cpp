// Messages that are sent later. Most of these run in a simulation, whose time the test lets pass.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace timer_test {

using namespace std::chrono_literals;

namespace {

struct tick {
  int number = 0;
};

struct waker {
  kv::pid owner;
  using messages = kv::message_types<tick>;
  explicit waker(kv::pid to) : owner(to) { kv::send_after(1ms, kv::self(), tick{1}); }
  void handle(const tick& t) {
    if (t.number == 3) return kv::send(owner, t);
    kv::send_after(1ms, kv::self(), tick{t.number + 1});
  }
};

}  // namespace

TEST_SUITE("in simulation") {
  TEST_CASE("a message is sent after its time, exactly then and not before") {
    kv::simulation world;
    kv::testing::probe probe(world);
    probe.run([&] { kv::send_after(100ms, probe, tick{1}); });
    world.advance(100ms - 1ns);
    CHECK_FALSE(probe.has<tick>());
    world.advance(1ns);
    CHECK(probe.has<tick>());
    CHECK_FALSE(world.fire_next_timer());
  }

  TEST_CASE("timers go off by their time, those of one time in the order they were set") {
    kv::simulation world;
    kv::testing::probe probe(world);
    probe.run([&] {
      kv::send_after(2s, probe, tick{3});
      kv::send_after(1s, probe, tick{1});
      kv::send_after(1s, probe, tick{2});
      kv::send_after(3s, probe, tick{4});
    });
    world.advance(3s);
    for (int i = 1; i <= 4; ++i) CHECK(probe.expect<tick>().number == i);
  }

  TEST_CASE("cancel tells how long there was to go, and the message never comes") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto timer = probe.run([&] { return kv::send_after(1s, probe, tick{}); });
    world.advance(300ms);
    CHECK(probe.run([&] { return kv::time_left(timer); }) == 700ms);
    CHECK(probe.run([&] { return kv::cancel(timer); }) == 700ms);
    CHECK_FALSE(probe.run([&] { return kv::time_left(timer); }));
    CHECK_FALSE(probe.run([&] { return kv::cancel(timer); }));
    world.advance(10s);
    CHECK_FALSE(probe.has<tick>());
  }

  TEST_CASE("a timer that has gone off is gone") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto timer = probe.run([&] { return kv::send_after(1s, probe, tick{}); });
    world.advance(1s);
    CHECK_FALSE(probe.run([&] { return kv::time_left(timer); }));
    CHECK_FALSE(probe.run([&] { return kv::cancel(timer); }));
    CHECK(probe.has<tick>());
    CHECK_FALSE(probe.run([] { return kv::cancel({12345}); }));
  }

  TEST_CASE("a repeating timer neither drifts nor ends by itself") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto timer = probe.run([&] { return kv::send_every(10ms, probe, tick{}); });
    world.advance(105ms);
    int count = 0;
    while (probe.has<tick>()) ++count;
    CHECK(count == 10);
    CHECK(probe.run([&] { return kv::time_left(timer); }) == 5ms);
    CHECK(probe.run([&] { return kv::cancel(timer); }) == 5ms);
    world.advance(1s);
    CHECK_FALSE(probe.has<tick>());
  }

  TEST_CASE("timers go when the process that they are for ends") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto server = world.spawn<blank>();
    const auto once = probe.run([&] { return kv::send_after(1s, server, tick{}); });
    const auto often = probe.run([&] { return kv::send_every(1s, server, tick{}); });
    kv::testing::kill_and_await(world, server);
    CHECK_FALSE(probe.run([&] { return kv::time_left(once); }));
    CHECK_FALSE(probe.run([&] { return kv::time_left(often); }));
    CHECK_FALSE(world.fire_next_timer());
  }

  TEST_CASE("a timer for the dead is gone at once") {
    kv::simulation world;
    kv::testing::probe probe(world);
    const auto server = world.spawn<blank>();
    kv::testing::kill_and_await(world, server);
    const auto timer = probe.run([&] { return kv::send_after(1s, server, tick{}); });
    CHECK_FALSE(probe.run([&] { return kv::time_left(timer); }));
    const auto nobody = probe.run([&] { return kv::send_every(1s, kv::pid{}, tick{}); });
    CHECK_FALSE(probe.run([&] { return kv::cancel(nobody); }));
    CHECK_FALSE(world.fire_next_timer());
  }

  TEST_CASE("a message that its receiver cannot copy is dropped and reported, and the timer goes on") {
    struct brittle {
      int* copies;
      explicit brittle(int& count) : copies(&count) {}
      brittle(brittle&&) = default;
      brittle(const brittle& other) : copies(other.copies) {
        if (++*copies == 3) throw std::runtime_error("worn out");
      }
      brittle& operator=(const brittle&) = delete;
      brittle& operator=(brittle&&) = delete;
      ~brittle() = default;
    };
    reports seen;
    kv::simulation world({.runtime = {.on_report = seen.sink()}});
    kv::testing::probe probe(world);
    int copies = 0;
    probe.run([&] { kv::send_every(1s, probe, brittle(copies)); });
    world.advance(10s);
    int count = 0;
    while (probe.run([] { return kv::receive_for(0ns, [](const brittle&) {}); })) ++count;
    CHECK(count == 9);
    REQUIRE(seen.all<kv::oddity_report>().size() == 1);
    CHECK(seen.all<kv::oddity_report>()[0].what.find("brittle") != std::string::npos);
  }

  TEST_CASE("a million timers wait, are cancelled and go off") {
    kv::simulation world;
    kv::testing::probe probe(world);
    constexpr int many = 1'000'000;
    std::vector<kv::timer_ref> odd;
    probe.run([&] {
      for (int i = 0; i < many; ++i) {
        const auto timer = kv::send_after(std::chrono::milliseconds(many - i), probe, tick{i});
        if (i % 2 == 1) odd.push_back(timer);
      }
      for (const auto timer : odd) REQUIRE(kv::cancel(timer));
    });
    for (int left = many / 2; left > 0; --left) REQUIRE(world.fire_next_timer());
    CHECK_FALSE(world.fire_next_timer());
    for (int i = many - 2; i >= 0; i -= 2) REQUIRE(probe.expect<tick>().number == i);
  }
}

TEST_CASE("a delay of nothing sends at once, and there is nothing to cancel") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto timer = probe.run([&] { return kv::send_after(0ns, probe, tick{7}); });
  CHECK(probe.has<tick>());
  CHECK_FALSE(probe.run([&] { return kv::cancel(timer); }));
  probe.run([&] { kv::send_after(-1s, probe, tick{8}); });
  CHECK(probe.has<tick>());
}

TEST_CASE("a period of nothing is refused") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  CHECK_THROWS_WITH_AS(probe.run([&] { kv::send_every(0ns, probe, tick{}); }),
                       "send_every: the period is 0 ns; it must be more than 0", std::invalid_argument);
  CHECK_THROWS_AS(probe.run([&] { kv::send_every(-1ms, probe, tick{}); }), std::invalid_argument);
}

TEST_CASE("timers work only inside a process") {
  CHECK_THROWS_AS(kv::send_after(1s, kv::pid{}, tick{}), std::logic_error);
  CHECK_THROWS_AS(kv::cancel({}), std::logic_error);
}

TEST_CASE("a server sends itself a message for later") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  runtime.spawn<waker>(probe.id());
  CHECK(probe.expect<tick>().number == 3);
}

TEST_CASE("what is due first comes first, also when it was set last") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  probe.run([&] {
    kv::send_after(1h, probe, tick{2});
    kv::send_after(1ms, probe, tick{1});
  });
  CHECK(probe.expect<tick>().number == 1);
}

TEST_CASE("a runtime ends while timers are set") {
  kv::runtime runtime({.threads = 1});
  runtime.spawn([] {
    kv::send_after(1h, kv::self(), tick{});
    kv::send_every(1us, kv::self(), tick{});
    for (int i = 0; i < 100; ++i) kv::receive<tick>();
    kv::receive<std::string>();
  });
}

}  // namespace timer_test
