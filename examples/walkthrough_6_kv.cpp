// Walkthrough, step 6: kv's own registry, and what it does where step 5 stops.
#include <iostream>

#include <kv/kv.hpp>
#include <kv/testing.hpp>

int main() {
  using kv::testing::kill_and_await;

  // [tree]
  kv::runtime runtime({.on_report = [](const kv::report&) {}});
  const auto tree = kv::start_tree(runtime);
  kv::testing::probe probe(runtime);
  tree.events.forward_to(probe);

  const auto shopping = tree.registry.create("shopping");
  std::cout << "created " << probe.expect<kv::created>().name << '\n';
  // [/tree]

  // [exited]
  {
    const kv::testing::suspended late(runtime, tree.root);
    kill_and_await(runtime, tree.registry.server_pid().value());
    kill_and_await(runtime, shopping);
    std::cout << "lookup: " << (tree.registry.lookup("shopping") ? "found" : "not found") << '\n';
  }
  const auto event = probe.expect<kv::exited>();
  std::cout << "exited " << event.name << ": " << event.reason << ", rows: " << tree.registry.size() << '\n';
  // [/exited]

  // [outbox]
  {
    const kv::testing::suspended late(runtime, tree.root);
    kill_and_await(runtime, tree.events.manager_pid().value());
    tree.registry.create("work");
    std::cout << "work: " << (tree.registry.lookup("work") ? "found" : "not found")
              << ", event: " << (probe.has<kv::created>() ? "came" : "waits") << '\n';
  }
  std::cout << "created " << probe.expect<kv::created>().name << '\n';
  // [/outbox]

  // [stray]
  const auto parent = runtime.whereis<kv::bucket_supervisor>("kv.buckets").value();
  const auto stray = parent.call(&kv::bucket_supervisor::start_bucket).value();
  probe.monitor(stray);
  kill_and_await(runtime, tree.registry.server_pid().value());
  std::cout << "a bucket without a row: " << probe.expect_down(stray).reason << '\n';
  std::cout << "one with a row: " << (tree.registry.lookup("work") ? "lives" : "gone") << '\n';
  // [/stray]
}
