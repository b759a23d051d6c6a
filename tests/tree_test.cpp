// Promises under test: the tree starts, each of its parts may crash while the contents of the buckets survive, two
// trees know nothing of each other, and it all ends in order.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include <kv/kv.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"

namespace tree_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct go_on {};

/// A tree that no crash of a test is one too many for.
const kv::tree_options sturdy{.name = "kv", .max_restarts = 1000, .period = std::chrono::hours(1)};

kv::pid part(const kv::runtime& home, const std::string& name) { return home.whereis(name).value(); }

/// Kills a part and waits until it is back.
void crash(kv::runtime& home, const kv::tree& tree, const std::string& name) {
  kill_and_await(home, part(home, name));
  tree.root.call(&kv::supervisor::which_children);
}

}  // namespace

TEST_CASE("a tree starts, and a bucket is created, found and used") {
  kv::runtime runtime({.threads = 2});
  const auto tree = kv::start_tree(runtime);
  CHECK_FALSE(tree.registry.lookup("shopping"));
  const auto b = tree.registry.create("shopping");
  b.call(&bucket::put, "milk", "3");
  CHECK(tree.registry.lookup("shopping")->call(&bucket::get, "milk") == "3");
  std::vector<std::string> parts;
  for (const auto& c : tree.root.call(&kv::supervisor::which_children)) parts.push_back(c.id);
  CHECK(parts == std::vector<std::string>{"events", "buckets", "registry"});
}

TEST_CASE("the root owns every table of the tree") {
  kv::runtime runtime({.threads = 2});
  const auto tree = kv::start_tree(runtime, {.name = "mine"});
  std::set<std::string> names;
  for (const auto& info : kv::all_tables(runtime)) {
    names.insert(info.name);
    CHECK(info.owner == tree.root.id());
    CHECK(info.access == kv::table_access::public_);
  }
  CHECK(names ==
        std::set<std::string>{"mine.names", "mine.outbox", "mine.quarantine", "mine.subscriptions", "mine.waiting"});
}

TEST_CASE("contents survive the crash of the registry and of the event manager, many times") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto tree = kv::start_tree(runtime, sturdy);
  probe p(runtime);
  tree.events.forward_to(p);
  const auto b = tree.registry.create("shopping");
  b.call(&bucket::put, "milk", "3");
  p.expect<kv::created>();
  for (int i = 0; i < 10; ++i) {
    crash(runtime, tree, i % 2 == 0 ? "kv.registry" : "kv.events");
    CHECK(tree.registry.lookup("shopping") == b);
    CHECK(b.call(&bucket::get, "milk") == "3");
    const auto name = std::to_string(i);
    const auto other = tree.registry.create(name);
    // At least once: a registry that is killed right after an event announces it again.
    p.expect_if<kv::created>([&](const kv::created& e) { return e.bucket == other.id(); });
    kill_and_await(runtime, other);
    p.expect_if<kv::exited>([&](const kv::exited& e) { return e.bucket == other.id(); });
  }
}

TEST_CASE("the crash of the bucket supervisor ends all buckets, and their names are free") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto tree = kv::start_tree(runtime, sturdy);
  probe p(runtime);
  tree.events.forward_to(p);
  for (int i = 0; i < 10; ++i) tree.registry.create(std::to_string(i));
  const auto registry = tree.registry.server_pid();
  crash(runtime, tree, "kv.buckets");
  std::set<std::string> gone;
  for (int i = 0; i < 10; ++i) gone.insert(p.expect<kv::exited>().name);
  CHECK(gone.size() == 10);
  CHECK(tree.registry.size() == 0);
  CHECK(tree.registry.server_pid() == registry);  // one_for_one
  CHECK(tree.registry.create("0").alive());
}

TEST_CASE("all parts may crash at the same time") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto tree = kv::start_tree(runtime, sturdy);
  probe p(runtime);
  tree.events.forward_to(p);
  const auto old = tree.registry.create("shopping");
  p.expect<kv::created>();
  {
    const kv::testing::suspended frozen(runtime, tree.root);
    for (const auto* name : {"kv.registry", "kv.buckets", "kv.events"}) kill_and_await(runtime, part(runtime, name));
  }
  CHECK(tree.root.call(&kv::supervisor::which_children).size() == 3);
  CHECK(p.expect<kv::exited>().bucket == old.id());
  const auto b = tree.registry.create("shopping");
  CHECK(b.alive());
  CHECK(p.expect<kv::created>().bucket == b.id());
}

TEST_CASE("two trees of one runtime know nothing of each other") {
  kv::runtime runtime({.threads = 2});
  const auto one = kv::start_tree(runtime, {.name = "one"});
  const auto two = kv::start_tree(runtime, {.name = "two"});
  probe p(runtime);
  two.events.forward_to(p);
  const auto b = one.registry.create("shopping");
  CHECK_FALSE(two.registry.lookup("shopping"));
  const auto other = two.registry.create("shopping");
  CHECK(other != b);
  CHECK(p.expect<kv::created>().bucket == other.id());
  CHECK_FALSE(p.has<kv::created>());
  one.stop();
  CHECK(two.registry.lookup("shopping") == other);
}

TEST_CASE("a second tree of one name is an error that names it, and the first stays") {
  kv::runtime runtime({.threads = 2});
  const auto tree = kv::start_tree(runtime);
  const auto b = tree.registry.create("shopping");
  const auto tables = kv::all_tables(runtime).size();
  CHECK_THROWS_WITH(kv::start_tree(runtime), doctest::Contains("kv"));
  CHECK(tree.registry.lookup("shopping") == b);
  CHECK(tree.root.call(&kv::supervisor::which_children).size() == 3);
  CHECK(kv::all_tables(runtime).size() == tables);
  CHECK(tree.registry.create("other").alive());
}

TEST_CASE("a tree whose part cannot have its name says which, and leaves nothing") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  struct squatter {};
  runtime.spawn_named<squatter>("kv.registry");
  CHECK_THROWS_WITH_AS(kv::start_tree(runtime), doctest::Contains("child registry"), kv::start_error);
  CHECK(kv::all_tables(runtime).empty());
  CHECK_FALSE(runtime.whereis("kv"));
  CHECK_FALSE(runtime.whereis("kv.events"));
  CHECK_FALSE(runtime.whereis("kv.buckets"));
}

TEST_CASE("options of a tree that make no sense are refused") {
  kv::runtime runtime({.threads = 2});
  CHECK_THROWS_WITH_AS(kv::start_tree(runtime, {.period = std::chrono::seconds(0)}), doctest::Contains("period"),
                       kv::start_error);
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("a stuck handler does not keep create from returning") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto tree = kv::start_tree(runtime, {.handler_deadline = std::chrono::milliseconds(1)});
  tree.events.add_handler([](const kv::created&) { kv::receive<go_on>(); });
  CHECK(tree.registry.create("shopping").alive());
  CHECK(seen.all<kv::handler_report>().size() == 1);
  CHECK(tree.events.count() == 0);
}

}  // namespace tree_test
