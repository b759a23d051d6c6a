// Promises under test: of several heirs the first who is alive inherits; when none is, the table waits for the name of
// one; whoever gets it then owns the table before he does anything else.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "owners.hpp"
#include "reports.hpp"
#include "threads.hpp"

namespace table_heirs_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

// Heirs -------------------------------------------------------------------------------------------------------------

TEST_CASE("the first who is alive inherits, and his death passes the table on") {
  kv::runtime runtime({.threads = 1});
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  const auto a = runtime.spawn<taker>(), b = runtime.spawn<taker>(), c = runtime.spawn<taker>();
  const auto owner = runtime.spawn<blank>();
  const std::vector<heir> chain{owner.id(), dead.id(), "nobody", a.id(), a.id(), b.id(), c.id()};
  const auto t = make_table(runtime, {.owner = owner, .heirs = chain}, std::string());
  owner.stop();
  CHECK(t.owner() == a.id());
  CHECK(t.info().heirs == chain);
  kill_and_await(runtime, b);
  kill_and_await(runtime, a);
  CHECK(t.owner() == c.id());
  CHECK(c.call([](taker& state) { return state.were_mine && state.got.size() == 1; }));
  kill_and_await(runtime, c);
  CHECK_FALSE(t.owner());  // and waits for nobody
  CHECK(is_whole(t));
}

TEST_CASE("tables of one owner go to their heirs together, in the order in which they were his") {
  kv::runtime runtime({.threads = 1});
  const auto next = runtime.spawn<taker>();
  const auto owner = runtime.spawn<blank>();
  for (int i = 0; i < 100; ++i) {
    make_table(runtime, {.name = std::to_string(i), .owner = owner, .heirs = {next.id()}}, std::to_string(i));
  }
  kill_and_await(runtime, owner);
  const auto got = next.call([](taker& state) { return state.got; });
  REQUIRE(got.size() == 100);
  for (int i = 0; i < 100; ++i) {
    CHECK(got[static_cast<std::size_t>(i)].data == std::to_string(i));
    CHECK(got[static_cast<std::size_t>(i)].table.info().name == std::to_string(i));
  }
}

TEST_CASE("heirs are set by the owner alone, at any time, and shown") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = make_table(runtime, {.name = "shopping", .owner = p, .heirs = {"first"}});
  CHECK(t.info().heirs == std::vector<heir>{"first"});
  CHECK(refusal([&] { t.set_heirs({}); }) == code::access);
  CHECK(runtime.spawn<blank>().call([t](blank&) mutable { return refusal([&] { t.set_heirs({}); }); }) == code::access);
  CHECK(t.info().heirs == std::vector<heir>{"first"});
  p.run([&] {
    t.set_heirs({p.id(), "second"});
    CHECK(t.info().heirs == std::vector<heir>{p.id(), "second"});
    CHECK_THROWS_AS(t.set_heirs({"third", ""}), std::invalid_argument);
    CHECK(t.info().heirs == std::vector<heir>{p.id(), "second"});
    t.set_heirs({});
    CHECK(t.info().heirs.empty());
    t.drop();
    CHECK(refusal([&] { t.set_heirs({}); }) == code::no_table);
  });
  CHECK_THROWS_AS(make_table(runtime, {.owner = p, .heirs = {""}}), std::invalid_argument);
}

// Names -------------------------------------------------------------------------------------------------------------

TEST_CASE("an heir's name is whoever has it at the death") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"heir"}});
  runtime.spawn_named<blank>("heir").stop();
  const auto second = runtime.spawn_named<blank>("heir");
  const auto third = runtime.spawn<blank>();
  runtime.unregister_name("heir");
  runtime.register_name("heir", third);
  owner.stop();
  CHECK(t.owner() == third.id());
  CHECK(second.alive());
}

TEST_CASE("a table waits for the name of an heir, with all its rows, and is nobody's meanwhile") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto stranger = runtime.spawn<blank>();
  const auto other = [&](auto function) { return stranger.call([function](blank&) { return refusal(function); }); };
  numbers t = numbers::create(runtime,
                              {.name = "shopping", .access = table_access::public_, .owner = owner, .heirs = {"heir"}});
  numbers guarded = numbers::create(runtime, {.owner = owner, .heirs = {"heir"}});
  numbers secret = numbers::create(runtime, {.access = table_access::private_, .owner = owner, .heirs = {"heir"}});
  t.insert("milk", 3);
  owner.stop();
  CHECK_FALSE(t.owner());
  CHECK(is_whole(t));
  CHECK(t.info().heirs == std::vector<heir>{"heir"});
  CHECK(numbers::find(runtime, "shopping") == t);
  CHECK(kv::all_tables(runtime).size() == 3);
  t.insert("eggs", 12);  // everybody may
  CHECK_FALSE(guarded.lookup("milk"));
  CHECK(other([=]() mutable { guarded.insert("milk", 1); }) == code::access);
  CHECK(other([=] { secret.lookup("milk"); }) == code::access);
  for (auto each : {t, guarded, secret}) {
    CHECK(other([=]() mutable { each.drop(); }) == code::access);
    CHECK(other([=]() mutable { each.adopt(); }) == code::access);
    CHECK(other([=]() mutable { each.rename("mine"); }) == code::access);
    CHECK(other([=]() mutable { each.give_away(kv::self()); }) == code::access);
  }
  CHECK_THROWS_WITH(t.drop(), "a plain thread may not drop table shopping, which is public and has no owner");
  const auto next = runtime.spawn_named<blank>("heir");
  CHECK(t.owner() == next.id());
  CHECK(guarded.owner() == next.id());
  CHECK(secret.owner() == next.id());
  CHECK(t.size() == 2);
}

