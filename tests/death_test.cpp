// Promises under test: what a dying process leaves is destroyed by a process that lives, in its own name: by the dying
// one, by who sent it, or by the runtime's disposer, never by the next tenant of the slot. A death allocates nothing.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kv/detail/allocation.hpp>
#include <kv/explore.hpp>
#include <kv/kv.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "refusal.hpp"
#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace death_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Who destroyed things of a user's.
struct witness {
  kv::runtime* home = nullptr;
  unsigned by_nobody = 0;  // a plain thread
  unsigned by_dead = 0;
  std::vector<kv::pid> by = {};
};

/// Says who destroys it.
class traced {
 public:
  explicit traced(witness& to) : to_(&to) {}
  traced(traced&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  traced& operator=(traced&&) = delete;
  ~traced() {
    if (to_ == nullptr) return;
    const auto me = kv::self_if_any();
    if (!me) {
      ++to_->by_nobody;
    } else {
      if (!to_->home->alive(*me)) ++to_->by_dead;
      to_->by.push_back(*me);
    }
  }

 private:
  witness* to_;
};

/// The same where a copy is needed.
struct traced_row {
  std::shared_ptr<traced> what;
};

struct echo {
  int same(int n) { return n; }
  int later(const std::shared_ptr<traced>&) { return kv::receive<int>(); }
};

}  // namespace

TEST_CASE("what was sent to a dying process is destroyed by it, or by who sent it" *
          doctest::test_suite("in simulation")) {
  kv::explore(
      affordable(300),
      [](kv::simulation& world) {
        witness seen{.home = &world};
        kv::pid receiver, sender;
        {
          receiver = world.spawn([] { kv::receive<std::string>(); });
          sender = world.spawn([&] {
            for (int i = 0; i < 20; ++i) kv::send(receiver, traced(seen));
          });
          world.exit(receiver, exit_reason::kill);
          // One that would be the next to live in the slot.
          for (int i = 0; i < 3; ++i) world.spawn([] { kv::receive_for<int>(1s).has_value(); });
          world.run_until_idle();
        }
        require(seen.by.size() == 20, "each is destroyed once");
        for (const auto who : seen.by) require(who == receiver || who == sender, "by " + to_string(who));
        require(seen.by_dead == 0 && seen.by_nobody == 0, "by a living process");
      },
      replayable());
}

TEST_CASE("what came with a call whose caller is dead is destroyed by the runtime's disposer, and not by the server" *
          doctest::test_suite("in simulation")) {
  kv::simulation world;
  witness seen{.home = &world};
  const auto server = world.spawn<echo>();
  auto gift = std::make_shared<traced>(seen);
  const auto caller = world.spawn(
      [server, given = std::move(gift)]() mutable { server.call_for(kv::infinity, &echo::later, std::move(given)); });
  world.run_until_idle();
  world.exit(caller, exit_reason::kill);
  world.run_until_idle();
  world.send(server, 1);  // the server answers
  world.run_until_idle();
  REQUIRE(seen.by.size() == 1);
  CHECK(seen.by[0] != server.id());
  CHECK(seen.by[0] != caller);
  CHECK(seen.by_dead == 0);
  CHECK(server.call(&echo::same, 2) == 2);
}

TEST_CASE("the rows of a table that nobody inherits are destroyed by its owner, while it is alive") {
  kv::runtime runtime({.threads = 1});
  witness seen{.home = &runtime};
  const auto owner = runtime.spawn<blank>();
  auto t = kv::table<int, traced_row>::create(runtime, {.access = kv::table_access::public_, .owner = owner});
  for (int i = 0; i < 10; ++i) t.insert(i, {std::make_shared<traced>(seen)});
  kill_and_await(runtime, owner);
  CHECK(seen.by == std::vector(10, owner.id()));
  CHECK(seen.by_dead == 0);
}

