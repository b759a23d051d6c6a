// Promises under test: of those who wait for a name nobody is forgotten, in whatever order everybody runs and whoever is
// killed meanwhile.
#include <doctest/doctest.h>

#include <iostream>
#include <optional>
#include <set>

#include <kv/kv.hpp>

#include "exploring.hpp"
#include "waiting.hpp"

namespace registry_await_race_test {

using namespace std::chrono_literals;
using kv::testing::probe;

TEST_SUITE_BEGIN("in simulation");

namespace {

/// Creates a bucket whoever is killed meanwhile: the root answers when it has restarted what has ended.
kv::ref<kv::bucket> create_in_the_end(const kv::tree& tree, const std::string& name) {
  for (;;) {
    try {
      return tree.registry.create(name);
    } catch (const kv::call_error&) {
    } catch (const kv::registry_error&) {
    }
    static_cast<void>(tree.root.call_for(kv::infinity, &kv::supervisor::which_children));
  }
}

/// A start that fails is another test's business.
kv::tree start_unharmed(kv::simulation& world) {
  std::optional<kv::tree> result;
  world.calmly([&] { result = kv::start_tree(world, {.max_restarts = 1000}); });
  return *result;
}

/// Two wait for a name, from before it appears or not, while somebody creates it.
void wait_and_create(kv::simulation& world) {
  const auto tree = start_unharmed(world);
  probe p(world);
  spawn_waiting(world, tree.registry, p, 24h);
  world.spawn([tree] { create_in_the_end(tree, "shopping"); });
  spawn_waiting(world, tree.registry, p, 24h);
  world.run_until_idle();
  world.calmly([&] {
    for (int i = 0; i < 2; ++i) {
      const auto got = p.run([] { return kv::receive_for<answer>(std::chrono::nanoseconds(0)); });
      require(got && got->found, "one that waits was forgotten");
      require(got->found == tree.registry.lookup("shopping"), "one that waited got another bucket");
    }
    require(rows_of_waiting(world) == 0, "a row of the waiting is left");
    require(world.process_count() == 5, "a process is left");  // root, events, buckets, registry, and the bucket
  });
}

}  // namespace

TEST_CASE("no wake-up is lost, in whatever order everybody runs") {
  kv::explore(affordable(2000), wait_and_create, replayable());
}

TEST_CASE("no wake-up is lost when a part of the tree is killed, whenever that is") {
  for (const auto* part : {"kv.registry", "kv.events"}) {
    const auto row = kv::sweep(wait_and_create, part, {.runtime = {.on_report = [](const kv::report&) {}}});
    std::cout << row << '\n';
    CHECK(row.points > 20);
    CHECK(row.held == row.points);
  }
}

TEST_CASE("who waits gets a bucket that lived, though buckets come and go") {
  auto options = replayable();
  options.world.faults = {.victims = {"kv.registry", "kv.events"}, .max_kills = 2};
  kv::explore(
      affordable(1000),
      [](kv::simulation& world) {
        const auto tree = start_unharmed(world);
        probe p(world);
        world.spawn([tree, to = p.id()] {
          for (int i = 0; i < 3; ++i) {
            const auto b = create_in_the_end(tree, "shopping");
            kv::send(to, b.id());
            if (i == 2) return;
            const auto watch = kv::monitor(b);
            kv::exit(b, kv::exit_reason::kill);
            static_cast<void>(kv::await(watch));
          }
        });
        for (int i = 0; i < 3; ++i) spawn_waiting(world, tree.registry, p, 24h);
        world.run_until_idle();
        world.calmly([&] {
          std::set<kv::pid> made;
          for (int i = 0; i < 3; ++i) made.insert(p.expect<kv::pid>());
          for (int i = 0; i < 3; ++i) {
            const auto got = p.run([] { return kv::receive_for<answer>(std::chrono::nanoseconds(0)); });
            require(got && got->found && made.contains(*got->found), "one that waits was forgotten");
          }
          require(rows_of_waiting(world) == 0, "a row of the waiting is left");
        });
      },
      options);
}

TEST_SUITE_END();

}  // namespace registry_await_race_test
