// Promises under test: the registry may die at any moment and nobody who uses a bucket notices; what it left undone is
// done when it is back; every create and exit is announced at least once, in order per name.
#include <doctest/doctest.h>

#include <optional>
#include <set>
#include <vector>

#include "registry_parts.hpp"
#include "threads.hpp"

namespace registry_recovery_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::suspended;

TEST_CASE("lookups and bucket calls go on while the registry is down") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  b.call(&bucket::put, "milk", "3");
  k.stop("registry");
  CHECK(k.registry.lookup("shopping") == b);
  CHECK(b.call(&bucket::get, "milk") == "3");
  CHECK(k.registry.list().size() == 1);
  kill_and_await(k.runtime, b);
  CHECK_FALSE(k.registry.lookup("shopping"));
}

TEST_CASE("a registry that is back watches every row again") {
  registry_parts k;
  k.start_registry();
  std::set<kv::pid> all;
  for (int i = 0; i < 50; ++i) all.insert(k.registry.create(std::to_string(i)));
  for (int i = 0; i < 50; ++i) k.p.expect<kv::created>();
  for (int life = 0; life < 2; ++life) {
    k.stop("registry");
    k.start_registry();
  }
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
  for (const auto b : all) kill_and_await(k.runtime, b);
  std::set<kv::pid> gone;
  for (int i = 0; i < 50; ++i) gone.insert(k.p.expect<kv::exited>().bucket);
  CHECK(gone == all);
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK_FALSE(k.p.has<kv::created>());
  CHECK(k.names.size() == 0);
}

TEST_CASE("a bucket that died while the registry was down is purged and announced") {
  registry_parts k;
  k.start_registry();
  const auto dead = k.registry.create("dead");
  const auto alive = k.registry.create("alive");
  k.stop("registry");
  kill_and_await(k.runtime, dead);
  k.start_registry();
  const auto news = k.p.expect<kv::exited>();
  CHECK(news.bucket == dead.id());
  CHECK(news.reason == kv::exit_reason::noproc);
  CHECK_FALSE(k.names.lookup("dead"));
  CHECK(k.registry.lookup("alive") == alive);
}

TEST_CASE("a bucket that was started but never entered is ended") {
  registry_parts k;
  const auto entered = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  const auto stray = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  k.names.insert("shopping", entered);
  k.p.monitor(stray);
  k.start_registry();
  k.p.expect_down(stray);
  CHECK(entered.alive());
  CHECK_FALSE(k.p.has<kv::exited>());  // nobody has ever heard of it
}

TEST_CASE("a registry that is killed while it waits for a bucket to start leaves none behind" * needs_threads) {
  registry_parts k(kv::testing::patience, 1);  // one thread: what is spawned after runs after
  k.start_registry();
  std::optional<suspended> frozen(std::in_place, k.runtime, k.buckets);
  k.server.cast(&kv::registry_server::create, "shopping");
  k.runtime.spawn([to = k.p.id()] { kv::send(to, go_on{}); });
  k.p.expect<go_on>();
  kill_and_await(k.runtime, k.server);
  frozen.reset();
  const auto strays = k.buckets.call(&kv::bucket_supervisor::children);
  REQUIRE(strays.size() == 1);  // the registry had asked already
  k.p.monitor(strays[0]);
  CHECK(k.names.size() == 0);
  k.start_registry();
  k.p.expect_down(strays[0]);
  CHECK_FALSE(k.p.has<kv::created>());
  const auto b = k.registry.create("shopping");
  CHECK(next_event(k.p) == happened{"created", "shopping", b});
}

TEST_CASE("a bucket that starts for a registry that is gone is ended, also when the next one is there first" *
          needs_threads) {
  registry_parts k(kv::testing::patience, 1);
  k.start_registry();
  std::optional<suspended> frozen(std::in_place, k.runtime, k.buckets);
  k.server.cast(&kv::registry_server::create, "shopping");
  k.runtime.spawn([to = k.p.id()] { kv::send(to, go_on{}); });
  k.p.expect<go_on>();
  kill_and_await(k.runtime, k.server);
  // The next one begins while the supervisor still sleeps, and asks it for strays after it was asked for a bucket.
  const auto starter = k.runtime.spawn([&k] { k.start_registry(); });
  k.p.monitor(starter);
  frozen.reset();
  k.p.expect_down(starter);
  const auto last = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  for (const auto who : k.buckets.call(&kv::bucket_supervisor::children)) {
    if (who == last.id()) continue;
    k.p.monitor(who);
    k.p.expect_down(who);
  }
  CHECK(k.names.size() == 0);
}