TEST_CASE("what timers would have sent to a process is destroyed by it when it ends") {
  kv::runtime runtime({.threads = 1});
  witness seen{.home = &runtime};
  probe p(runtime);
  const auto sleeper = runtime.spawn<blank>();
  p.run([&] { kv::send_after(1h, sleeper, traced(seen)); });
  kill_and_await(runtime, sleeper);
  CHECK(seen.by == std::vector{sleeper.id()});
  CHECK(seen.by_dead == 0);
}

TEST_CASE("only processes that have been born are listed, also while one dies") {
  kv::runtime runtime({.threads = 1});
  std::vector<kv::pid> known, listed;
  struct lists {
    kv::runtime* home;
    std::vector<kv::pid>* to;
    ~lists() {
      if (to != nullptr) *to = home->processes();
    }
  };
  const auto other = runtime.spawn<blank>();
  const auto owner = runtime.spawn<blank>();
  auto t =
      kv::table<int, std::shared_ptr<lists>>::create(runtime, {.access = kv::table_access::public_, .owner = owner});
  t.insert(1, std::make_shared<lists>(&runtime, &listed));
  kill_and_await(runtime, owner);
  REQUIRE(listed.size() >= 2);
  CHECK(std::ranges::find(listed, owner.id()) != listed.end());
  const kv::pid next{owner.id().slot, owner.id().generation + 1, owner.id().node};
  CHECK(std::ranges::find(listed, next) == listed.end());
  CHECK_FALSE(runtime.alive(next));
  CHECK(other.alive());
}

// Without memory -------------------------------------------------------------------------------------------------

TEST_CASE("a death without any memory is told to links and monitors, and its table inherited" *
          doctest::test_suite("in simulation") * doctest::skip(sanitized)) {
  kv::simulation world;
  using rows = kv::table<int, int>;
  using transfer = kv::table_transfer<rows>;
  probe heir(world);
  probe watcher(world);
  const auto victim = world.spawn<blank>();
  const auto linked = world.spawn([victim] {
    kv::link(victim);
    kv::receive<int>();
  });
  watcher.monitor(victim, "a tag that is too long for a small string");
  watcher.run([&] {
    kv::trap_exit(true);
    kv::link(victim);
  });
  auto t = rows::create(world, {.name = "rows", .owner = victim, .heirs = {std::string("nobody"), heir.id()}},
                        std::string("a text that is too long for a small string"));
  world.run_until_idle();
  world.exit(victim, exit_reason::custom("a reason that is too long for a small string"));
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
  CHECK_FALSE(victim.alive());
  CHECK_FALSE(world.alive(linked));
  CHECK(watcher.expect_down(victim).tag == "a tag that is too long for a small string");
  CHECK(watcher.expect<kv::exit_signal>().from == victim.id());
  CHECK(t.owner() == heir.id());
  CHECK(heir.expect<transfer>().data == "a text that is too long for a small string");
}

TEST_CASE("a table waits for its heir's next incarnation, also when its owner dies without any memory" *
          doctest::test_suite("in simulation") * doctest::skip(sanitized)) {
  kv::simulation world;
  using rows = kv::table<int, int>;
  const auto victim = world.spawn<blank>();
  auto t = rows::create(world, {.owner = victim, .heirs = {std::string("a name that is too long to be small")}},
                        std::string("yours"));
  world.exit(victim, exit_reason::kill);
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
  CHECK_FALSE(t.owner());
  probe heir(world);
  world.register_name("a name that is too long to be small", heir.id());
  CHECK(t.owner() == heir.id());
  CHECK(heir.expect<kv::table_transfer<rows>>().data == "yours");
}

TEST_CASE("who asks for a tie to a process that has no memory for it is told, and the process goes on" *
          doctest::test_suite("in simulation") * doctest::skip(sanitized)) {
  kv::simulation world;
  probe watcher(world);
  const auto server = world.spawn<echo>();
  watcher.monitor(server);
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
  const auto news = watcher.expect<kv::down>();
  CHECK(news.reason.text() == "std::bad_alloc");
  CHECK(server.call(&echo::same, 3) == 3);
}

