// Promises under test (R8): want of memory ends no registry. What has happened meanwhile is announced when there is memory
// again, without anything else that has to happen.
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <kv/supervisor.hpp>

#include "exploring.hpp"
#include "registry_parts.hpp"
#include "waiting.hpp"

namespace registry_shortage_test {

using namespace std::chrono_literals;
using kv::testing::probe;

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("buckets that end while there is no memory are announced when there is some, and all others stay" *
          doctest::skip(sanitized)) {
  kv::simulation world;
  probe p(world);
  const auto tree = kv::start_tree(world);
  std::vector<kv::ref<kv::bucket>> buckets;
  for (int i = 0; i < 10; ++i) {
    buckets.push_back(tree.registry.create("bucket " + std::to_string(i)));
    buckets.back().call(&kv::bucket::put, std::string("number"), std::to_string(i));
  }
  tree.events.forward_to(p);
  world.run_until_idle();
  const auto server = tree.registry.server_pid();
  for (int i = 0; i < 5; ++i) world.exit(buckets.at(static_cast<std::size_t>(i)), kv::exit_reason::kill);
  world.exhaust_memory(true);
  world.advance(1min);
  world.exhaust_memory(false);
  CHECK(tree.registry.size() == 10);
  CHECK_FALSE(p.has<kv::exited>());
  world.advance(1s);
  CHECK(tree.registry.size() == 5);
  for (int i = 0; i < 5; ++i) p.expect<kv::exited>();
  CHECK_FALSE(p.has<kv::exited>());
  CHECK(tree.registry.server_pid() == server);
  for (int i = 5; i < 10; ++i) {
    const auto found = tree.registry.lookup("bucket " + std::to_string(i)).value();
    CHECK(found.call(&kv::bucket::get, std::string("number")) == std::to_string(i));
  }
  CHECK(tree.registry.create("bucket 0") != buckets.front());
  tree.stop();
}

TEST_CASE("a bucket that cannot be created for want of memory is not there, and can be created later" *
          doctest::skip(sanitized)) {
  kv::simulation world;
  probe p(world);
  const auto tree = kv::start_tree(world);
  tree.events.forward_to(p);
  const auto server = tree.registry.server_pid().value();
  const kv::ref<kv::registry_server> registry(world.core(), server);
  world.spawn([&registry, to = p.id()] {
    try {
      static_cast<void>(registry.call(&kv::registry_server::create, std::string("shopping")));
    } catch (const kv::call_error& e) {
      kv::send(to, e.why());
    }
  });
  // The asker's own turn, in which it needs memory, and then those of the others.
  for (int i = 0; i < 2; ++i) world.step();
  world.exhaust_memory(true);
  world.advance(1min);
  world.exhaust_memory(false);
  world.advance(10s);
  CHECK(p.has<kv::call_error::code>());
  CHECK(tree.registry.server_pid() == server);
  CHECK(tree.registry.size() == 0);
  CHECK_FALSE(p.has<kv::created>());
  const auto made = tree.registry.create("shopping");
  CHECK(p.expect<kv::created>().bucket == made);
  const kv::ref<kv::bucket_supervisor> buckets(world.core(), world.whereis("kv.buckets").value());
  CHECK(buckets.call(&kv::bucket_supervisor::count_children).active == 1);
  tree.stop();
}

TEST_CASE("who waits for a name that is entered while memory is refused is told of it all the same" *
          doctest::skip(sanitized)) {
  for (unsigned nth = 1; nth < 60; ++nth) {
    CAPTURE(nth);
    kv::simulation world;
    probe p(world);
    const auto tree = kv::start_tree(world);
    const auto server = tree.registry.server_pid().value();
    spawn_waiting(world, tree.registry, p, 1h);
    world.run_until_idle();
    world.refuse_allocation(server, nth);
    std::optional<kv::ref<kv::bucket>> made;
    try {
      made = tree.registry.create("shopping");
    } catch (const kv::call_error&) {
      CHECK_FALSE(p.has<answer>());
      continue;
    }
    world.advance(1s);
    if (made->alive()) CHECK(p.expect<answer>().found == made);  // else it was the bucket that was refused
    CHECK(tree.registry.server_pid() == server);
    tree.stop();
  }
}

TEST_CASE("who waits for a name can be killed without any memory, and the next who waits clears up after it" *
          doctest::skip(sanitized)) {
  kv::simulation world;
  probe p(world);
  const auto tree = kv::start_tree(world);
  const auto waiting = kv::waiting_table::find(world, "kv.waiting").value();
  const auto first = spawn_waiting(world, tree.registry, p, 1h);
  world.run_until_idle();
  world.exit(first, kv::exit_reason::kill);
  world.exhaust_memory(true);
  world.run_until_idle();
  world.exhaust_memory(false);
  CHECK_FALSE(world.alive(first));
  spawn_waiting(world, tree.registry, p, 1h);
  world.run_until_idle();
  CHECK(waiting.lookup("shopping").value().size() == 1);
  const auto made = tree.registry.create("shopping");
  CHECK(p.expect<answer>().found == made);
  CHECK(waiting.size() == 0);
  tree.stop();
}

TEST_SUITE_END();

}  // namespace registry_shortage_test
