// Promises under test: the registry's rows can be asked by name, bucket and predicate; who listens to a name hears of
// that name alone, until he does not want to or ends.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "registry_parts.hpp"
#include "servers.hpp"

namespace registry_query_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using names = std::vector<std::string>;

names names_of(const std::vector<kv::registry::row>& rows) {
  names result;
  for (const auto& [name, who] : rows) result.push_back(name);
  return result;
}

bool begins_with_b(const std::string& name, const kv::ref<bucket>&) { return name.starts_with('b'); }

kv::handler_id listen(registry_parts& k, const std::string& name, kv::pid who) { return k.registry.listen(name, who); }

}  // namespace

// Ask --------------------------------------------------------------------------------------------------------------

TEST_CASE("a bucket's names are told: one, and none when it has none, is dead, or is none") {
  registry_parts k;
  k.start_registry();
  const auto a = k.registry.create("a");
  k.registry.create("b");
  CHECK(k.registry.keys(a) == names{"a"});
  const auto nameless = k.buckets.call(&kv::bucket_supervisor::start_bucket).value();
  CHECK(k.registry.keys(nameless).empty());
  CHECK(k.registry.keys(k.p).empty());
  CHECK(k.registry.keys(kv::pid{}).empty());
  kill_and_await(k.runtime, a);
  CHECK(k.registry.keys(a).empty());  // whether its row is gone or not
}

TEST_CASE("several names of one bucket are told in order") {
  registry_parts k;
  k.start_registry();
  const auto b = k.registry.create("b");
  k.names.insert("c", b);
  k.names.insert("a", b);
  CHECK(k.registry.keys(b) == names{"a", "b", "c"});
}

TEST_CASE("select and count take a predicate over name and bucket") {
  registry_parts k;
  k.start_registry();
  CHECK(k.registry.select(begins_with_b).empty());
  CHECK(k.registry.count(begins_with_b) == 0);
  for (const char* name : {"b2", "a", "b1", "c"}) k.registry.create(name);
  k.registry.lookup("c")->call(&bucket::put, "milk", "3");
  CHECK(names_of(k.registry.select(begins_with_b)) == names{"b1", "b2"});
  CHECK(k.registry.count(begins_with_b) == 2);
  const auto has_milk = [](const std::string&, const kv::ref<bucket>& b) {
    return b.call(&bucket::get, "milk").has_value();
  };
  CHECK(names_of(k.registry.select(has_milk)) == names{"c"});
  CHECK(k.registry.count(has_milk) == 1);
}

TEST_CASE("the dead are neither selected nor counted, also while the registry is down") {
  registry_parts k;
  k.start_registry();
  for (const char* name : {"b1", "b2", "b3"}) k.registry.create(name);
  k.stop("registry");
  kill_and_await(k.runtime, k.registry.lookup("b2").value());
  CHECK(names_of(k.registry.select(begins_with_b)) == names{"b1", "b3"});
  CHECK(k.registry.count(begins_with_b) == 2);
  CHECK(k.registry.size() == 3);  // of the rows
}

TEST_CASE("what a predicate throws is thrown") {
  registry_parts k;
  k.start_registry();
  k.registry.create("b");
  const auto fail = [](const std::string&, const kv::ref<bucket>&) -> bool { throw std::runtime_error("no"); };
  CHECK_THROWS_AS(k.registry.select(fail), std::runtime_error);
  CHECK_THROWS_AS(k.registry.count(fail), std::runtime_error);
}

// Listen -----------------------------------------------------------------------------------------------------------

TEST_CASE("who listens to a name hears when it comes and goes, and of no other") {
  registry_parts k;
  k.start_registry();
  probe listener(k.runtime);
  listen(k, "shopping", listener);
  k.registry.create("chores");
  for (int i = 0; i < 2; ++i) {
    const auto b = k.registry.create("shopping");
    CHECK(next_event(listener) == happened{"created", "shopping", b});
    kill_and_await(k.runtime, b);
    CHECK(next_event(listener) == happened{"exited", "shopping", b});
  }
  kill_and_await(k.runtime, k.registry.lookup("chores").value());
  k.p.expect_if<kv::exited>([](const kv::exited& e) { return e.name == "chores"; });  // forwarded before
  k.settle();
  CHECK_FALSE(listener.has<kv::created>());
  CHECK_FALSE(listener.has<kv::exited>());
}

TEST_CASE("nothing comes after unlisten, which tells whether there was something to end") {
  registry_parts k;
  k.start_registry();
  probe listener(k.runtime);
  const auto id = listen(k, "shopping", listener);
  CHECK(k.registry.unlisten(id));
  CHECK_FALSE(k.registry.unlisten(id));
  k.registry.create("shopping");
  CHECK_FALSE(listener.has<kv::created>());
}

TEST_CASE("each listen is told for itself") {
  registry_parts k;
  k.start_registry();
  probe listener(k.runtime);
  const auto first = listen(k, "shopping", listener);
  listen(k, "shopping", listener);
  const auto b = k.registry.create("shopping");
  CHECK(listener.has<kv::created>());
  CHECK(listener.has<kv::created>());
  k.registry.unlisten(first);
  kill_and_await(k.runtime, b);
  listener.expect<kv::exited>();
  k.settle();
  CHECK_FALSE(listener.has<kv::exited>());
}

TEST_CASE("a listener that has ended is forgotten") {
  registry_parts k;
  k.start_registry();
  const auto before = k.events.count();
  const auto listener = k.runtime.spawn<blank>();
  listen(k, "shopping", listener);
  CHECK(k.events.count() == before + 1);
  CHECK_THROWS_AS(inside(listener, [] { kv::exit(kv::exit_reason::normal); }), kv::call_error);
  CHECK(k.events.count() == before);
}

TEST_CASE("a listener survives the event manager and the registry") {
  registry_parts k;
  k.start_registry();
  probe listener(k.runtime);
  listen(k, "shopping", listener);
  k.stop("events");
  k.start_events();
  k.stop("registry");
  k.start_registry();
  const auto b = k.registry.create("shopping");
  CHECK(next_event(listener) == happened{"created", "shopping", b});
}

TEST_CASE("without an event manager nobody can listen") {
  registry_parts k;
  k.start_registry();
  k.stop("events");
  CHECK_THROWS_AS(listen(k, "shopping", k.p), kv::call_error);
  CHECK_THROWS_AS(k.registry.unlisten(kv::handler_id{1}), kv::call_error);
}

TEST_CASE("a hundred listeners to a hundred names each hear of their own") {
  registry_parts k;
  k.start_registry();
  for (int i = 0; i < 100; ++i) {
    const auto name = std::to_string(i);
    const auto who = k.runtime.spawn([to = k.p.id(), name] {
      kv::send(to, std::pair(name, kv::receive<kv::created>().name));
      if (kv::receive_for<kv::created>(std::chrono::nanoseconds(0))) kv::send(to, go_on{});
    });
    listen(k, name, who);
  }
  for (int i = 0; i < 100; ++i) k.registry.create(std::to_string(i));
  for (int i = 0; i < 100; ++i) {
    const auto [wanted, got] = k.p.expect<std::pair<std::string, std::string>>();
    CHECK(wanted == got);
  }
  CHECK_FALSE(k.p.has<go_on>());
}

}  // namespace registry_query_test
