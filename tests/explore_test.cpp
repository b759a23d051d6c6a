// Promises under test: an exploration finds a race by machine, reduces it to what it takes, and repeats it by seed; and
// the registry has neither of the races that the guide warns of.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <variant>
#include <vector>

#include <kv/kv.hpp>

#include "exploring.hpp"

namespace explore_test {

namespace {

using kv::bucket;
using kv::detail::registry_mistake;
using kv::testing::probe;

struct go_on {};

template <class K, class V>
kv::table<K, V> public_table(kv::runtime& home, kv::pid owner) {
  return kv::table<K, V>::create(home, {.name = {}, .access = kv::table_access::public_, .owner = owner});
}

/// How a client gets a bucket: create, or the guide's first attempt, which only tells the registry to create it.
enum class creation { waits, is_a_cast };

/// A registry with all its parts in one simulation, made for one run.
struct registry_world {
  kv::simulation& world;
  probe owner{world};
  kv::names_table names = public_table<std::string, kv::pid>(world, owner);
  kv::outbox_table outbox = public_table<std::uint64_t, std::variant<kv::created, kv::exited>>(world, owner);
  kv::waiting_table waiting = public_table<std::string, std::vector<kv::pid>>(world, owner);
  kv::subscription_table subscriptions =
      kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .owner = owner});
  kv::registry_events events{world, "events"};
  kv::registry registry{world, "registry", names, waiting, events};
  kv::ref<kv::registry_server> server{};

  explicit registry_world(kv::simulation& home, registry_mistake mistake = {}) : world(home) {
    owner.run([&] { return kv::start_event_manager("events", subscriptions, {.greet = "registry"}); });
    world.spawn_named<kv::bucket_supervisor>("buckets");
    server = world.spawn_named<kv::registry_server>(
        "registry", kv::registry_options{names, outbox, waiting, events, "buckets", mistake});
  }
  ~registry_world() {
    for (const auto* name : {"registry", "buckets", "events"}) {
      if (const auto who = world.whereis(name)) world.exit(*who, kv::exit_reason::kill);
    }
  }
};

/// A client that creates buckets, uses them and kills them. `complaint` is what it found wrong.
void use_registry(registry_world& k, creation how, const std::string& name, std::string& complaint) {
  try {
    if (how == creation::is_a_cast) {
      k.server.cast(&kv::registry_server::create, name);
      if (!k.registry.lookup(name)) complaint = "created " + name + ", and lookup finds nothing";
      return;
    }
    const auto made = k.registry.create(name);
    const auto found = k.registry.lookup(name);
    if (!found && made.alive()) complaint = "created " + name + ", it lives, and lookup finds nothing";
    made.call(&bucket::put, "milk", "3");
    if (made.call(&bucket::get, "milk") != "3") complaint = "what was put into " + name + " is not there";
    kv::exit(made, kv::exit_reason::kill);
  } catch (const kv::call_error&) {
    // Somebody else has killed it.
  }
}

/// A subscriber that looks into the table when it hears of an end.
void watch_rows(registry_world& k, int ends, std::string& complaint) {
  while (ends > 0) {
    kv::receive(
        [&](const kv::exited& e) {
          --ends;
          if (k.names.lookup(e.name) == e.bucket)
            complaint = "heard that " + e.name + " has exited, and its row is there";
        },
        [](const kv::created&) {});
  }
}

/// Every end of a bucket that was announced is announced, too.
void check_ends(registry_world& k) {
  std::set<kv::pid> created, exited;
  const auto take_event = [&] {
    return kv::receive_for(
        std::chrono::nanoseconds(0), [&](const kv::created& e) { created.insert(e.bucket); },
        [&](const kv::exited& e) { exited.insert(e.bucket); });
  };
  while (k.owner.run(take_event)) {
  }
  for (const auto b : created) require(k.world.alive(b) || exited.contains(b), "the end of a bucket was not announced");
}

