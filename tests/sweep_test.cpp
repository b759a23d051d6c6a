// Promises under test: whatever part of the tree dies, at whatever point, and then another: no row names a dead bucket,
// no bucket lives without a row, every create and exit is announced in order, no content is lost, nothing is leaked.
// Every point is tried.
#include <doctest/doctest.h>

#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <kv/kv.hpp>

#include "exploring.hpp"

namespace sweep_test {

namespace {

using kv::bucket;
using kv::testing::probe;

/// What has been heard of one name, in order: the pids, positive for created and negative for exited.
struct heard {
  bool is_created;
  kv::pid bucket;
  friend bool operator==(const heard&, const heard&) = default;
};

using history = std::map<std::string, std::vector<heard>>;

history collect_events(probe& p) {
  history all;
  for (bool more = true; more;) {
    more = p.run([&] {
      return kv::receive_for(
          std::chrono::nanoseconds(0), [&](const kv::created& e) { all[e.name].push_back({true, e.bucket}); },
          [&](const kv::exited& e) { all[e.name].push_back({false, e.bucket}); });
    });
  }
  return all;
}

/// At least once and in order: apart from repetitions each bucket is created and then exits, one after the other.
void check_order(const std::string& name, std::vector<heard> events) {
  events.erase(std::unique(events.begin(), events.end()), events.end());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const bool in_turn = events[i].is_created == (i % 2 == 0);
    require(in_turn && (i % 2 == 0 || events[i].bucket == events[i - 1].bucket), "events of " + name + " out of order");
  }
}

bool contains(const std::vector<heard>& events, heard wanted) {
  return std::ranges::find(events, wanted) != events.end();
}

/// A user of the tree who knows what he did and what must therefore hold. Calls may fail: parts are killed.
class user {
 public:
  explicit user(kv::simulation& world) : world_(world) {}

  /// Starts a tree, does something with it, looks what became of everything, and shuts it down.
  void run() {
    try {
      tree_ = kv::start_tree(world_);
    } catch (const kv::start_error&) {
      return;  // killed before it was there
    }
    attempt([&] { tree_->events.forward_to(listener_); });
    live();
    world_.calmly([&] {
      world_.advance(std::chrono::seconds(10));  // whatever still has to be put right is
      check();
    });
    attempt([&] { tree_->stop(); });
  }

  void live() {
    for (const auto* name : {"a", "b", "c"}) create(name);
    put("a", "1");
    put("b", "2");
    attempt([&] { bucket_of("b").stop(); });
    contents_.erase("b");
    kill("c");
    create("c");  // and not b: nobody but the registry will ever see to its row
    put("c", "3");
  }

  void check_nothing_left() {
    world_.advance(std::chrono::seconds(10));
    require(kv::all_tables(world_).empty(), "a table is left");
    require(world_.process_count() == 0, "processes are left:\n" + world_.processes_and_waits());
  }

 private:
  /// Does it, again if somebody died meanwhile; tells whether it was done.
  template <class F>
  bool attempt(F action) {
    for (int tries = 0; tries < 4 && tree_->root.alive(); ++tries) {
      try {
        action();
        return true;
      } catch (const kv::call_error&) {
      } catch (const kv::registry_error&) {
      } catch (const kv::table_error&) {  // the root is gone, and with it the tables
      }
      world_.run_until_idle();
    }
    return false;
  }

  kv::ref<bucket> bucket_of(const std::string& name) const {
    if (const auto found = tree_->registry.lookup(name)) return *found;
    throw kv::call_error(name);
  }

  void create(const std::string& name) {
    attempt([&] { created_[name].insert(tree_->registry.create(name)); });
  }

  void put(const std::string& name, const std::string& value) {
    kv::ref<bucket> where;
    const bool done = attempt([&] {
      where = bucket_of(name);
      where.call(&bucket::put, "key", value);
    });
    if (done) contents_[name] = {where, value};
  }

