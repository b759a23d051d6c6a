// Promises under test: however many die at once, and whatever dies while others work, every end is announced, no
// bucket is leaked and no row names a dead one.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <vector>

#include "registry_parts.hpp"

namespace registry_crash_test {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::suspended;

namespace {

/// Names of buckets by number.
std::string numbered(int i) { return "bucket-" + std::to_string(i); }

/// Waits until the ends of those have been announced, and with them all that happened before, and returns the events.
std::vector<happened> all_events(registry_parts& k, std::set<kv::pid> dying) {
  const auto last = k.registry.create("the last");
  dying.insert(last.id());
  kill_and_await(k.runtime, last);
  std::vector<happened> result;
  while (!dying.empty()) {
    result.push_back(next_event(k.p));
    if (result.back().what == "exited") dying.erase(result.back().bucket);
  }
  return result;
}

}  // namespace

TEST_CASE("10000 buckets that die at once are all announced, once") {
  registry_parts k;
  k.start_registry();
  constexpr int count = 10'000;
  std::vector<kv::pid> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(k.registry.create(numbered(i)));
    k.p.expect<kv::created>();
  }
  {
    const suspended frozen(k.runtime, k.server);
    for (const auto b : all) k.p.monitor(b);
    for (const auto b : all) k.runtime.exit(b, kv::exit_reason::kill);
    for (int i = 0; i < count; ++i) k.p.expect<kv::down>();
    for (int i = 0; i < count; ++i) CHECK_FALSE(k.registry.lookup(numbered(i)));
    CHECK(k.names.size() == count);
  }
  std::set<kv::pid> gone;
  for (int i = 0; i < count; ++i) gone.insert(k.p.expect<kv::exited>().bucket);
  CHECK(gone == std::set<kv::pid>(all.begin(), all.end()));
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK(k.names.size() == 0);
  CHECK(k.outbox.size() == 0);
  CHECK(k.buckets.call(&kv::bucket_supervisor::count_children).active == 0);
}

TEST_CASE("10000 buckets that die while the registry is down are all announced, once") {
  registry_parts k;
  k.start_registry();
  constexpr int count = 10'000;
  for (int i = 0; i < count; ++i) {
    k.registry.create(numbered(i));
    k.p.expect<kv::created>();
  }
  k.stop("registry");
  k.stop("buckets");
  k.start_registry();
  std::set<std::string> gone;
  for (int i = 0; i < count; ++i) gone.insert(k.p.expect<kv::exited>().name);
  CHECK(gone.size() == count);
  k.settle();
  CHECK_FALSE(k.p.has<kv::exited>());
  CHECK(k.names.size() == 0);
}

TEST_CASE("a registry that is killed again and again under load leaks and loses nothing") {
  registry_parts k;
  k.start_registry();
  constexpr int clients = 4, names = 100;
  for (int c = 0; c < clients; ++c) {
    k.runtime.spawn([&k, c, to = k.p.id()] {
      std::set<kv::pid> killed;
      for (int i = 0; i < names; ++i) {
        try {
          const auto b = k.registry.create(numbered(c * names + i));
          if (i % 3 != 0) continue;
          kv::exit(b.id(), kv::exit_reason::kill);
          killed.insert(b.id());
        } catch (const kv::call_error&) {
          // The registry has died: whether the name was created shows in what is there at the end.
        }
      }
      kv::send(to, killed);
    });
  }
  for (int life = 0; life < 30; ++life) {
    k.stop("registry");
    k.start_registry();
  }
  std::set<kv::pid> killed;
  for (int c = 0; c < clients; ++c) killed.merge(k.p.expect<std::set<kv::pid>>());
  k.stop("registry");
  k.start_registry();

  std::map<std::string, std::vector<happened>> stories;
  for (const auto& h : all_events(k, killed)) {
    CHECK_FALSE(h.name.empty());
    auto& story = stories[h.name];
    if (story.empty() || !(story.back() == h)) story.push_back(h);  // at least once: a repetition is no news
  }
  std::set<kv::pid> listed;
  for (const auto& [name, b] : k.registry.list()) {
    listed.insert(b);
    REQUIRE(stories.contains(name));
    CHECK(stories[name].back() == happened{"created", name, b});
  }
  CHECK(k.names.size() == listed.size());
  const auto children = k.buckets.call(&kv::bucket_supervisor::children);
  CHECK(std::set<kv::pid>(children.begin(), children.end()) == listed);
  for (const auto& [name, story] : stories) {
    CHECK(story.size() <= 2);
    CHECK(story.front().what == "created");
    if (story.size() == 2) CHECK(story.back() == happened{"exited", name, story.front().bucket});
  }
  CHECK(k.seen.all<kv::crash_report>().empty());
}

TEST_CASE("an event manager that is killed again and again under load loses no event of the registry") {
  registry_parts k;
  k.start_registry();
  constexpr int names = 200;
  k.runtime.spawn([&k, to = k.p.id()] {
    std::set<kv::pid> killed;
    for (int i = 0; i < names; ++i) {
      const auto b = k.registry.create(numbered(i));
      kv::exit(b.id(), kv::exit_reason::kill);
      killed.insert(b.id());
    }
    kv::send(to, killed);
  });
  for (int life = 0; life < 30; ++life) {
    k.stop("events");
    k.start_events();
  }
  const auto killed = k.p.expect<std::set<kv::pid>>();
  std::map<std::string, std::vector<happened>> stories;
  for (const auto& h : all_events(k, killed)) {
    auto& story = stories[h.name];
    if (story.empty() || !(story.back() == h)) story.push_back(h);
  }
  for (int i = 0; i < names; ++i) {
    const auto& story = stories[numbered(i)];
    REQUIRE(story.size() == 2);
    CHECK(story[0].what == "created");
    CHECK(story[1] == happened{"exited", numbered(i), story[0].bucket});
  }
}

}  // namespace registry_crash_test
