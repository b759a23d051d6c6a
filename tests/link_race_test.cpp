// Promises under test: two processes that link and unlink each other at once agree on whether they are linked; a link that
// is asked for after an unlink holds.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include <kv/explore.hpp>
#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "servers.hpp"

namespace link_race_test {

using kv::testing::probe;

namespace {

bool is_linked(kv::runtime& home, kv::pid who, kv::pid to) {
  const auto info = home.info(who);
  require(info && info->within, "an idle process can be looked into");
  return std::ranges::find(info->within->links, to) != info->within->links.end();
}

using step = void (*)(kv::pid);
constexpr step link = [](kv::pid peer) { kv::link(peer); };
constexpr step unlink = [](kv::pid peer) { kv::unlink(peer); };

/// Two processes that are linked do these things to each other at once; returns whether they are linked then.
template <class T>
bool after(kv::simulation& world, const std::vector<step>& by_a, const std::vector<step>& by_b) {
  const auto a = world.spawn<T>();
  const auto b = world.spawn<T>();
  world.calmly([&] { inside(a, [b] { kv::link(b); }); });
  for (const auto& what : by_a) a.cast([what, b](T&) { what(b); });
  for (const auto& what : by_b) b.cast([what, a](T&) { what(a); });
  world.run_until_idle();
  const bool result = is_linked(world, a, b);
  require(result == is_linked(world, b, a), "both know the same of the link");
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("who links last is linked, also when the other unlinks at the same time", T, blank, blank_leaf) {
  const auto scenario = [](kv::simulation& world) {
    // The other's unlink may come after this link, and then takes it back; but both know.
    after<T>(world, {unlink, link}, {unlink});
    after<T>(world, {link}, {unlink});
    require(after<T>(world, {unlink, link}, {unlink, link}), "two that both link last are linked");
    require(after<T>(world, {unlink, link}, {link}), "one that links last and one that only links are linked");
    require(!after<T>(world, {link, unlink}, {unlink}), "two that both unlink last are not linked");
    after<T>(world, {unlink, link, unlink}, {link, unlink, link});
    after<T>(world, {unlink, link, unlink, link}, {unlink, link, unlink});
  };
  kv::explore(affordable(500), scenario, replayable());
}

TEST_CASE("a link that is asked for when the other is known to have unlinked holds") {
  const auto scenario = [](kv::simulation& world) {
    const auto a = world.spawn<blank>();
    const auto b = world.spawn<blank>();
    const auto tells = world.spawn<blank>();
    world.calmly([&] { inside(a, [b] { kv::link(b); }); });
    b.cast([a, b, tells](blank&) {
      kv::unlink(a);
      // By a third one: nothing orders it with the signal.
      tells.cast([a, b](blank&) { a.cast([b](blank&) { kv::link(b); }); });
    });
    world.run_until_idle();
    require(is_linked(world, a, b) && is_linked(world, b, a), "they are linked");
  };
  kv::explore(affordable(500), scenario, replayable());
}

TEST_CASE("a link to one that links back is taken back by either") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (const bool by_first : {true, false}) {
    const auto a = runtime.spawn<blank>();
    const auto t = runtime.spawn<trapper>(p.id());
    inside(a, [t] { kv::link(t); });
    inside(t, [a] { kv::link(a); });
    by_first ? inside(a, [t] { kv::unlink(t); }) : inside(t, [a] { kv::unlink(a); });
    kv::testing::kill_and_await(runtime, a);
    inside(t, [] {});
    CHECK_FALSE(p.has<kv::exit_signal>());
  }
}

}  // namespace link_race_test
