// Promises under test: those of the guide's registry, by the names of its tests; create gives one bucket of a name,
// whoever races; what is around the registry may be down.
#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "registry_parts.hpp"
#include "threads.hpp"

namespace registry_test {

using kv::bucket;
using kv::testing::kill_and_await;

TEST_CASE("sends events on create and crash") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  CHECK(next_event(k.p) == happened{"created", "shopping", b});
  k.runtime.exit(b, kv::exit_reason::shutdown);
  const auto news = k.p.expect<kv::exited>();
  CHECK(news.name == "shopping");
  CHECK(news.bucket == b.id());
  CHECK(news.reason == kv::exit_reason::shutdown);
}

TEST_CASE("spawns buckets") {
  registry_parts k;
  k.start_registry();
  CHECK_FALSE(k.registry.lookup("shopping"));
  k.registry.create("shopping");
  const auto b = k.registry.lookup("shopping");
  REQUIRE(b);
  b->call(&bucket::put, "milk", "1");
  CHECK(b->call(&bucket::get, "milk") == "1");
}

TEST_CASE("removes buckets on exit") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  b.stop();
  k.p.expect<kv::exited>();
  CHECK_FALSE(k.registry.lookup("shopping"));
  CHECK(k.registry.size() == 0);
}

TEST_CASE("removes bucket on crash") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  kill_and_await(k.runtime, b);
  CHECK_FALSE(k.registry.lookup("shopping"));  // already, without a word from the registry
  CHECK(k.p.expect<kv::exited>().reason == kv::exit_reason::killed);
  CHECK(k.registry.size() == 0);
}

TEST_CASE("monitors existing entries") {
  registry_parts k;
  const auto b = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  k.names.insert("shopping", b);
  k.start_registry();
  CHECK(k.registry.lookup("shopping") == b);
  kill_and_await(k.runtime, b);
  CHECK(next_event(k.p) == happened{"exited", "shopping", b});
  CHECK(k.names.size() == 0);
}

TEST_CASE("create returns the bucket that is there, and announces nothing") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  b.call(&bucket::put, "milk", "3");
  CHECK(k.registry.create("shopping") == b);
  CHECK(k.server.call(&kv::registry_server::create, "shopping") == b);
  CHECK(b.call(&bucket::get, "milk") == "3");
  k.p.expect<kv::created>();
  CHECK_FALSE(k.p.has<kv::created>());
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("a name begins anew after the end of its bucket") {
  registry_parts k;
  k.start_registry();
  for (int i = 0; i < 3; ++i) {
    const auto b = k.registry.create("shopping");
    CHECK(b.call(&bucket::size) == 0);
    b.call(&bucket::put, "milk", "3");
    CHECK(next_event(k.p) == happened{"created", "shopping", b});
    kill_and_await(k.runtime, b);
    CHECK(next_event(k.p) == happened{"exited", "shopping", b});
  }
}

