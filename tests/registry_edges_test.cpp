// Promises under test: lookup never answers a dead bucket; the row goes before the event; nothing that is sent to the
// registry, and no row that somebody else wrote, does harm.
#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "registry_parts.hpp"

namespace registry_edges_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::suspended;

namespace {

struct bystander {
  void handle(const go_on&) {}
};

}  // namespace

TEST_CASE("lookup never hands out a dead bucket, also before its row is removed") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  const auto other = k.registry.create("other");
  {
    const suspended frozen(k.runtime, k.server);
    kill_and_await(k.runtime, b);
    CHECK(k.names.lookup("shopping") == b.id());
    CHECK_FALSE(k.registry.lookup("shopping"));
    CHECK(k.registry.list() == std::vector<std::pair<std::string, kv::ref<bucket>>>{{"other", other}});
    CHECK(k.registry.size() == 2);
  }
  k.p.expect<kv::exited>();
  CHECK_FALSE(k.names.lookup("shopping"));
}

TEST_CASE("a name whose bucket has died is announced as exited before it is created again") {
  registry_parts k;
  k.start_registry();
  const auto old = k.registry.create("shopping");
  k.p.expect<kv::created>();
  {
    const suspended frozen(k.runtime, k.server);
    kill_and_await(k.runtime, old);
    k.server.cast(&kv::registry_server::create, "shopping");
  }
  CHECK(next_event(k.p) == happened{"exited", "shopping", old});
  const auto news = next_event(k.p);
  CHECK(news.what == "created");
  CHECK(news.bucket != old.id());
  k.settle();
  CHECK(k.registry.lookup("shopping")->id() == news.bucket);
  CHECK_FALSE(k.p.has<kv::exited>());
}

TEST_CASE("the same when create comes before the word of the death") {
  registry_parts k;
  k.start_registry();
  const auto old = k.registry.create("shopping");
  k.p.expect<kv::created>();
  {
    const suspended frozen(k.runtime, k.server);
    k.server.cast(&kv::registry_server::create, "shopping");
    kill_and_await(k.runtime, old);
  }
  const auto news = k.p.expect<kv::exited>();
  CHECK(news.bucket == old.id());
  CHECK(news.reason == kv::exit_reason::killed);  // and not only that it is gone
  CHECK(next_event(k.p).what == "created");
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
}