TEST_CASE("a registry that is killed while a handler holds up create has entered the bucket, and announces it again") {
  registry_parts k;
  k.start_registry();
  k.events.add_handler([to = k.p.id()](const kv::created& e) {
    kv::send(to, kv::self());
    kv::send(to, e.name);
    kv::receive<go_on>();
  });
  k.runtime.spawn([&k, to = k.p.id()] {
    try {
      k.registry.create("shopping");
    } catch (const kv::call_error& e) {
      kv::send(to, e.why());
    }
  });
  const auto handler = k.p.expect<kv::pid>();
  const auto b = k.registry.lookup("shopping");
  REQUIRE(b);
  kill_and_await(k.runtime, k.server);
  CHECK(k.p.expect<kv::call_error::code>() == kv::call_error::code::exited);
  CHECK(k.registry.lookup("shopping") == b);
  CHECK(b->call(&bucket::size) == 0);
  k.start_registry();
  k.runtime.send(handler, go_on{});
  k.runtime.send(handler, go_on{});
  k.settle();
  CHECK(next_event(k.p) == happened{"created", "shopping", *b});
  CHECK(next_event(k.p) == happened{"created", "shopping", *b});
  CHECK(k.outbox.size() == 0);
  CHECK(b->alive());
}

TEST_CASE("a registry that is killed twice in a row before it has announced loses nothing") {
  registry_parts k;
  k.start_registry();
  k.stop("events");
  const auto a = k.registry.create("a");
  const auto b = k.registry.create("b");
  kill_and_await(k.runtime, a);
  for (int life = 0; life < 3; ++life) {
    k.stop("registry");
    k.start_registry();
  }
  k.start_events();
  CHECK(next_event(k.p) == happened{"created", "a", a});
  CHECK(next_event(k.p) == happened{"created", "b", b});
  CHECK(next_event(k.p) == happened{"exited", "a", a});
  k.settle();
  CHECK(k.outbox.size() == 0);
  CHECK(k.registry.lookup("b") == b);
}

TEST_CASE("events keep their order per name over the deaths of registry and manager") {
  registry_parts k;
  k.start_registry();
  std::vector<happened> expected;
  for (int life = 0; life < 5; ++life) {
    k.stop("events");
    const auto b = k.registry.create("shopping");
    expected.push_back({"created", "shopping", b});
    kill_and_await(k.runtime, b);
    expected.push_back({"exited", "shopping", b});
    k.stop("registry");
    k.start_registry();
    k.start_events();
    CHECK(next_event(k.p) == expected[expected.size() - 2]);
    CHECK(next_event(k.p) == expected[expected.size() - 1]);
    k.settle();  // else the next death may come before the event counts as announced
  }
}

TEST_CASE("a step that was left undone is finished: the exit is announced and the row still there") {
  registry_parts k;
  const auto dead = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  kill_and_await(k.runtime, dead);
  k.names.insert("shopping", dead);
  k.outbox.insert(7, kv::exited{"shopping", dead, kv::exit_reason::killed});
  k.start_registry();
  const auto news = k.p.expect<kv::exited>();
  CHECK(news.bucket == dead.id());
  CHECK(news.reason == kv::exit_reason::killed);
  k.settle();
  CHECK(k.names.size() == 0);
  CHECK(k.outbox.size() == 0);
  CHECK_FALSE(k.p.has<kv::exited>());
}

TEST_CASE("a created that was written down before its row is taken back, and its bucket ended") {
  registry_parts k;
  const auto b = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  k.outbox.insert(7, kv::created{"shopping", b});
  k.p.monitor(b);
  k.start_registry();
  k.p.expect_down(b);
  k.settle();
  CHECK_FALSE(k.p.has<kv::created>());
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("a registry that starts without a bucket supervisor or event manager waits for them") {
  registry_parts k;
  k.stop("buckets");
  k.stop("events");
  k.start_registry();
  CHECK_THROWS_AS(k.registry.create("shopping"), kv::registry_error);
  k.start_buckets();
  const auto b = k.registry.create("shopping");
  k.start_events();
  CHECK(next_event(k.p) == happened{"created", "shopping", b});
}

}  // namespace registry_recovery_test
