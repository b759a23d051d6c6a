// Promises under test: a table can be promised to a name; whoever is given the name in time owns it before he does
// anything else; otherwise its owner keeps it and is told. Never both, never neither.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "owners.hpp"

namespace table_promise_test {

using kv::testing::kill_and_await;
using kv::testing::probe;
using namespace std::chrono_literals;

namespace {

/// A table, its owner, and a world without anybody else.
struct scene {
  kv::simulation world{{.runtime = {.on_report = [](const kv::report&) {}}}};
  probe giver{world};
  numbers t = make_table(world, {.name = "shopping", .owner = giver});

  void promise(const std::string& name = "baker", std::chrono::nanoseconds deadline = 1s) {
    giver.run([&] { t.give_away(name, deadline, "for " + name); });
  }
  bool keep() {
    return giver.run([&] { return t.keep(); });
  }
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a promise to somebody who is there is a gift") {
  scene s;
  const auto baker = s.world.spawn_named<taker>("baker");
  s.promise();
  CHECK(s.t.owner() == baker.id());
  CHECK(baker.call([](taker& state) { return state.got.at(0).data; }) == "for baker");
  CHECK_FALSE(s.world.fire_next_timer());
}

TEST_CASE_TEMPLATE("who is born under the name owns the table before his constructor runs", T, early_taker,
                   early_leaf) {
  scene s;
  s.promise();
  CHECK(s.t.owner() == s.giver.id());
  s.giver.run([&] { s.t.insert("milk", 3); });  // still his
  const auto baker = s.world.spawn_named<T>("baker", s.t);
  CHECK(s.t.owner() == baker.id());
  CHECK(baker.call([](T& state) { return state.owned == 1 && state.were_mine && state.got.size() == 1; }));
  CHECK_FALSE(s.world.fire_next_timer());  // it is cancelled
  CHECK_FALSE(s.giver.has<expired>());
  CHECK(is_whole(s.t));
}

TEST_CASE("who is given the name owns the table when that has returned") {
  scene s;
  const auto baker = s.world.spawn<taker>();
  s.promise();
  s.world.register_name("cook", baker);
  CHECK(s.t.owner() == s.giver.id());
  s.world.register_name("baker", baker);
  CHECK(s.t.owner() == baker.id());
}

TEST_CASE("when nobody comes in time the owner keeps the table and is told, at the deadline and not before") {
  scene s;
  s.promise();
  s.world.advance(1s - 1ns);
  CHECK_FALSE(s.giver.has<expired>());
  s.world.advance(1ns);
  const auto told = s.giver.expect<expired>();
  CHECK(told.table == s.t);
  CHECK(told.name == "baker");
  const auto late = s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == s.giver.id());
  CHECK(late.call([](taker& state) { return state.got.empty(); }));
  CHECK_FALSE(s.keep());
}

TEST_CASE("a promise without time is a gift now or never") {
  for (const auto deadline : {0ns, std::chrono::nanoseconds(-1s), std::chrono::nanoseconds::min()}) {
    scene s;
    s.promise("baker", deadline);
    CHECK(s.giver.expect<expired>().name == "baker");
    CHECK_FALSE(s.keep());
    const auto baker = s.world.spawn_named<taker>("baker");
    CHECK(s.t.owner() == s.giver.id());
    s.promise("baker", deadline);
    CHECK(s.t.owner() == baker.id());
    CHECK_FALSE(s.giver.has<expired>());
  }
}

TEST_CASE("a promise for ever sets no timer") {
  scene s;
  s.promise("baker", kv::infinity);
  CHECK_FALSE(s.world.fire_next_timer());
  s.world.advance(24h * 365);
  const auto baker = s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == baker.id());
}

TEST_CASE("the owner may take his promise back, once and in time") {
  scene s;
  CHECK_FALSE(s.keep());
  s.promise();
  CHECK(s.keep());
  CHECK_FALSE(s.keep());
  CHECK_FALSE(s.world.fire_next_timer());
  s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == s.giver.id());
  CHECK(refusal([&] { s.t.keep(); }) == code::access);
}

TEST_CASE("a later promise replaces the one before") {
  scene s;
  s.promise("baker", 1s);
  s.promise("cook", 2s);
  s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == s.giver.id());
  s.world.advance(1s);
  CHECK_FALSE(s.giver.has<expired>());
  const auto cook = s.world.spawn_named<taker>("cook");
  CHECK(s.t.owner() == cook.id());
  CHECK_FALSE(s.world.fire_next_timer());
}

TEST_CASE("a promise is void when the table changes hands otherwise") {
  scene s;
  const auto other = s.world.spawn<taker>();
  s.promise();
  s.giver.run([&] { s.t.give_away(other); });
  CHECK_FALSE(s.world.fire_next_timer());
  s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == other.id());
}

TEST_CASE("a promise is void when the table is dropped") {
  scene s;
  s.promise();
  s.giver.run([&] { s.t.drop(); });
  CHECK_FALSE(s.world.fire_next_timer());
  const auto baker = s.world.spawn_named<taker>("baker");
  CHECK(is_gone(s.t));
  CHECK(baker.call([](taker& state) { return state.got.empty(); }));
}

