// Promises under test: a tree that meets want of memory is whole when that is over, with everybody's data.
#include <doctest/doctest.h>

#include <string>

#include <kv/kv.hpp>
#include <kv/simulation.hpp>

#include "exploring.hpp"
#include "reports.hpp"

namespace tree_shortage_test {

using namespace std::chrono_literals;

namespace {

constexpr int buckets = 10;

std::string name_of(int i) { return "bucket " + std::to_string(i); }

/// A tree with buckets, each of which holds its name.
struct fixture {
  fixture() : tree(kv::start_tree(world)) {
    for (int i = 0; i < buckets; ++i) {
      all.push_back(tree.registry.create(name_of(i)));
      all.back().call(&kv::bucket::put, "name", name_of(i));
    }
    world.run_until_idle();
  }
  void check_whole() {
    REQUIRE(tree.root.alive());
    for (int i = 0; i < buckets; ++i) {
      const auto found = tree.registry.lookup(name_of(i));
      REQUIRE(found);
      CHECK(found->id() == all[static_cast<std::size_t>(i)].id());
      CHECK(tree.registry.create(name_of(i)).id() == found->id());
      CHECK(found->call(&kv::bucket::get, "name") == name_of(i));
    }
    CHECK(tree.registry.create("another").alive());
    CHECK(tree.registry.size() == buckets + 1);
  }

  reports seen;
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::tree tree;
  std::vector<kv::ref<kv::bucket>> all;
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a part of a tree that dies while memory is exhausted comes back, and finds all that there was" *
          doctest::skip(sanitized)) {
  for (const std::string part : {"kv.registry", "kv.events"}) {
    CAPTURE(part);
    fixture f;
    const auto victim = f.world.whereis(part).value();
    f.world.exhaust_memory(true);
    f.world.exit(victim, kv::exit_reason::kill);
    f.world.advance(5min);
    CHECK_FALSE(f.world.whereis(part));
    f.world.exhaust_memory(false);
    f.world.advance(10s);
    CHECK(f.world.whereis(part));
    f.check_whole();
    CHECK(f.seen.all<kv::give_up_report>().empty());
  }
}

TEST_CASE("whichever allocation of the root is refused, a tree is whole again" * doctest::skip(sanitized)) {
  for (const std::string part : {"kv.registry", "kv.events"}) {
    CAPTURE(part);
    for (unsigned nth = 1; nth < 60; ++nth) {
      CAPTURE(nth);
      fixture f;
      f.world.refuse_allocation(f.tree.root, nth);
      f.world.exit(f.world.whereis(part).value(), kv::exit_reason::kill);
      f.world.advance(1s);
      f.check_whole();
    }
  }
}

TEST_CASE("a tree that is told to end while memory is exhausted leaves no process and no table" *
          doctest::skip(sanitized)) {
  fixture f;
  f.world.exhaust_memory(true);
  f.world.exit(f.tree.root, kv::exit_reason::shutdown);
  f.world.run_until_idle();
  CHECK_MESSAGE(f.world.process_count() == 0, f.world.processes_and_waits());
  f.world.exhaust_memory(false);
  CHECK(kv::all_tables(f.world).empty());
}

TEST_SUITE_END();

}  // namespace tree_shortage_test
