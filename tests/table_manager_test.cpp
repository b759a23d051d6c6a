// Promises under test: a managed table goes from one incarnation of its consumer to the next, whatever they die of, and
// whatever becomes of the manager; a consumer who asks for it gets it.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/table_manager.hpp>
#include <kv/testing.hpp>

#include "managed.hpp"
#include "refusal.hpp"
#include "reports.hpp"
#include "servers.hpp"

namespace table_manager_test {

using kv::testing::kill_and_await;
using kv::testing::probe;
using namespace std::chrono_literals;
using code = kv::table_error::code;

namespace {

const kv::runtime_options quiet{.threads = 1, .on_report = [](const kv::report&) {}};

kv::ref<kv::table_manager> start_manager(kv::runtime& home, std::vector<kv::managed_table> tables) {
  return home.spawn_named<kv::table_manager>("manager", std::move(tables));
}

/// Returns once the manager has dealt with what has come back to it.
void settle(const kv::ref<kv::table_manager>& manager) { manager.call(&kv::table_manager::tables); }

kv::pid owner_of(const kv::runtime& home, const std::string& table) { return counts::find(home, table)->owner(); }

/// Sends what a claim has come to.
struct claimed {
  bool is_mine = false;
  std::string refusal;
};
kv::pid spawn_claiming(kv::runtime& home, kv::pid to, const std::string& table,
                       std::chrono::nanoseconds timeout = kv::infinity) {
  return home.spawn([=] {
    claimed result;
    try {
      result.is_mine = kv::claim_table<counts>("manager", table, timeout).owner() == kv::self();
    } catch (const std::exception& e) {
      result.refusal = e.what();
    }
    kv::send(to, result);
    if (result.is_mine) kv::receive<int>();
  });
}

}  // namespace

TEST_CASE_TEMPLATE("the count goes on whatever the consumer dies of", T, pushed_counter, pulling_counter,
                   later_counter) {
  kv::runtime runtime(quiet);
  const auto manager = start_manager(runtime, counts_for<T>());
  const std::vector<std::function<void(const kv::ref<T>&)>> deaths{
      [](const auto& c) { c.stop(); }, [](const auto& c) { c.stop(kv::exit_reason::shutdown); },
      [](const auto& c) { c.stop(kv::exit_reason::custom("tired")); },
      [](const auto& c) { CHECK_THROWS_AS(c.call(&T::fail), kv::call_error); },
      [&](const auto& c) { kill_and_await(runtime, c); }};
  int expected = 0;
  for (int round = 0; round < 4; ++round) {
    for (const auto& die : deaths) {
      const auto c = runtime.spawn_named<T>("counter");
      CHECK(c.call(&T::add) == ++expected);
      CHECK(c.call(&T::has_table));
      die(c);
      CHECK(owner_of(runtime, "counts") == manager.id());
      settle(manager);
    }
  }
}

TEST_CASE("a pushed table comes with what was to be said, each time") {
  kv::runtime runtime(quiet);
  const auto manager = start_manager(runtime, counts_for<pushed_counter>());
  for (int i = 0; i < 20; ++i) {
    const auto c = runtime.spawn_named<pushed_counter>("counter");
    CHECK(c.call(&pushed_counter::said) == "go on");
    CHECK(c.call(&pushed_counter::add) == i + 1);
    kill_and_await(runtime, c);
    settle(manager);
  }
}

TEST_CASE("a consumer who was there before the manager is given the table, too") {
  kv::runtime runtime(quiet);
  const auto c = runtime.spawn_named<pushed_counter>("counter");
  start_manager(runtime, counts_for<pushed_counter>());
  CHECK(c.call(&pushed_counter::add) == 1);
}

TEST_CASE("the manager dies while the consumer has the table, and both go on") {
  kv::runtime runtime(quiet);
  const auto c = [&] {
    const auto first = start_manager(runtime, counts_for<pushed_counter>());
    const auto result = runtime.spawn_named<pushed_counter>("counter");
    CHECK(result.call(&pushed_counter::add) == 1);
    kill_and_await(runtime, first);
    return result;
  }();
  CHECK(c.call(&pushed_counter::add) == 2);
  const auto second = start_manager(runtime, counts_for<pushed_counter>());
  CHECK(c.call(&pushed_counter::add) == 3);
  kill_and_await(runtime, c);
  CHECK(owner_of(runtime, "counts") == second.id());
  settle(second);
  CHECK(runtime.spawn_named<pushed_counter>("counter").call(&pushed_counter::add) == 4);
}

TEST_CASE_TEMPLATE("manager and consumer die together, in either order, and come again in either order", T,
                   pushed_counter, later_counter) {
  kv::runtime runtime(quiet);
  probe p(runtime);
  int expected = 0;
  for (const bool manager_dies_first : {true, false}) {
    for (const bool manager_comes_first : {true, false}) {
      auto manager = start_manager(runtime, counts_for<T>());
      auto c = runtime.spawn_named<T>("counter");
      CHECK(c.call(&T::add) == ++expected);
      if (manager_dies_first) kill_and_await(runtime, manager);
      kill_and_await(runtime, c);
      if (!manager_dies_first) kill_and_await(runtime, manager);
      CHECK_FALSE(owner_of(runtime, "counts"));
      CHECK(counts::find(runtime, "counts")->lookup("n") == expected);
      if (manager_comes_first) manager = start_manager(runtime, counts_for<T>());
      c = runtime.spawn_named<T>("counter");
      if (!manager_comes_first) manager = start_manager(runtime, counts_for<T>());
      CHECK(c.call(&T::add) == ++expected);
      kill_and_await(runtime, c);
      kill_and_await(runtime, manager);
    }
  }
}

TEST_CASE("one manager keeps tables of several kinds for several consumers") {
  using words = kv::table<int, std::string, kv::ordered_set>;
  kv::runtime runtime(quiet);
  const auto manager = start_manager(
      runtime,
      {kv::manage<counts>({.name = "a", .access = kv::table_access::private_}, "counter", kv::handover::push, "a"),
       kv::manage<words>({.name = "b", .access = kv::table_access::public_}, "other", kv::handover::push, 7),
       kv::manage<counts>({.name = "c"}, "", kv::handover::pull)});
  probe other(runtime);
  const auto c = runtime.spawn_named<pushed_counter>("counter");
  runtime.register_name("other", other);
  const auto told = other.expect<kv::table_transfer<words, int>>();
  CHECK(told.data == 7);
  CHECK(told.from == manager.id());
  CHECK(c.call(&pushed_counter::said) == "a");
  CHECK(counts::find(runtime, "a")->info().access == kv::table_access::private_);
  CHECK(words::find(runtime, "b")->info().access == kv::table_access::public_);
  CHECK(words::find(runtime, "b")->info().type == "ordered_set");
  const auto all = manager.call(&kv::table_manager::tables);
  REQUIRE(all.size() == 3);
  CHECK(all[0].owner == c.id());
  CHECK(all[1].owner == other.id());
  CHECK(all[2].owner == manager.id());
  CHECK(all[2].name == "c");
  CHECK(all[2].how == kv::handover::pull);
  CHECK(all[1].consumer == "other");
}

TEST_CASE("what makes no sense is refused, and says what") {
  kv::runtime runtime(quiet);
  const auto wrong = [](kv::table_options options, const std::string& consumer = "counter") {
    try {
      kv::manage<counts>(std::move(options), consumer);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  const auto somebody = runtime.spawn<blank>().id();
  CHECK(wrong({}) == "manage: the table needs a name");
  CHECK(wrong({.name = "t", .owner = somebody}) ==
        "manage: table t is to be owned by " + to_string(somebody) + "; its manager or its consumer owns it");
  CHECK(wrong({.name = "t", .ownerless = true}) ==
        "manage: table t is to be ownerless; its manager or its consumer owns it");
  CHECK(wrong({.name = "t", .heirs = {"x"}}) == "manage: table t has heirs; its manager is the heir");
  CHECK(wrong({.name = "t"}, "") == "manage: table t is to be pushed, and its consumer has no name");
  const auto counter_of = [](const std::string& name, const std::string& consumer) {
    return kv::manage<counts>({.name = name}, consumer);
  };
  CHECK_THROWS_WITH_AS(runtime.spawn<kv::table_manager>(counts_for<counter>()), doctest::Contains("under a name"),
                       kv::start_error);
  CHECK_THROWS_WITH_AS(start_manager(runtime, {counter_of("t", "a"), counter_of("t", "b")}),
                       doctest::Contains("table t is listed twice"), kv::start_error);
  CHECK_THROWS_WITH_AS(start_manager(runtime, {counter_of("t", "manager")}),
                       doctest::Contains("manager cannot be the consumer of table t"), kv::start_error);
  CHECK(kv::all_tables(runtime).empty());
  probe p(runtime);
  kv::table<int, int>::create(runtime, {.name = "t", .owner = p});
  CHECK_THROWS_WITH_AS(start_manager(runtime, {counter_of("t", "a")}), doctest::Contains("table t has rows of type"),
                       kv::start_error);
}

TEST_CASE("a manager who inherits what it was not told of says so") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  kill_and_await(runtime, start_manager(runtime, counts_for<pushed_counter>()));
  start_manager(runtime, {}).call(&kv::table_manager::tables);
  CHECK(seen.all<kv::oddity_report>().at(0).what ==
        "manager manager has inherited a table that it does not manage: table counts");
}

// Claims ------------------------------------------------------------------------------------------------------------

TEST_CASE("a claim waits for the manager, and for the table, and is answered in its turn") {
  kv::runtime runtime(quiet);
  probe a(runtime), b(runtime);
  const auto tables = [] { return std::vector{kv::manage<counts>({.name = "t"}, "", kv::handover::pull)}; };
  const auto first = spawn_claiming(runtime, a, "t");
  const auto manager = start_manager(runtime, tables());
  CHECK(a.expect<claimed>().is_mine);
  CHECK(owner_of(runtime, "t") == first);
  const auto second = spawn_claiming(runtime, b, "t");
  kill_and_await(runtime, first);
  CHECK(b.expect<claimed>().is_mine);
  const auto third = spawn_claiming(runtime, a, "t");
  kill_and_await(runtime, manager);  // while it waits
  start_manager(runtime, tables());
  kill_and_await(runtime, second);
  CHECK(a.expect<claimed>().is_mine);
  CHECK(owner_of(runtime, "t") == third);
}

TEST_CASE("who has the table already is answered at once, whether or not there is a manager") {
  kv::runtime runtime(quiet);
  probe p(runtime);
  const auto manager = start_manager(runtime, counts_for<pulling_counter>());
  runtime.register_name("counter", p);
  const auto t = p.run([] { return kv::claim_table<counts>("manager", "counts"); });
  CHECK(t.owner() == p.id());
  CHECK(p.run([] { return kv::claim_table<counts>("manager", "counts"); }) == t);
  kill_and_await(runtime, manager);
  CHECK(p.run([] { return kv::claim_table<counts>("manager", "counts"); }) == t);
}

TEST_CASE("claims that cannot be met are refused at once, and say why") {
  kv::runtime runtime(quiet);
  probe p(runtime);
  const auto refused = [&](const std::string& table) {
    spawn_claiming(runtime, p, table);
    return p.expect<claimed>().refusal;
  };
  const auto manager = start_manager(runtime, counts_for<pulling_counter>());
  CHECK(refused("wishes") == "manager manages no table wishes");
  CHECK(refused("counts") == "table counts of manager is for the process of another name");
  kill_and_await(runtime, manager);
  const auto impostor = runtime.spawn_named<blank>("manager");
  CHECK(refused("counts") == "manager is " + to_string(impostor.id()) + ", which is no table manager");
  CHECK_THROWS_AS(kv::claim_table<counts>("manager", "counts"), std::logic_error);  // a plain thread
}

TEST_CASE("who claims and dies does not keep the table from the next") {
  kv::runtime runtime(quiet);
  probe p(runtime), other(runtime);
  start_manager(runtime, {kv::manage<counts>({.name = "t"}, "", kv::handover::pull)});
  const auto holder = spawn_claiming(runtime, p, "t");
  CHECK(p.expect<claimed>().is_mine);
  const auto waiting = spawn_claiming(runtime, other, "t");
  runtime.whereis<kv::table_manager>("manager")->call(&kv::table_manager::tables);
  kill_and_await(runtime, waiting);
  spawn_claiming(runtime, p, "t");
  kill_and_await(runtime, holder);
  CHECK(p.expect<claimed>().is_mine);
}

TEST_CASE("a table that its consumer has dropped is made anew for the next who asks") {
  kv::runtime runtime(quiet);
  start_manager(runtime, counts_for<pulling_counter>());
  const auto c = runtime.spawn_named<pulling_counter>("counter");
  CHECK(c.call(&pulling_counter::add) == 1);
  c.call(&pulling_counter::drop);
  CHECK(kv::table_of<counts>(runtime, "manager", "counts").size() == 0);
  kill_and_await(runtime, c);
  CHECK(runtime.spawn_named<pulling_counter>("counter").call(&pulling_counter::add) == 1);
}

TEST_CASE("a managed table is read by anybody, also while the manager is down") {
  kv::runtime runtime(quiet);
  CHECK_THROWS_AS(kv::table_of<counts>(runtime, "manager", "counts"), kv::call_error);
  const auto manager = start_manager(runtime, counts_for<pushed_counter>());
  CHECK_THROWS_AS(kv::table_of<counts>(runtime, "manager", "wishes"), kv::table_error);
  runtime.spawn_named<pushed_counter>("counter").call(&pushed_counter::add);
  CHECK(kv::table_of<counts>(runtime, "manager", "counts").lookup("n") == 1);
  kill_and_await(runtime, manager);
  CHECK(kv::table_of<counts>(runtime, "manager", "counts").lookup("n") == 1);
}

TEST_SUITE("in simulation") {
  TEST_CASE("a claim that is not met in time fails, and is forgotten") {
    kv::simulation world;
    probe p(world), other(world);
    spawn_claiming(world, p, "t", 1s);
    world.advance(1s - 1ns);
    CHECK_FALSE(p.has<claimed>());
    world.advance(1ns);  // no manager has come
    CHECK(p.expect<claimed>().refusal == "call to <none>: timeout");
    start_manager(world, {kv::manage<counts>({.name = "t"}, "", kv::handover::pull)});
    const auto holder = spawn_claiming(world, other, "t");
    CHECK(other.expect<claimed>().is_mine);
    const auto waiting = spawn_claiming(world, p, "t", 1s);
    world.advance(1s);  // the table has not come
    CHECK_FALSE(p.expect<claimed>().is_mine);
    kill_and_await(world, holder);
    world.run_until_idle();
    CHECK_FALSE(world.alive(waiting));
    CHECK(owner_of(world, "t") == world.whereis("manager"));
  }
}

}  // namespace table_manager_test
