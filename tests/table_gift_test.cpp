// Promises under test: an owner gives his table to somebody who lives, who is told; otherwise nothing changes. No row
// moves, and no reader notices.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "owners.hpp"
#include "threads.hpp"

namespace table_gift_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Gives every table that it gets to another process, so many times.
struct passes_on {
  int left;
  kv::pid to = {};
  explicit passes_on(int times) : left(times) {}
  void set(kv::pid other) { to = other; }
  using messages = kv::message_types<transfer>;
  void handle(const transfer& t) {
    if (left-- > 0) numbers(t.table).give_away(to);
  }
};

struct note {};

}  // namespace

TEST_CASE("who is given a table owns it, and is told what, by whom, and what he said") {
  kv::runtime runtime({.threads = 1});
  probe giver(runtime), receiver(runtime);
  auto t = make_table(runtime, {.owner = giver});
  giver.run([&] { t.give_away(receiver, "yours"); });
  CHECK(t.owner() == receiver.id());
  const auto told = receiver.expect<transfer>();
  CHECK(told.table == t);
  CHECK(told.from == giver.id());
  CHECK(told.data == "yours");
  CHECK(is_whole(t));
  CHECK(giver.run([&] { return refusal([&] { t.drop(); }); }) == code::access);
  receiver.run([&] { t.drop(); });
  CHECK(is_gone(t));
}

TEST_CASE("what the giver says may be anything that can be moved") {
  using said = std::unique_ptr<int>;
  kv::runtime runtime({.threads = 1});
  probe giver(runtime), receiver(runtime);
  auto t = make_table(runtime, {.owner = giver});
  giver.run([&] { t.give_away(receiver, std::make_unique<int>(7)); });
  receiver.run([] { kv::receive([](const kv::table_transfer<numbers, said>& told) { CHECK(*told.data == 7); }); });
  receiver.run([&] { t.give_away(giver); });
  CHECK(giver.expect<transfer>().data.empty());
}

TEST_CASE("the message comes in its turn among what the giver sends") {
  kv::runtime runtime({.threads = 1});
  probe receiver(runtime);
  const auto giver = runtime.spawn<blank>();
  auto t = make_table(runtime, {.owner = giver});
  giver.call([t, to = receiver.id()](blank&) mutable {
    kv::send(to, note{});
    t.give_away(to);
  });
  receiver.run([] { kv::receive([](const note&) {}, [](const transfer&) { FAIL("a message was overtaken"); }); });
  CHECK(receiver.has<transfer>());
}

TEST_CASE("a gift to the owner, the dead, a foreigner or nobody is refused, and so is one by anybody else") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  probe owner(runtime);
  const auto stranger = runtime.spawn<taker>();
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  auto t = make_table(runtime, {.name = "shopping", .owner = owner, .heirs = {stranger.id()}}, "yours");
  const auto by_owner = [&](kv::pid to) { return owner.run([&] { return refusal([&] { t.give_away(to); }); }); };
  CHECK(by_owner(owner) == code::already_owner);
  CHECK(by_owner(dead) == code::no_owner);
  CHECK(by_owner(elsewhere.spawn<blank>()) == code::no_owner);
  CHECK(by_owner(kv::pid{}) == code::no_owner);
  CHECK(refusal([&] { t.give_away(stranger); }) == code::access);  // a plain thread
  const auto by_stranger = [t](taker&) mutable { return refusal([&] { t.give_away(kv::self()); }); };
  CHECK(stranger.call(by_stranger) == code::access);
  CHECK_THROWS_WITH(owner.run([&] { t.give_away(dead); }),
                    ("table shopping is not given away: " + to_string(dead.id()) + " is dead").c_str());
  CHECK(t.owner() == owner.id());
  CHECK(t.info().heirs == std::vector<heir>{stranger.id()});
  CHECK(is_whole(t));
  CHECK(stranger.call([](taker& state) { return state.got.empty(); }));
  owner.run([&] { t.drop(); });
  CHECK(by_owner(stranger) == code::no_table);
}

TEST_CASE("heirs stay when a table is given away: who gave it gets it back") {
  kv::runtime runtime({.threads = 1});
  probe giver(runtime);
  auto t = make_table(runtime, {.owner = giver, .heirs = {giver.id()}}, "back");
  for (int i = 0; i < 20; ++i) {
    const auto receiver = runtime.spawn<taker>();
    giver.run([&] { t.give_away(receiver); });
    CHECK(t.owner() == receiver.id());
    kill_and_await(runtime, receiver);
    const auto told = giver.expect<transfer>();
    CHECK(told.from == receiver.id());
    CHECK(told.data == "back");
    CHECK(t.owner() == giver.id());
  }
  CHECK(is_whole(t));
}

TEST_CASE("a gift to a process that is dying goes to the heir") {
  struct asks {
    probe& test;
    numbers table;
    asks(probe& p, numbers t) : test(p), table(std::move(t)) {}
    void on_exit(const kv::exit_reason&) {
      test.run([this, me = kv::self()] { table.give_away(me); });
    }
  };
  kv::runtime runtime({.threads = 1});
  probe giver(runtime);
  auto t = make_table(runtime, {.owner = giver, .heirs = {giver.id()}}, "back");
  const auto dying = runtime.spawn<asks>(std::ref(giver), t);
  giver.monitor(dying);
  dying.cast([](asks&) { kv::exit(kv::exit_reason::normal); });
  CHECK(giver.expect<transfer>().from == dying.id());
  CHECK(t.owner() == giver.id());
}

TEST_CASE("a mailbox that is full has room for a table") {
  kv::runtime runtime({.threads = 1});
  probe giver(runtime), receiver(runtime);
  receiver.run([] { kv::limit_mailbox(1); });
  runtime.send(receiver, note{});
  auto t = make_table(runtime, {.owner = giver});
  giver.run([&] { t.give_away(receiver); });
  CHECK(receiver.expect<transfer>().table == t);
}

TEST_CASE("a process that has just been born can be given a table") {
  struct waits {
    explicit waits(kv::pid test) {
      kv::send(test, kv::self());
      CHECK(kv::receive<transfer>().table.owner() == kv::self());
    }
  };
  kv::runtime runtime({.threads = 1});
  probe giver(runtime);
  auto t = make_table(runtime, {.owner = giver});
  const auto nurse = runtime.spawn([test = giver.id()] { kv::spawn<waits>(test).stop(); });
  giver.monitor(nurse);
  const auto born = giver.expect<kv::pid>();
  giver.run([&] { t.give_away(born); });
  CHECK(giver.expect_down(nurse).reason == kv::exit_reason::normal);
  CHECK(is_gone(t));
}

TEST_CASE("readers of a table that is passed to and fro find every row, always" * needs_threads) {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto a = runtime.spawn<passes_on>(2'000), b = runtime.spawn<passes_on>(2'000);
  a.call(&passes_on::set, b.id());
  b.call(&passes_on::set, p.id());
  auto t = make_table(runtime, {.owner = p});
  std::atomic<bool> is_over{false};
  std::atomic<long> missing{0};
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 2; ++i) {
      readers.emplace_back([&] {
        while (!is_over) missing += t.lookup("milk") == 3 && t.size() == 1 && t.info().size == 1 ? 0 : 1;
      });
    }
    for (int i = 0; i < 1'000; ++i) {
      p.run([&] { t.give_away(a); });
      p.expect<transfer>();
    }
    is_over = true;
  }
  CHECK(missing == 0);
  CHECK(t.owner() == p.id());
}

}  // namespace table_gift_test
