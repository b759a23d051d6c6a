// Promises under test: a registry that starts puts the rows that it cannot use into quarantine, where their buckets live
// on, and adopts the others; their names are free, and this is announced; whenever it is killed meanwhile, nothing is lost.
#include <doctest/doctest.h>

#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/explore.hpp>
#include <kv/kv.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "registry_parts.hpp"
#include "servers.hpp"

namespace registry_quarantine_test {

namespace {

using kv::bucket;
using kv::testing::kill_and_await;
using kv::testing::probe;
using reason = std::optional<std::string>;

/// Finds fault with names that begin with "bad".
reason refuse_bad_names(const std::string& name, kv::pid) {
  return name.starts_with("bad") ? reason("a bad name") : std::nullopt;
}

/// A registry with a quarantine.
struct guarded_registry : registry_parts {
  kv::names_quarantine quarantine = make_table<std::string, kv::quarantined<kv::pid>>();

  void start(kv::names_validator validate = {}) {
    server =
        runtime.spawn_named<kv::registry_server>("registry", kv::registry_options{.names = names,
                                                                                  .outbox = outbox,
                                                                                  .waiting = waiting,
                                                                                  .events = events,
                                                                                  .buckets = "buckets",
                                                                                  .quarantine = quarantine,
                                                                                  .validate = std::move(validate)});
  }
  void restart(kv::names_validator validate = {}) {
    stop("registry");
    start(std::move(validate));
    settle();
  }
  /// Takes the next event, which has to be the end of that name, and returns why.
  kv::exit_reason end_of(const std::string& name) {
    return p.expect_if<kv::exited>([&](const kv::exited& e) { return e.name == name; }).reason;
  }
};

}  // namespace

TEST_CASE("a row that the validator finds fault with goes to quarantine at the restart, and the others are adopted") {
  guarded_registry k;
  k.start(refuse_bad_names);
  const auto good = k.registry.create("good");
  const auto bad = k.registry.create("bad");  // the registry itself enters what it is asked to
  k.restart(refuse_bad_names);
  CHECK(k.registry.lookup("good") == good);
  CHECK_FALSE(k.registry.lookup("bad"));
  REQUIRE(k.quarantine.size() == 1);
  CHECK(k.quarantine.lookup("bad")->value == bad.id());
  CHECK(k.quarantine.lookup("bad")->reason == "a bad name");
  const auto said = k.seen.all<kv::quarantine_report>();
  REQUIRE(said.size() == 1);
  CHECK(said[0].who == k.server.id());
  CHECK(said[0].key == "bad");
  kill_and_await(k.runtime, good);
  CHECK(k.end_of("good") == kv::exit_reason::killed);  // it is watched
}

TEST_CASE("the bucket of a row in quarantine lives on with its content, through more restarts") {
  guarded_registry k;
  k.start();
  const auto bad = k.registry.create("bad");
  bad.call(&bucket::put, "milk", "3");
  for (int life = 0; life < 3; ++life) k.restart(refuse_bad_names);
  CHECK(bad.call(&bucket::get, "milk") == "3");
  CHECK(k.seen.all<kv::quarantine_report>().size() == 1);
}

TEST_CASE("who has heard of a created hears that the name is free again, and may create it anew") {
  guarded_registry k;
  k.start();
  const auto bad = k.registry.create("bad");
  k.restart(refuse_bad_names);
  const auto again = k.registry.create("bad");
  CHECK(again != bad);
  CHECK(next_event(k.p) == happened{"created", "bad", bad});
  CHECK(k.end_of("bad") == kv::exit_reason::custom("quarantined: a bad name"));
  CHECK(next_event(k.p) == happened{"created", "bad", again});
  k.settle();
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("a row that was put right comes back when it is inserted again") {
  guarded_registry k;
  k.start();
  const auto b = k.registry.create("bad");
  k.restart(refuse_bad_names);
  const auto row = k.quarantine.take("bad").value();
  k.names.insert("good", row.value);
  k.restart(refuse_bad_names);
  CHECK(k.registry.lookup("good") == b);
  CHECK(b.alive());
}

TEST_CASE("a row whose bucket is dead goes to quarantine as well, if it is bad") {
  guarded_registry k;
  k.start();
  const auto bad = k.registry.create("bad");
  k.stop("registry");
  kill_and_await(k.runtime, bad);
  k.start(refuse_bad_names);
  CHECK(k.end_of("bad") == kv::exit_reason::custom("quarantined: a bad name"));
  CHECK(k.quarantine.lookup("bad")->value == bad.id());
  CHECK(k.names.size() == 0);
}

TEST_CASE("a row that names another process goes to quarantine, at the restart and when its name is created") {
  guarded_registry k;
  const auto other = k.runtime.spawn<blank>();
  k.names.insert("first", other);
  k.start();
  CHECK(k.quarantine.lookup("first")->value == other.id());
  CHECK(k.quarantine.lookup("first")->reason == "names " + to_string(other.id()) + ", which is no bucket");
  k.names.insert("second", other);
  CHECK(k.registry.create("second").alive());
  CHECK(k.quarantine.lookup("second")->value == other.id());
  CHECK(k.runtime.alive(other));
  CHECK(k.seen.all<kv::quarantine_report>().size() == 2);
  CHECK(k.seen.all<kv::oddity_report>().empty());
  CHECK(next_event(k.p).name == "second");  // nobody has ever heard of the first
}

TEST_CASE("a validator that throws finds fault") {
  guarded_registry k;
  k.start();
  k.registry.create("good");
  k.registry.create("bad");
  k.restart([](const std::string& name, kv::pid) -> reason {
    if (name == "bad") throw std::runtime_error("tripped");
    return std::nullopt;
  });
  CHECK(k.quarantine.lookup("bad")->reason == "tripped");
  CHECK(k.quarantine.size() == 1);
  CHECK(k.seen.all<kv::crash_report>().empty());
}

TEST_CASE("a validator may ask the bucket") {
  guarded_registry k;
  k.start();
  k.registry.create("full").call(&bucket::put, "milk", "3");
  k.registry.create("empty");
  k.restart([&k](const std::string&, kv::pid who) {
    return k.runtime.as<bucket>(who)->call(&bucket::size) == 0 ? reason("nothing in it") : std::nullopt;
  });
  CHECK(k.registry.lookup("full"));
  CHECK(k.quarantine.lookup("empty")->reason == "nothing in it");
}

TEST_CASE("a validator without a quarantine is refused") {
  registry_parts k;
  CHECK_THROWS_AS(k.runtime.spawn<kv::registry_server>(kv::registry_options{.names = k.names,
                                                                            .outbox = k.outbox,
                                                                            .waiting = k.waiting,
                                                                            .events = k.events,
                                                                            .buckets = "buckets",
                                                                            .validate = refuse_bad_names}),
                  kv::start_error);
}

TEST_CASE("all rows may be bad") {
  guarded_registry k;
  k.start();
  constexpr std::size_t count = 1000;
  for (std::size_t i = 0; i < count; ++i) k.registry.create("bad" + std::to_string(i));
  k.restart(refuse_bad_names);
  CHECK(k.names.size() == 0);
  CHECK(k.quarantine.size() == count);
  CHECK(k.buckets.call(&kv::bucket_supervisor::count_children).active == count);
  CHECK(k.seen.all<kv::quarantine_report>().size() == count);
  k.settle();
  CHECK(k.outbox.size() == 0);
}

TEST_CASE("a tree has a quarantine, and asks the validator of its options") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto tree = kv::start_tree(runtime, {.name = "mine", .validate = refuse_bad_names});
  const auto bad = tree.registry.create("bad");
  kill_and_await(runtime, *tree.registry.server_pid());
  // The supervisor answers when it has started the registry again.
  tree.root.call(&kv::supervisor::which_children);
  const auto quarantine = kv::names_quarantine::find(runtime, "mine.quarantine").value();
  CHECK(quarantine.lookup("bad")->value == bad.id());
  CHECK(bad.alive());
  const auto said = seen.all<kv::quarantine_report>();
  REQUIRE(said.size() == 1);
  CHECK(said[0].table == "mine.names");
  tree.stop();
}

TEST_SUITE_BEGIN("in simulation");

namespace {

const std::vector<std::string> names{"a", "bad b", "c", "bad d"};

/// Takes the events of that kind that have come about a bucket, and returns how many these were.
template <class Event>
std::size_t count_events(probe& p, kv::pid who) {
  const auto of_that_bucket = [who](const Event& e) { return e.bucket == who; };
  std::size_t count = 0;
  while (p.run([&] { return kv::receive_if<Event>(of_that_bucket, std::chrono::seconds(0)).has_value(); })) ++count;
  return count;
}

/// A registry restarts over good and bad rows, and is killed again at any point of that.
void restart_over_bad_rows(kv::simulation& world, reports& seen) {
  probe p(world);
  std::optional<kv::tree> tree;
  std::map<std::string, kv::pid> buckets;
  world.calmly([&] {
    tree = kv::start_tree(world, {.max_restarts = 10, .validate = refuse_bad_names});
    tree->events.forward_to(p);
    for (const auto& name : names) buckets[name] = tree->registry.create(name);
    kv::names_table::find(world, "kv.names")->insert("stranger", p);
    world.exit(tree->registry.server_pid().value(), kv::exit_reason::kill);
  });
  const auto reported_before = seen.all<kv::quarantine_report>().size();
  world.run_until_idle();
  world.calmly([&] {
    world.advance(std::chrono::seconds(10));
    const auto rows = kv::names_table::find(world, "kv.names").value();
    const auto away = kv::names_quarantine::find(world, "kv.quarantine").value();
    for (const auto& [name, who] : buckets) {
      const bool is_bad = name.starts_with("bad");
      require(world.alive(who), "the bucket of " + name + " was ended");
      require(rows.lookup(name) == (is_bad ? std::nullopt : std::optional(who)), name + " is where it should not be");
      require(away.member(name) == is_bad, name + " is not where it should be");
      require(!is_bad || away.lookup(name)->value == who, "the row of " + name + " is damaged");
      const auto created = count_events<kv::created>(p, who), ended = count_events<kv::exited>(p, who);
      require(created > 0 && (ended > 0) == is_bad, "wrong news of " + name);
    }
    require(away.lookup("stranger")->value == p.id() && !rows.member("stranger"), "the stranger is not in quarantine");
    const auto reported = seen.all<kv::quarantine_report>().size() - reported_before;
    require(reported == 3, std::to_string(reported) + " reports for 3 rows");
    tree->stop();
  });
}

template <class Sweep>
void check_adoption(Sweep sweep) {
  reports seen;
  const auto run = [&](kv::simulation& world) { restart_over_bad_rows(world, seen); };
  const auto row = sweep(run, {.runtime = {.on_report = seen.sink()}});
  std::cout << row << std::endl;
  CHECK_MESSAGE(row.points > 20, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

}  // namespace

TEST_CASE(
    "a registry that is killed at any point of an adoption with bad rows loses none, and the good are unaffected") {
  check_adoption([](const kv::scenario& run, const kv::simulation_options& world) {
    return kv::sweep(run, "kv.registry", world);
  });
}

TEST_CASE("a registry that is killed at any two points of an adoption with bad rows loses none" *
          doctest::timeout(300) * doctest::skip(sanitized)) {
  check_adoption([](const kv::scenario& run, const kv::simulation_options& world) {
    return kv::sweep_pairs(run, "kv.registry", "kv.registry", world);
  });
}

TEST_SUITE_END();

}  // namespace registry_quarantine_test
