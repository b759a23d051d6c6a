// Promises under test: the registry waits for no handler and no burial: who must wait for one is kept as data, and the
// others are served. A request that is refused memory changes nothing, and ends neither the registry nor a bucket.
#include <doctest/doctest.h>

#include <new>

#include <kv/supervisor.hpp>

#include "exploring.hpp"
#include "registry_parts.hpp"

namespace registry_waiting_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Creates a bucket in a process of its own, which sends its pid.
void create_elsewhere(kv::runtime& home, const kv::registry& registry, kv::pid to, const std::string& name) {
  home.spawn([&registry, to, name] { kv::send(to, registry.create(name).id()); });
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("while a handler keeps creators waiting, ends are noticed and names are free") {
  kv::simulation world;
  probe p(world);
  const auto tree = kv::start_tree(world, {.handler_deadline = 1h});
  const auto old = tree.registry.create("old");
  tree.events.add_handler([to = p.id()](const kv::created&) {
    kv::send(to, kv::self());
    kv::receive<go_on>();
  });
  create_elsewhere(world, tree.registry, p, "new");
  const auto handler = p.expect<kv::pid>();
  kill_and_await(world, old);
  world.run_until_idle();
  CHECK(tree.registry.size() == 1);
  CHECK(tree.registry.lookup("new"));
  for (const auto* name : {"new", "old", "old"}) create_elsewhere(world, tree.registry, p, name);
  world.run_until_idle();
  CHECK(p.expect<kv::pid>() == tree.registry.lookup("new")->id());  // who finds it need not wait
  CHECK(tree.registry.size() == 2);
  CHECK_FALSE(p.has<kv::pid>());
  world.send(handler, go_on{});
  CHECK(p.expect<kv::pid>() == tree.registry.lookup("new")->id());
  CHECK(p.expect<kv::pid>() == handler);  // it has heard of the next
  world.send(handler, go_on{});
  for (int i = 0; i < 2; ++i) CHECK(p.expect<kv::pid>() == tree.registry.lookup("old")->id());
  tree.stop();
}

TEST_CASE("who wants the name of a dead bucket that is not watched waits, and nobody else does") {
  kv::simulation world;
  probe p(world);
  const auto tree = kv::start_tree(world);
  const auto dead = world.spawn<kv::bucket>();
  kill_and_await(world, dead);
  tree.events.forward_to(p);
  kv::names_table::find(world, "kv.names")->insert("taken", dead);
  for (int i = 0; i < 100; ++i) create_elsewhere(world, tree.registry, p, "taken");
  world.run_until_idle();
  CHECK_FALSE(p.has<kv::pid>());
  CHECK(tree.registry.create("other").alive());
  CHECK(p.expect<kv::created>().name == "other");
  world.advance(1s);
  CHECK(next_event(p) == happened{"exited", "taken", dead});
  const auto made = tree.registry.lookup("taken").value();
  CHECK(next_event(p) == happened{"created", "taken", made});
  for (int i = 0; i < 100; ++i) CHECK(p.expect<kv::pid>() == made.id());
  tree.stop();
}

TEST_CASE("a create that is refused memory, whichever, changes nothing, and neither registry nor buckets end" *
          doctest::skip(sanitized)) {
  for (const auto* victim : {"kv.registry", "kv.buckets", "kv.events"}) {
    CAPTURE(victim);
    unsigned refusals = 0;
    bool was_refused = true;
    for (unsigned nth = 1; was_refused || nth < 60; ++nth) {
      CAPTURE(nth);
      reports seen;
      kv::simulation world({.runtime = {.on_report = seen.sink()}});
      probe p(world);
      const auto tree = kv::start_tree(world);
      const auto old = tree.registry.create("old");
      tree.events.forward_to(p);
      world.refuse_allocation(world.whereis(victim).value(), nth);
      was_refused = false;
      std::optional<kv::ref<kv::bucket>> made;
      try {
        made = tree.registry.create("new");
      } catch (const kv::call_error&) {
        was_refused = true;
        ++refusals;
      }
      world.advance(10s);
      CHECK(old.alive());
      if (made && !made->alive()) continue;  // it was the bucket that was refused, on the registry's stack
      CHECK(tree.registry.lookup("new").has_value() == !was_refused);
      CHECK(p.has<kv::created>() == !was_refused);
      CHECK(tree.registry.size() == (was_refused ? 1 : 2));
      CHECK(kv::outbox_table::find(world, "kv.outbox")->size() == 0);
      CHECK(world.whereis("kv.buckets").has_value());
      CHECK(seen.all<kv::crash_report>().empty());
      const kv::ref<kv::bucket_supervisor> buckets(world.core(), world.whereis("kv.buckets").value());
      auto all = buckets.call(&kv::bucket_supervisor::try_children);
      if (all.second) all = buckets.call(&kv::bucket_supervisor::try_children);
      CHECK(all.first.size() == tree.registry.size());
      tree.stop();
    }
    CHECK((refusals > 3 || std::string(victim) != "kv.registry"));
  }
}

TEST_CASE("an end that is refused memory, whichever, is announced all the same" * doctest::skip(sanitized)) {
  for (unsigned nth = 1; nth < 40; ++nth) {
    CAPTURE(nth);
    reports seen;
    kv::simulation world({.runtime = {.on_report = seen.sink()}});
    probe p(world);
    const auto tree = kv::start_tree(world);
    const auto old = tree.registry.create("old");
    tree.events.forward_to(p);
    world.refuse_allocation(world.whereis("kv.registry").value(), nth);
    kill_and_await(world, old);
    world.advance(10s);
    CHECK(next_event(p) == happened{"exited", "old", old});
    CHECK(tree.registry.size() == 0);
    CHECK(seen.all<kv::crash_report>().empty());
    tree.stop();
  }
}

TEST_CASE("a row at which the validator runs out of memory each time goes to quarantine, and the registry starts") {
  kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
  const auto refuse = [](const std::string& name, kv::pid) -> std::optional<std::string> {
    if (name == "greedy") throw std::bad_alloc();
    return std::nullopt;
  };
  const auto tree = kv::start_tree(world, {.validate = refuse});
  for (const auto* name : {"greedy", "good"}) tree.registry.create(name);
  for (int i = 0; i < 3; ++i) {
    kill_and_await(world, tree.registry.server_pid().value());
    world.run_until_idle();
    CHECK(tree.root.alive());
    CHECK(tree.registry.lookup("good"));
    CHECK_FALSE(tree.registry.lookup("greedy"));
    world.advance(10s);
  }
  tree.stop();
}

TEST_CASE("a `down` of one that lives buries nobody") {
  kv::simulation world;
  const auto tree = kv::start_tree(world);
  const auto b = tree.registry.create("shopping");
  world.send(tree.registry.server_pid().value(), kv::down{b, kv::exit_reason::killed, {}, "shopping"});
  world.run_until_idle();
  CHECK(tree.registry.lookup("shopping") == b);
  tree.stop();
}

TEST_SUITE_END();

}  // namespace registry_waiting_test