/// Three clients race for two names, each bucket is killed, and whoever hears of an end finds the name free.
void race_for_names(kv::simulation& world, creation how, registry_mistake mistake = {}) {
  registry_world k(world, mistake);
  std::string complaint;
  const auto watcher = world.spawn([&] { watch_rows(k, 2, complaint); });
  k.events.forward_to(watcher);
  k.events.forward_to(k.owner);
  k.owner.monitor(watcher);
  for (const auto* name : {"a", "b", "a"}) {
    k.owner.monitor(world.spawn([&k, &complaint, how, name] { use_registry(k, how, name, complaint); }), "client");
  }
  const auto is_client = [](const kv::down& d) { return d.tag == "client"; };
  for (int i = 0; i < 3; ++i) k.owner.expect_if<kv::down>(is_client);
  require(complaint.empty(), complaint);
  if (how == creation::waits) k.owner.expect_down(watcher);
  require(complaint.empty(), complaint);
  world.run_until_idle();
  require(k.outbox.size() == 0, "an event was left in the outbox");
  check_ends(k);
  for (const auto& [name, who] : k.names.to_vector())
    require(world.alive(who), "the row of " + name + " names the dead");
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("the registry is free of the guide's races, under any seed" * doctest::timeout(300)) {
  const auto scenario = [](kv::simulation& world) { race_for_names(world, creation::waits); };
  CHECK(kv::explore(affordable(20'000), scenario, replayable()) > 0);
}

TEST_CASE("a message that reaches the next process of a slot is nobody's, and whoever waits for an answer is told") {
  struct counter {
    int count = 0;
    int bump() { return ++count; }
  };
  const auto scenario = [](kv::simulation& world) {
    probe p(world);
    const auto old = world.spawn<counter>();
    const auto calls = world.spawn([old, to = p.id()] {
      kv::monitor(old);
      old.cast(&counter::bump);
      try {
        old.call_for(kv::infinity, &counter::bump);
      } catch (const kv::call_error&) {
      }
      kv::receive<kv::down>();
      kv::send(to, go_on{});
    });
    p.monitor(calls);
    world.exit(old, kv::exit_reason::kill);
    std::vector<kv::ref<counter>> later;
    for (int i = 0; i < 3; ++i) later.push_back(world.spawn<counter>());
    p.expect<go_on>();
    require(p.expect_down(calls).reason == kv::exit_reason::normal, "the caller has crashed");
    for (const auto& c : later) require(c.call(&counter::bump) == 1, "a process got another's message");
  };
  CHECK(kv::explore(affordable(5000), scenario, replayable()) > 0);
}

TEST_CASE("an exploration finds that a create must not be a cast") {
  const auto scenario = [](kv::simulation& world) { race_for_names(world, creation::is_a_cast); };
  CHECK_THROWS_WITH_AS(kv::explore(1000, scenario, replayable()), doctest::Contains("lookup finds nothing"),
                       kv::exploration_failed);
}

TEST_CASE("an exploration finds an event that is published before the row is removed") {
  const auto scenario = [](kv::simulation& world) {
    race_for_names(world, creation::waits, registry_mistake::announces_before_removal);
  };
  CHECK_THROWS_WITH_AS(kv::explore(1000, scenario, replayable()), doctest::Contains("its row is there"),
                       kv::exploration_failed);
}

// How a failure is told ------------------------------------------------------------------------------------------

namespace {

struct keeper {};

/// Fails when the second of three processes was killed; other kills and the order of things do not matter.
void fails_without_the_second(kv::simulation& world) {
  std::vector<kv::ref<keeper>> all;
  for (const auto* name : {"first", "second", "third"}) all.push_back(world.spawn_named<keeper>(name));
  for (int i = 0; i < 10; ++i) {
    for (const auto& k : all) {
      if (k.alive()) world.spawn([k] { k.cast([](keeper&) {}); });
    }
    world.run_until_idle();
  }
  require(world.whereis("second").has_value(), "the second is gone");
}

kv::explore_options with_kills() {
  kv::explore_options options;
  options.world.faults = {.victims = {"first", "second", "third"}, .max_kills = 5};
  options.command = "./my_test";
  return options;
}

/// Sets a variable of the environment for a scope.
class variable {
 public:
  variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("a failure is reduced to the deviations that it takes, and repeated by what it prints") {
  std::string replay;
  try {
    kv::explore(1000, fails_without_the_second, with_kills());
  } catch (const kv::exploration_failed& e) {
    REQUIRE(e.deviations().size() == 1);
    replay = std::to_string(e.seed()) + ':' + std::to_string(e.deviations().front());
    const std::string text = e.what();
    CHECK(text.find("explore_test.cpp:") != std::string::npos);
    CHECK(text.find("seed " + std::to_string(e.seed()) + " fails: the second is gone") != std::string::npos);
    CHECK(text.find("replay: KV_SEED=" + replay + " ./my_test") != std::string::npos);
  }
  REQUIRE_FALSE(replay.empty());
  const variable seed("KV_SEED", replay);
  CHECK_THROWS_WITH_AS(kv::explore(1000, fails_without_the_second, with_kills()), doctest::Contains("it takes 1 of 1"),
                       kv::exploration_failed);
}

TEST_CASE("the environment says which run, and how many") {
  std::vector<std::uint64_t> seeds;
  const auto scenario = [&](kv::simulation& world) { seeds.push_back(world.seed()); };
  CHECK(kv::explore(3, scenario) == 3);
  CHECK(seeds == std::vector<std::uint64_t>{1, 2, 3});
  {
    const variable more("KV_SEEDS", "5");
    CHECK(kv::explore(3, scenario) == 5);
  }
  seeds.clear();
  {
    const variable one("KV_SEED", "17");
    CHECK(kv::explore(3, scenario) == 1);
  }
  CHECK(seeds == std::vector<std::uint64_t>{17});
  for (const auto* nonsense : {"", "x", "17:", "17;3", "17:3,", "17:3:4", "-1"}) {
    const variable wrong("KV_SEED", nonsense);
    CHECK_THROWS_WITH_AS(kv::explore(3, scenario), doctest::Contains("KV_SEED"), std::invalid_argument);
  }
}

TEST_CASE("a scenario that throws something else fails, too, and so does one that never ends") {
  CHECK_THROWS_WITH_AS(kv::explore(1, [](kv::simulation&) { throw 7; }), doctest::Contains("unknown exception"),
                       kv::exploration_failed);
  kv::explore_options brief;
  brief.world.max_steps = 100;
  const auto endless = [](kv::simulation& world) {
    const auto k = world.spawn<keeper>();
    for (;;) k.call([](keeper&) {});
  };
  CHECK_THROWS_WITH_AS(kv::explore(1, endless, brief), doctest::Contains("more than 100 steps"),
                       kv::exploration_failed);
  CHECK_THROWS_AS(kv::explore(1, [](kv::simulation&) {}, {.first_seed = 0}), std::invalid_argument);
}

TEST_CASE("a sweep tells how often it killed, and the first failure") {
  const auto row = kv::sweep(fails_without_the_second, "second");
  CHECK(row.points > 20);
  CHECK(row.held == 0);
  CHECK(row.first_failure.find("killed at boundary") == 0);
  CHECK(kv::sweep(fails_without_the_second, "first").held > 20);
  CHECK(kv::sweep(fails_without_the_second, "nobody").points == 0);
}

TEST_SUITE_END();

}  // namespace explore_test