TEST_CASE("names are any bytes") {
  registry_parts k;
  k.start_registry();
  const std::vector<std::string> names{
      "", " ", std::string("\0", 1), std::string("a\0b", 3), "a", std::string(10'000, 'n')};
  std::set<kv::pid> all;
  for (const auto& name : names) all.insert(k.registry.create(name));
  CHECK(all.size() == names.size());
  for (const auto& name : names) CHECK(k.p.expect<kv::created>().name == name);
  for (const auto& name : names) kill_and_await(k.runtime, k.registry.lookup(name).value());
  std::multiset<std::string> gone;
  for (std::size_t i = 0; i < names.size(); ++i) gone.insert(k.p.expect<kv::exited>().name);
  CHECK(gone == std::multiset<std::string>(names.begin(), names.end()));
}

TEST_CASE("list tells every living bucket by name") {
  registry_parts k;
  k.start_registry();
  CHECK(k.registry.list().empty());
  const auto b = k.registry.create("b");
  const auto a = k.registry.create("a");
  const auto c = k.registry.create("c");
  CHECK(k.registry.list() == std::vector<std::pair<std::string, kv::ref<bucket>>>{{"a", a}, {"b", b}, {"c", c}});
  kill_and_await(k.runtime, b);
  CHECK(k.registry.list() == std::vector<std::pair<std::string, kv::ref<bucket>>>{{"a", a}, {"c", c}});
}

TEST_CASE("64 creates of one name at the same time give one bucket and one event" * needs_threads) {
  registry_parts k;
  k.start_registry();
  std::vector<kv::pid> from_threads(32);
  std::vector<std::jthread> threads;
  {
    const kv::testing::suspended frozen(k.runtime, k.server);  // so that they find no row, and ask
    for (auto& result : from_threads) threads.emplace_back([&] { result = k.registry.create("shopping"); });
    for (int i = 0; i < 32; ++i) {
      k.runtime.spawn([&k, to = k.p.id()] {
        kv::send(to, go_on{});
        kv::send(to, k.registry.create("shopping").id());
      });
    }
    for (int i = 0; i < 32; ++i) k.p.expect<go_on>();
  }
  threads.clear();  // joins
  std::set<kv::pid> all(from_threads.begin(), from_threads.end());
  for (int i = 0; i < 32; ++i) all.insert(k.p.expect<kv::pid>());
  CHECK(all == std::set<kv::pid>{k.registry.lookup("shopping").value()});
  k.p.expect<kv::created>();
  CHECK_FALSE(k.p.has<kv::created>());
  CHECK(k.buckets.call(&kv::bucket_supervisor::count_children).active == 1);
}

TEST_CASE("when create returns, every handler has had the event and lookup finds the bucket") {
  registry_parts k;
  std::atomic<int> heard{0};
  k.events.add_handler([&](const kv::created& e) {
    static_cast<void>(kv::receive_for<go_on>(std::chrono::milliseconds(1)));
    if (k.registry.lookup(e.name) && k.registry.lookup(e.name)->id() == e.bucket) ++heard;
  });
  k.start_registry();
  for (int i = 1; i <= 10; ++i) {
    k.registry.create(std::to_string(i));
    CHECK(heard == i);
  }
}

TEST_CASE("create without an event manager succeeds, and the events follow once it is back") {
  registry_parts k;
  k.start_registry();
  k.stop("events");
  const auto a = k.registry.create("a");
  const auto b = k.registry.create("b");
  CHECK(k.registry.lookup("a") == a);
  kill_and_await(k.runtime, a);
  const auto again = k.registry.create("a");
  CHECK_FALSE(k.p.has<kv::created>());
  k.start_events();
  CHECK(next_event(k.p) == happened{"created", "a", a});
  CHECK(next_event(k.p) == happened{"created", "b", b});
  CHECK(next_event(k.p) == happened{"exited", "a", a});
  CHECK(next_event(k.p) == happened{"created", "a", again});
  k.settle();
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("create without a bucket supervisor is an error that leaves nothing behind") {
  registry_parts k;
  k.start_registry();
  k.stop("buckets");
  CHECK_THROWS_WITH_AS(k.registry.create("shopping"), doctest::Contains("shopping"), kv::registry_error);
  CHECK(k.names.size() == 0);
  CHECK(k.outbox.size() == 0);
  CHECK_FALSE(k.p.has<kv::created>());
  k.start_buckets();
  CHECK(k.registry.create("shopping").alive());
}

TEST_CASE("all buckets that end with their supervisor are announced") {
  registry_parts k;
  k.start_registry();
  for (int i = 0; i < 100; ++i) k.registry.create(std::to_string(i));
  k.stop("buckets");
  std::set<std::string> gone;
  for (int i = 0; i < 100; ++i) gone.insert(k.p.expect<kv::exited>().name);
  CHECK(gone.size() == 100);
  CHECK(k.names.size() == 0);
}

TEST_CASE("without a registry a new name cannot be created, and one that is there can be had") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  k.stop("registry");
  CHECK_FALSE(k.registry.server_pid());
  CHECK(k.registry.create("shopping") == b);
  try {
    k.registry.create("other");
    FAIL("nobody created it");
  } catch (const kv::call_error& e) {
    CHECK(e.why() == kv::call_error::code::noproc);
  }
}

}  // namespace registry_test