TEST_CASE("a crash for want of memory is told to those who watch" * doctest::test_suite("in simulation") *
          doctest::skip(sanitized)) {
  struct grower {
    void grow() { text = std::string(1000, 'x'); }
    std::string text;
  };
  kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
  probe watcher(world);
  const auto server = world.spawn<grower>();
  watcher.monitor(server);
  world.run_until_idle();
  server.cast(&grower::grow);
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
  CHECK(watcher.expect_down(server).reason.text() == "std::bad_alloc");
}

TEST_CASE("a timer that repeats leaves out the times for which there is no memory, and goes on" *
          doctest::test_suite("in simulation") * doctest::skip(sanitized)) {
  struct tick {};
  kv::simulation world;
  probe p(world);
  p.run([&] { kv::send_every(1s, p.id(), tick{}); });
  world.exhaust_memory(true);
  world.advance(3s);  // the first was there already
  world.exhaust_memory(false);
  world.advance(2s);
  unsigned came = 0;
  while (p.has<tick>()) ++came;
  CHECK(came == 3);
}

// Timers ---------------------------------------------------------------------------------------------------------

TEST_CASE("what a timer sends again and again is copied by its receiver") {
  struct note {
    explicit note(std::vector<std::optional<kv::pid>>& to) : copied(&to) {}
    note(const note& other) : copied(other.copied) { copied->push_back(kv::self_if_any()); }
    note(note&&) noexcept = default;
    std::vector<std::optional<kv::pid>>* copied;
  };
  kv::runtime runtime({.threads = 1});
  std::vector<std::optional<kv::pid>> copied;
  probe p(runtime);
  p.run([&] { kv::send_every(1ms, p.id(), note(copied)); });
  const auto before = copied.size();
  p.expect<note>();
  p.expect<note>();
  REQUIRE(copied.size() == before + 2);
  CHECK(copied[before] == p.id());
  CHECK(copied[before + 1] == p.id());
}

// The end of a runtime ---------------------------------------------------------------------------------------------

TEST_CASE("a runtime ends all its processes without any memory" * needs_threads * doctest::skip(sanitized)) {
  for (int round = 0; round < 20; ++round) {
    std::optional<kv::runtime> runtime(std::in_place,
                                       kv::runtime_options{.threads = 2, .on_report = [](const auto&) {}});
    for (int i = 0; i < 10; ++i) runtime->spawn<blank>();
    for (int i = 0; i < 10; ++i) runtime->spawn([] { kv::receive<int>(); });
    const kv::detail::exhausted_memory none(true);
    runtime.reset();
  }
}

// Slots ----------------------------------------------------------------------------------------------------------

TEST_CASE("one process more than may be is refused, and those that end make room") {
  kv::runtime runtime({.threads = 1, .max_processes = 4});
  probe p(runtime);
  const auto first = runtime.spawn<blank>();
  const auto second = runtime.spawn<blank_leaf>();
  const auto third = runtime.spawn<blank_leaf>();
  CHECK_THROWS_WITH_AS(runtime.spawn<blank_leaf>(),
                       "there are 4 processes, and no more may be (runtime_options::max_processes)", kv::system_limit);
  CHECK_THROWS_AS(runtime.spawn([] {}), kv::system_limit);
  CHECK_THROWS_AS(first.call([](blank&) { return 1; }), kv::system_limit);  // a plain thread that has to wait
  p.monitor(second);
  runtime.exit(second, exit_reason::kill);
  p.expect_down(second);
  CHECK(runtime.spawn<blank_leaf>().alive());
  CHECK(third.alive());
}

TEST_CASE("an option for processes that is out of its range is refused") {
  CHECK_THROWS_AS(kv::runtime({.max_processes = 0}), std::invalid_argument);
  CHECK_THROWS_AS(kv::runtime({.max_processes = kv::runtime_options::max_processes_limit + 1}), std::invalid_argument);
}

}  // namespace death_test