  void kill(const std::string& name) {
    attempt([&] { world_.exit(bucket_of(name), kv::exit_reason::kill); });
  }

  void check() {
    if (!tree_->root.alive()) return;
    auto events = collect_events(listener_);
    for (const auto& [name, all] : events) check_order(name, all);
    std::set<kv::pid> with_row;
    for (const auto& [name, who] : rows()) {
      require(world_.alive(who), "the row of " + name + " names a dead bucket");
      require(contains(events[name], {true, who}), name + " was never announced");
      with_row.insert(who);
    }
    check_buckets(with_row);
    for (const auto& [name, all] : created_) {
      for (const auto who : all) check_announced(events[name], name, who);
    }
    for (const auto& [name, kept] : contents_) {
      if (!kept.where.alive()) continue;
      require(kept.where.call(&bucket::get, "key") == kept.value, "the content of " + name + " is lost");
    }
  }

  void check_announced(const std::vector<heard>& events, const std::string& name, kv::pid who) const {
    require(contains(events, {true, who}), "the creation of " + name + " was never announced");
    require(world_.alive(who) || contains(events, {false, who}), "the end of " + name + " was never announced");
  }

  void check_buckets(const std::set<kv::pid>& with_row) const {
    for (const auto who : world_.processes()) {
      if (world_.as<bucket>(who)) require(with_row.contains(who), "a bucket lives without a row");
    }
  }

  std::vector<std::pair<std::string, kv::pid>> rows() const {
    return kv::names_table::find(world_, "kv.names").value().to_vector();
  }

  struct content {
    kv::ref<bucket> where;
    std::string value;
  };

  kv::simulation& world_;
  probe listener_{world_};
  std::optional<kv::tree> tree_;
  std::map<std::string, std::set<kv::pid>> created_;
  std::map<std::string, content> contents_;
};

void use_tree(kv::simulation& world) {
  {
    user u(world);
    u.run();
  }
  world.calmly([&] { user(world).check_nothing_left(); });
}

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

std::vector<kv::victim> victims() {
  return {"kv.registry", "kv.events", "kv.buckets", "kv", kv::victim::any<bucket>("bucket")};
}

void check(const kv::sweep_row& row) {
  std::cout << row << std::endl;
  CHECK_MESSAGE(row.points > 0, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

/// Tens of thousands of runs; a sanitizer would take an hour.
struct many_runs_type {
  void fill(doctest::detail::TestCase& test) const {
    test.m_skip = sanitized;
    test.m_timeout = 600;
  }
} const many_runs;

void kill_twice(const kv::victim& first) {
  for (const auto& second : victims()) check(kv::sweep_pairs(use_tree, first, second, quiet));
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a tree survives the kill of any of its parts at any point") {
  for (const auto& whom : victims()) check(kv::sweep(use_tree, whom, quiet));
}

TEST_CASE("a tree survives up to three kills, wherever a seed wants them" * doctest::timeout(300)) {
  auto options = replayable();
  options.world.faults = {.victims = {"kv.registry", "kv.events", "kv.buckets", kv::victim::any<bucket>("bucket")},
                          .max_kills = 3};
  CHECK(kv::explore(affordable(20'000), use_tree, options) > 0);
}

TEST_CASE("a tree survives a kill of the registry and another at any later point" * many_runs) {
  kill_twice("kv.registry");
}
TEST_CASE("a tree survives a kill of the event manager and another at any later point" * many_runs) {
  kill_twice("kv.events");
}
TEST_CASE("a tree survives a kill of the bucket supervisor and another at any later point" * many_runs) {
  kill_twice("kv.buckets");
}
TEST_CASE("a tree that loses its root ends, also when another is killed at any later point" * many_runs) {
  kill_twice("kv");
}
TEST_CASE("a tree survives a kill of a bucket and another at any later point" * many_runs) {
  kill_twice(kv::victim::any<bucket>("bucket"));
}

TEST_SUITE_END();

}  // namespace sweep_test
