// Promises under test: a tree ends in order and leaves nothing behind, whoever ends it.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <kv/kv.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"

namespace tree_end_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct go_on {};

const std::vector<std::string> parts{"kv.registry", "kv.buckets", "kv.events"};

/// Waits for the ends of the parts and tells their order. That is the order of their ends only on one thread: else one
/// that dies may have told its supervisor, and not yet the test.
std::vector<std::string> expect_ends(probe& p) {
  std::vector<std::string> result;
  while (result.size() < parts.size()) result.push_back(p.expect<kv::down>().tag);
  return result;
}

void watch_parts(probe& p, const kv::runtime& home) {
  for (const auto& name : parts) p.monitor(home.whereis(name).value(), name);
}

}  // namespace

TEST_CASE("a tree stops in order, and its tables and names are gone") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto tree = kv::start_tree(runtime);
  const auto b = tree.registry.create("shopping");
  watch_parts(p, runtime);
  tree.stop();
  CHECK(kv::all_tables(runtime).empty());
  for (const auto& name : parts) CHECK_FALSE(runtime.whereis(name));
  CHECK_FALSE(runtime.whereis("kv"));
  CHECK_FALSE(b.alive());
  CHECK(expect_ends(p) == parts);
}

TEST_CASE("a process that did not start the tree can stop it, too") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto tree = kv::start_tree(runtime);
  watch_parts(p, runtime);
  runtime.spawn([&runtime, tree, to = p.id()] {
    tree.stop();
    kv::send(to, runtime.whereis("kv.events").has_value());
  });
  CHECK_FALSE(p.expect<bool>());
  CHECK(expect_ends(p) == parts);
}

TEST_CASE("a tree that has ended says so, and can be started again under its name") {
  kv::runtime runtime({.threads = 2});
  const auto old = kv::start_tree(runtime);
  old.registry.create("shopping");
  old.stop();
  CHECK_THROWS_AS(old.stop(), kv::call_error);
  CHECK_THROWS_AS(old.registry.lookup("shopping"), kv::table_error);
  CHECK_THROWS_AS(old.registry.create("shopping"), std::runtime_error);
  CHECK_THROWS_AS(old.events.sync_notify(kv::created{}), kv::call_error);
  const auto tree = kv::start_tree(runtime);
  CHECK_FALSE(tree.registry.lookup("shopping"));
  CHECK(tree.registry.create("shopping").alive());
}

TEST_CASE("a crash too many ends the whole tree") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto tree = kv::start_tree(runtime, {.max_restarts = 2, .period = std::chrono::hours(1)});
  const auto b = tree.registry.create("shopping");
  p.monitor(tree.root);
  p.monitor(b);
  for (int i = 0; i < 2; ++i) {
    kill_and_await(runtime, tree.registry.server_pid().value());
    tree.root.call(&kv::supervisor::which_children);
    CHECK(b.alive());
  }
  kill_and_await(runtime, tree.registry.server_pid().value());
  CHECK(p.expect_down(tree.root).reason == kv::exit_reason::shutdown);
  p.expect_down(b);
  CHECK(seen.all<kv::give_up_report>().size() == 1);
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("a root that is killed takes everything along") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto tree = kv::start_tree(runtime);
  p.monitor(tree.registry.create("shopping"), "bucket");
  watch_parts(p, runtime);
  kill_and_await(runtime, tree.root);
  for (int i = 0; i < 4; ++i) p.expect<kv::down>();
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("a tree that is started inside a process ends with it") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto parent = runtime.spawn([&runtime, to = p.id()] {
    kv::send(to, kv::start_tree(runtime));
    kv::receive<go_on>();
  });
  const auto tree = p.expect<kv::tree>();
  p.monitor(tree.root, "root");
  watch_parts(p, runtime);
  CHECK(tree.registry.create("shopping").alive());
  kill_and_await(runtime, parent);
  CHECK(expect_ends(p) == parts);
  CHECK(p.expect<kv::down>().tag == "root");
}

TEST_CASE("a tree that ends tells the process it was started in") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto tree = p.run([&] { return kv::start_tree(runtime); });
  tree.stop();
  const auto signal = p.expect<kv::exit_signal>();
  CHECK(signal.from == tree.root.id());
  CHECK(signal.reason == kv::exit_reason::shutdown);
}

TEST_CASE("handlers end with the tree") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto tree = kv::start_tree(runtime);
  tree.events.add_handler([to = p.id()](const kv::created&) { kv::send(to, kv::self()); });
  tree.registry.create("shopping");
  const auto handler = p.expect<kv::pid>();
  p.monitor(handler);
  tree.stop();
  p.expect_down(handler);
}

TEST_CASE("a runtime with a running tree and busy clients ends") {
  for (int round = 0; round < 5; ++round) {
    reports seen;
    {
      kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
      const auto tree = kv::start_tree(runtime);
      probe p(runtime);
      for (int c = 0; c < 8; ++c) {
        runtime.spawn([tree, c, to = p.id()] {
          try {
            for (int i = 0;; ++i) {
              const auto b = tree.registry.create(std::to_string(c) + '/' + std::to_string(i % 100));
              b.call(&bucket::put, "milk", std::to_string(i));
              if (i % 7 == 0) kv::exit(b.id(), kv::exit_reason::kill);
              if (i == 50) kv::send(to, go_on{});
            }
          } catch (const std::exception&) {
            // The bucket or the tree has gone: so does the client.
          }
        });
      }
      for (int c = 0; c < 8; ++c) p.expect<go_on>();
    }
    for (const auto& crash : seen.all<kv::crash_report>()) FAIL_CHECK(kv::report(crash));
  }
}

}  // namespace tree_end_test