TEST_CASE("the end of a bucket is announced also when its name cannot be created again") {
  registry_parts k;
  k.start_registry();
  const auto old = k.registry.create("shopping");
  {
    const suspended frozen(k.runtime, k.server);
    k.server.cast(&kv::registry_server::create, "shopping");
    kill_and_await(k.runtime, old);
    k.stop("buckets");
  }
  k.settle();
  CHECK(k.p.has<kv::exited>());
  CHECK(k.names.size() == 0);
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("the row is gone before a handler hears of the end") {
  registry_parts k;
  k.start_registry();
  k.events.add_handler(
      [&k, to = k.p.id()](const kv::exited& e) { kv::send(to, k.names.member(e.name) || k.registry.lookup(e.name)); });
  for (int i = 0; i < 20; ++i) {
    kill_and_await(k.runtime, k.registry.create("shopping"));
    CHECK_FALSE(k.p.expect<bool>());
    k.p.expect<kv::exited>();
  }
}

TEST_CASE("a process that hears of the end can create the name again") {
  registry_parts k(std::chrono::seconds(5));
  k.start_registry();
  k.events.forward_to(
      k.runtime.spawn([&k, to = k.p.id()] { kv::send(to, k.registry.create(kv::receive<kv::exited>().name).id()); }));
  kill_and_await(k.runtime, k.registry.create("shopping"));
  const auto again = k.p.expect<kv::pid>();
  CHECK(k.registry.lookup("shopping").value().id() == again);
  k.settle();
  CHECK(k.seen.all<kv::handler_report>().empty());  // it did not hold up anybody
}

TEST_CASE("words of deaths that are not about a bucket are ignored") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  k.p.expect<kv::created>();
  const auto stranger = k.runtime.spawn<bystander>();
  kill_and_await(k.runtime, stranger);
  k.runtime.send(k.server, kv::down{});
  for (const char* tag : {"", "shopping", "unknown"}) {
    k.runtime.send(k.server, kv::down{.from = stranger, .reason = kv::exit_reason::killed, .ref = {}, .tag = tag});
    k.runtime.send(k.server, kv::down{.from = {}, .reason = kv::exit_reason::noproc, .ref = {}, .tag = tag});
  }
  k.settle();
  CHECK(k.registry.lookup("shopping") == b);
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("a message that the registry does not know is reported and dropped") {
  registry_parts k;
  k.start_registry();
  k.runtime.send(k.server, 42);
  k.runtime.send(k.server, kv::exited{"shopping", {}, {}});
  k.runtime.send(k.server, kv::exit_signal{k.p, kv::exit_reason::normal});
  k.settle();
  CHECK(k.seen.all<kv::unhandled_report>().size() == 3);
  CHECK(k.registry.create("shopping").alive());
}

TEST_CASE("a greeting from nowhere wakes nobody") {
  registry_parts k;
  k.start_registry();
  k.registry.create("shopping");
  k.p.expect<kv::created>();
  k.runtime.send(k.server, kv::event_manager_started{});
  k.server.send(kv::registry_server::wake{});
  k.settle();
  CHECK_FALSE(k.p.has<kv::created>());
}

TEST_CASE("rows that name no bucket are purged at the start, and the others stay") {
  registry_parts k;
  kv::runtime elsewhere({.threads = 1});
  const auto b = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  const auto dead = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  kill_and_await(k.runtime, dead);
  const auto other = k.runtime.spawn<bystander>();
  k.names.insert("good", b);
  k.names.insert("dead", dead);
  k.names.insert("nobody", {});
  k.names.insert("foreign", elsewhere.spawn<bucket>());
  k.names.insert("other kind", other);
  k.names.insert("the registry's supervisor's child", k.buckets);
  k.start_registry();
  k.settle();
  CHECK(k.names.to_vector() == std::vector<std::pair<std::string, kv::pid>>{{"good", b}});
  CHECK(k.registry.lookup("good") == b);
  CHECK(k.runtime.alive(other));
  std::set<std::string> announced;
  for (int i = 0; i < 3; ++i) announced.insert(k.p.expect<kv::exited>().name);
  CHECK(announced == std::set<std::string>{"dead", "nobody", "foreign"});
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK(k.seen.all<kv::oddity_report>().size() == 2);
  CHECK(k.seen.all<kv::crash_report>().empty());
}

TEST_CASE("a row that somebody else wrote does not keep its name from being created") {
  registry_parts k;
  k.start_registry();
  const auto other = k.runtime.spawn<bystander>();
  k.names.insert("shopping", other);
  CHECK_FALSE(k.registry.lookup("shopping"));
  const auto b = k.registry.create("shopping");
  CHECK(k.registry.lookup("shopping") == b);
  CHECK(k.runtime.alive(other));
  CHECK(k.server.alive());
}

TEST_CASE("the end of a bucket whose name somebody gave to another removes nothing") {
  registry_parts k;
  k.start_registry();
  const auto old = k.registry.create("shopping");
  const auto other = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  k.names.insert("shopping", other);
  kill_and_await(k.runtime, old);
  const auto last = k.registry.create("last");
  kill_and_await(k.runtime, last);
  k.p.expect_if<kv::exited>([&](const kv::exited& e) { return e.bucket == last.id(); });
  CHECK(k.registry.lookup("shopping") == other);
}

TEST_CASE("a row that somebody removed is not announced as an end") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("shopping");
  k.names.erase("shopping");
  CHECK_FALSE(k.registry.lookup("shopping"));
  const auto again = k.registry.create("shopping");
  CHECK(again != b);
  kill_and_await(k.runtime, b);
  kill_and_await(k.runtime, again);
  CHECK(k.p.expect_if<kv::exited>([&](const kv::exited& e) { return e.bucket == again.id(); }).name == "shopping");
}

}  // namespace registry_edges_test
