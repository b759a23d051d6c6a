// Promises under test: a hundred thousand buckets may die at once. Every exit is announced, no row is left, and buckets
// that live on do not notice, also when the registry dies in the middle of it.
#include <doctest/doctest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <kv/kv.hpp>

#include "exploring.hpp"
#include "registry_parts.hpp"
#include "threads.hpp"

namespace registry_storm_test {

using kv::bucket;
using kv::testing::probe;

namespace {

using buckets = std::vector<kv::ref<bucket>>;

/// Creates `victim-0…`, and takes the events of that.
buckets create_victims(registry_parts& k, std::size_t count) {
  buckets result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(k.registry.create("victim-" + std::to_string(i)));
  for (const auto& b : result) REQUIRE(next_event(k.p).bucket == b.id());
  return result;
}

buckets create_others(registry_parts& k) {
  buckets result;
  for (const char* name : {"shopping", "chores", "victim"}) {
    result.push_back(k.registry.create(name));
    result.back().call(&bucket::put, "milk", name);
    REQUIRE(next_event(k.p).name == name);
  }
  return result;
}

void check_others(const registry_parts& k, const buckets& others) {
  CHECK(k.registry.size() == others.size());
  CHECK(k.registry.list().size() == others.size());
  for (const auto& b : others) {
    const auto names = k.registry.keys(b);
    REQUIRE(names.size() == 1);
    CHECK(k.registry.lookup(names[0]) == b);
    CHECK(b.call(&bucket::get, "milk") == names[0]);
  }
}

}  // namespace

TEST_CASE("of 100,000 buckets killed at once each exit is announced once, and nothing is left" * needs_threads) {
  registry_parts k;
  k.start_registry();
  const auto others = create_others(k);
  const auto victims = create_victims(k, affordable(100'000));
  const auto processes = k.runtime.process_count();
  k.runtime.spawn([&victims] {
    for (const auto& b : victims) kv::exit(b, kv::exit_reason::kill);
  });

  std::set<kv::pid> gone;
  for (std::size_t i = 0; i < victims.size(); ++i) {
    const auto news = k.p.expect<kv::exited>();
    REQUIRE(news.reason == kv::exit_reason::killed);
    REQUIRE(gone.insert(news.bucket).second);
  }
  for (const auto& b : victims) REQUIRE(gone.contains(b));
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK(k.outbox.size() == 0);
  check_others(k, others);
  CHECK(k.buckets.call(&kv::bucket_supervisor::count_children).active == others.size());
  CHECK(k.runtime.process_count() == processes - victims.size());
}

TEST_CASE("a registry that dies in the middle of a storm goes on with it when it is back" * needs_threads) {
  registry_parts k;
  k.start_registry();
  const auto others = create_others(k);
  const auto victims = create_victims(k, affordable(20'000));
  for (const auto& b : victims) k.runtime.exit(b, kv::exit_reason::kill);
  std::set<kv::pid> gone{k.p.expect<kv::exited>().bucket};
  k.stop("registry");
  k.start_registry();
  while (gone.size() < victims.size()) gone.insert(k.p.expect<kv::exited>().bucket);  // one under way may come twice
  for (const auto& b : victims) REQUIRE(gone.contains(b));
  k.settle();
  CHECK(k.outbox.size() == 0);
  check_others(k, others);
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a storm is announced bucket by bucket, in whatever order everybody runs and whoever is killed in it") {
  auto options = replayable();
  options.world.faults = {.victims = {"kv.registry", "kv.events"}, .max_kills = 2};
  kv::explore(
      affordable(300),
      [](kv::simulation& world) {
        probe p(world);
        std::set<kv::pid> victims;
        std::optional<kv::tree> tree;
        world.calmly([&] {
          tree = kv::start_tree(world, {.max_restarts = 1000});
          tree->events.forward_to(p);
          tree->registry.create("shopping").call(&bucket::put, "milk", "3");
          for (int i = 0; i < 30; ++i) victims.insert(tree->registry.create(std::to_string(i)));
        });
        world.spawn([&victims] {
          for (const auto each : victims) kv::exit(each, kv::exit_reason::kill);
        });
        world.run_until_idle();
        world.calmly([&] {
          std::set<kv::pid> gone;
          while (p.has<kv::created>()) {
          }
          while (const auto news = p.run([] { return kv::receive_for<kv::exited>(std::chrono::nanoseconds(0)); })) {
            gone.insert(news->bucket);
          }
          require(gone == victims, "an exit was not announced");
          require(tree->registry.size() == 1, "a row is left");
          require(tree->registry.lookup("shopping")->call(&bucket::get, "milk") == "3", "another bucket was touched");
        });
      },
      options);
}

TEST_SUITE_END();

}  // namespace registry_storm_test