TEST_CASE_TEMPLATE("who is born under the name of an heir owns the table before his constructor runs", T, early_taker,
                   early_leaf) {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"heir"}}, "yours");
  owner.stop();
  const auto next = runtime.spawn_named<T>("heir", t);
  CHECK(next.call([](T& state) { return state.owned; }) == 1);
  const auto got = next.call([](T& state) { return state.got; });
  REQUIRE(got.size() == 1);
  CHECK(got[0].data == "yours");
  CHECK(got[0].from == owner.id());
}

TEST_CASE("who is given the name of an heir owns the table when that has returned") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"heir"}}, std::string());
  owner.stop();
  p.run([&] {
    kv::register_name("other", p);
    CHECK_FALSE(t.owner());
    kv::register_name("heir", p);
    CHECK(t.owner() == kv::self());
    CHECK(kv::receive_for<transfer>(std::chrono::nanoseconds(0)));  // and it is there
  });
}

TEST_CASE("of several names the first that is given away inherits, and once is enough") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"a", "b", "a"}}, std::string());
  owner.stop();
  const auto b = runtime.spawn_named<taker>("b");
  CHECK(t.owner() == b.id());
  const auto a = runtime.spawn_named<taker>("a");
  CHECK(t.owner() == b.id());
  kill_and_await(runtime, b);
  CHECK(t.owner() == a.id());
  kill_and_await(runtime, a);
  CHECK_FALSE(t.owner());
  CHECK(is_whole(t));
  CHECK(runtime.spawn_named<early_taker>("a", t).call([](early_taker& state) { return state.owned; }) == 1);
}

TEST_CASE("an heir who is alive comes before a name for which one would have to wait") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"nobody", p.id()}});
  owner.stop();
  CHECK(t.owner() == p.id());
}

TEST_CASE("an heir who does not start passes the table on, and it waits for the next") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"heir"}}, "yours");
  owner.stop();
  for (int i = 0; i < 20; ++i) {
    CHECK_THROWS_AS(runtime.spawn_named<stillborn>("heir"), kv::start_error);
    CHECK_FALSE(t.owner());
  }
  const auto next = runtime.spawn_named<taker>("heir");
  CHECK(t.owner() == next.id());
  CHECK(next.call([](taker& state) { return state.got.at(0).data; }) == "yours");
}

TEST_CASE("a name that is refused inherits nothing") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {"heir"}});
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  owner.stop();
  CHECK_THROWS_AS(runtime.register_name("heir", dead), kv::call_error);
  CHECK_FALSE(t.owner());
  CHECK(is_whole(t));
}

// Races -------------------------------------------------------------------------------------------------------------

TEST_CASE("owner and heirs who are killed at once lose no table" * needs_threads) {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe last(runtime);
  for (int round = 0; round < 300; ++round) {
    const auto owner = runtime.spawn<blank>(), a = runtime.spawn<blank>(), b = runtime.spawn_named<blank>("b");
    auto t = make_table(runtime, {.owner = owner, .heirs = {a.id(), "b", last.id()}}, std::string());
    for (const auto& each : {owner, a, b}) last.monitor(each);
    {
      std::vector<std::jthread> killers;
      for (const auto& each : {owner, a, b}) {
        killers.emplace_back([&runtime, each] { runtime.exit(each, kv::exit_reason::kill); });
      }
    }
    CHECK(last.expect<transfer>().table == t);
    CHECK(t.owner() == last.id());
    for (const auto& each : {owner, a, b}) last.expect_down(each);
    CHECK(is_whole(t));
    last.run([&] { t.drop(); });
  }
}

TEST_CASE("names that come and go while their table passes from one to the next never lose it" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  const auto first = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = first, .heirs = {"a", "b"}}, std::string());
  first.stop();
  {
    std::vector<std::jthread> lives;
    for (const auto* name : {"a", "b"}) {
      lives.emplace_back([&runtime, name] {
        for (int i = 0; i < 500; ++i) runtime.spawn_named<taker>(name).stop();
      });
    }
    for (int i = 0; i < 5'000; ++i) CHECK(t.lookup("milk") == 3);
  }
  CHECK_FALSE(t.owner());
  CHECK(is_whole(t));
  const auto next = runtime.spawn_named<taker>("a");
  CHECK(t.owner() == next.id());
}

}  // namespace table_heirs_test