TEST_CASE("a promise is void when the owner dies: his heirs come first") {
  scene s;
  const auto owner = s.world.spawn<blank>();
  const auto next = s.world.spawn<taker>();
  s.giver.run([&] {
    s.t.set_heirs({next.id()}, std::string("inherited"));
    s.t.give_away(owner);
  });
  owner.call([t = s.t](blank&) mutable { t.give_away("baker", 1s); });
  kill_and_await(s.world, owner);
  CHECK(s.t.owner() == next.id());
  const auto baker = s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == next.id());
  CHECK(baker.call([](taker& state) { return state.got.empty(); }));
  CHECK_FALSE(s.world.fire_next_timer());
}

TEST_CASE("a promise by somebody who dies without heirs ends with the table") {
  scene s;
  const auto owner = s.world.spawn<blank>();
  s.giver.run([&] { s.t.give_away(owner); });
  owner.call([t = s.t](blank&) mutable { t.give_away("baker", 1s); });
  kill_and_await(s.world, owner);
  CHECK(is_gone(s.t));
  CHECK_FALSE(s.world.fire_next_timer());
  s.world.spawn_named<taker>("baker");
}

TEST_CASE("who is given the name and does not start leaves the table to the heir, who may promise it again") {
  scene s;
  s.giver.run([&] { s.t.set_heirs({s.giver.id()}, std::string("back")); });
  for (int i = 0; i < 20; ++i) {
    s.promise();
    CHECK_THROWS_AS(s.world.spawn_named<stillborn>("baker"), kv::start_error);
    CHECK(s.giver.expect<transfer>().data == "back");
    CHECK(s.t.owner() == s.giver.id());
  }
}

TEST_CASE("a promise to oneself is refused, and one to a name that one takes later waits for somebody else") {
  scene s;
  s.world.register_name("giver", s.giver);
  const auto promise_to = [&](const std::string& name) {
    return s.giver.run([&] { return refusal([&] { s.t.give_away(name, 1s); }); });
  };
  CHECK(promise_to("giver") == code::already_owner);
  CHECK_FALSE(s.keep());
  s.promise("baker");
  s.world.register_name("baker", s.giver);
  CHECK(s.t.owner() == s.giver.id());
  s.world.unregister_name("baker");
  const auto baker = s.world.spawn_named<taker>("baker");
  CHECK(s.t.owner() == baker.id());
}

TEST_CASE("only the owner promises, and not to an empty name") {
  scene s;
  const auto stranger = s.world.spawn<blank>();
  CHECK(refusal([&] { s.t.give_away("baker", 1s); }) == code::access);
  CHECK(stranger.call([t = s.t](blank&) mutable { return refusal([&] { t.give_away("baker", 1s); }); }) ==
        code::access);
  CHECK_THROWS_AS(s.promise(""), std::invalid_argument);
  CHECK_FALSE(s.world.fire_next_timer());
  s.giver.run([&] { s.t.drop(); });
  CHECK(s.giver.run([&] { return refusal([&] { s.t.give_away("baker", 1s); }); }) == code::no_table);
  CHECK(s.giver.run([&] { return refusal([&] { s.t.keep(); }); }) == code::no_table);
}

TEST_CASE("tables that are promised to one name come in the order of the promises") {
  scene s;
  std::vector<numbers> tables;
  for (const auto* name : {"c", "a", "b"}) tables.push_back(make_table(s.world, {.name = name, .owner = s.giver}));
  s.giver.run([&] {
    for (auto& each : tables) each.give_away("baker", kv::infinity);
  });
  const auto baker = s.world.spawn_named<taker>("baker");
  const auto got = baker.call([](taker& state) { return state.got; });
  REQUIRE(got.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(got[i].table == tables[i]);
}

TEST_CASE("a mailbox that is full has room for the news that nobody came") {
  scene s;
  s.giver.run([] { kv::limit_mailbox(1); });
  s.world.send(s.giver, 1);
  s.promise();
  s.world.advance(1s);
  CHECK(s.giver.has<expired>());
}

TEST_CASE("in whatever order promise, deadline and birth come, the table is given or kept, and the owner knows which") {
  std::size_t given = 0, kept = 0;
  const auto run = [&](kv::simulation& world) {
    const auto owner = world.spawn<taker>();
    auto t = make_table(world, {.owner = owner});
    probe p(world);
    owner.cast([t](taker&) mutable { t.give_away("baker", 1s); });
    world.spawn([] {
      const std::chrono::nanoseconds when[] = {0s, 1s - 1ns, 1s};
      static_cast<void>(kv::receive_for<int>(when[kv::random() % 3]));
      kv::spawn_link_named<taker>("baker");
      kv::receive<int>();
    });
    world.advance(2s);
    world.calmly([&] {
      const auto baker = world.whereis("baker");
      require(baker.has_value(), "nobody came");
      const bool is_given = t.owner() == *baker;
      ++(is_given ? given : kept);
      require(is_given || t.owner() == owner.id(), "the table is somebody else's");
      const auto told = world.as<taker>(*baker)->call([](taker& state) { return state.got.size(); });
      require(told == (is_given ? 1U : 0U), "the receiver was told something else");
      const auto expiries = owner.call([](taker& state) { return state.expiries; });
      require(expiries == (is_given ? 0U : 1U), "the owner was told something else");
    });
  };
  kv::explore(affordable(500), run, replayable());
  CHECK(given > 0);
  CHECK(kept > 0);
}

TEST_SUITE_END();

}  // namespace table_promise_test
