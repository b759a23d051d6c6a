// Promises under test: an allocation that fails inside a callback ends that process, with `error`, and nothing else:
// whichever allocation it is, whatever the callback does.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include <kv/explore.hpp>
#include <kv/kv.hpp>

#include "exploring.hpp"
#include "reports.hpp"

namespace memory_test {

namespace {

using kv::simulation;
using kv::testing::probe;

struct hello {};

/// A server that does everything that may want memory.
class spender {
 public:
  explicit spender(kv::pid to) : to_(to) {}

  void spend() {
    notes_.push_back(std::string(1000, 'x'));
    const auto child = kv::spawn_link<kv::bucket>();
    child.call(&kv::bucket::put, "a key that is too long for a small string", "3");
    child.cast(&kv::bucket::put, "milk", "3");
    const auto reader = kv::spawn([] { kv::receive<hello>(); });
    const auto watch = kv::monitor(reader, "a tag that is too long for a small string");
    kv::link(to_);
    kv::unlink(to_);
    kv::send(reader, hello{});
    static_cast<void>(kv::await(watch));
    kv::monitor(to_);
    kv::demonitor(kv::monitor(to_), true);
    kv::exit(child, kv::exit_reason::custom("a reason that is too long for a small string"));
    kv::spawn_link_named<kv::bucket>("a name that is too long for a small string");
  }

 private:
  kv::pid to_;
  std::vector<std::string> notes_;
};

kv::simulation_options reporting_to(reports& seen) { return {.runtime = {.on_report = seen.sink()}}; }

struct grower {
  static constexpr bool leaf = true;
  std::size_t grow() { return (text = std::string(1000, 'x')).size(); }
  std::string text;
};

bool out_of_memory(const kv::exit_reason& why) {
  return why.what() == kv::exit_reason::kind::error && why.text().find("std::bad_alloc") != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("an allocation that is refused ends the process, and only it" * doctest::skip(sanitized)) {
  reports seen;
  simulation world(reporting_to(seen));
  probe p(world);
  const auto one = world.spawn<grower>();
  const auto other = world.spawn<grower>();
  p.monitor(one);
  world.refuse_allocation(one);
  CHECK_THROWS_WITH_AS(one.call(&grower::grow), doctest::Contains("std::bad_alloc"), kv::call_error);
  CHECK(out_of_memory(p.expect_down(one).reason));
  CHECK(other.call(&grower::grow) == 1000);
  CHECK(seen.all<kv::crash_report>().size() == 1);
}

TEST_CASE("a bucket that is refused memory, whichever, holds what it held, and who asked is told" *
          doctest::skip(sanitized)) {
  const std::string large(1000, 'x');
  const auto is_refused = [](const auto& function) {
    try {
      function();
      return false;
    } catch (const kv::call_error& e) {
      return out_of_memory(e.reason());
    }
  };
  unsigned refusals = 0;
  for (unsigned nth = 1; nth < 20; ++nth) {
    CAPTURE(nth);
    reports seen;
    simulation world(reporting_to(seen));
    probe p(world);
    const auto b = world.spawn<kv::bucket>();
    b.call(&kv::bucket::put, "eggs", large);
    if (nth % 2 == 0) p.run([&] { kv::subscribe(b); });
    world.refuse_allocation(b, nth);
    const bool no_put = is_refused([&] { b.call(&kv::bucket::put, "milk", large); });
    const bool no_get = is_refused([&] { b.call(&kv::bucket::get, "eggs"); });
    const bool no_list = is_refused([&] { p.run([&] { kv::subscribe(b); }); });
    refusals += static_cast<unsigned>(no_put) + static_cast<unsigned>(no_get) + static_cast<unsigned>(no_list);
    for (unsigned i = 0; i < 20; ++i) is_refused([&] { b.call(&kv::bucket::get, "eggs"); });  // it may be to come yet
    CHECK(b.call(&kv::bucket::size) == (no_put ? 1 : 2));
    CHECK(b.call(&kv::bucket::get, "eggs") == large);
    CHECK(b.call(&kv::bucket::get, "milk").has_value() == !no_put);
    CHECK(b.alive());
    CHECK(seen.all<kv::crash_report>().empty());
  }
  CHECK(refusals > 3);
}

TEST_CASE("a callback may meet its end at any of its allocations, and leaves nothing behind" *
          doctest::skip(sanitized)) {
  unsigned nth = 1;
  for (bool refused = true; refused; ++nth) {
    reports seen;
    simulation world(reporting_to(seen));
    probe p(world);
    const auto s = world.spawn<spender>(p.id());
    p.monitor(s);
    world.refuse_allocation(s, nth);
    s.cast(&spender::spend);
    world.run_until_idle();
    refused = out_of_memory(p.expect_down(s).reason);  // if not, it goes with its child
    world.advance(std::chrono::seconds(10));
    CHECK_MESSAGE(world.process_count() <= 1, nth, world.processes_and_waits());  // a reader that it did not get to
    CHECK_FALSE(world.whereis("a name that is too long for a small string"));
  }
  CHECK(nth > 20);
}

TEST_CASE("a row that gets no memory is not there, and those that were there are" * doctest::skip(sanitized)) {
  using rows = kv::table<std::string, int>;
  reports seen;
  simulation world(reporting_to(seen));
  probe p(world);
  auto all = rows::create(world, {.access = kv::table_access::public_, .ownerless = true});
  unsigned nth = 1;
  for (bool refused = true; refused; ++nth) {
    all.insert("milk", 1);
    const auto writer = world.spawn([&] {
      all.insert("milk", 2);
      all.insert("eggs", 2);
    });
    world.refuse_allocation(writer, nth);
    p.monitor(writer);
    refused = out_of_memory(p.expect_down(writer).reason);
    CHECK(all.member("milk"));
    CHECK(all.member("eggs") == !refused);
  }
  CHECK(nth > 2);
}

TEST_CASE("a process whose constructor gets no memory is not there" * doctest::skip(sanitized)) {
  simulation world;
  probe p(world);
  for (unsigned nth = 1; nth < 6; ++nth) {
    const auto before = world.process_count();
    const auto parent = world.spawn([] {
      try {
        kv::spawn_link<spender>(kv::self());
      } catch (const std::exception&) {
        kv::receive<hello>();
      }
    });
    world.refuse_allocation(parent, nth);
    p.monitor(parent);
    world.run_until_idle();
    world.send(parent, hello{});
    p.expect_down(parent);
    world.run_until_idle();
    CHECK(world.process_count() == before);
  }
}

TEST_CASE("a seed may refuse allocations, and a tree survives it or ends as a whole") {
  auto options = replayable();
  options.world.faults.max_refusals = 3;
  const auto scenario = [](simulation& world) {
    std::optional<kv::tree> started;
    world.calmly([&] { started = kv::start_tree(world, {.max_restarts = 100}); });
    const auto& tree = *started;
    for (int i = 0; i < 5; ++i) {
      world.spawn([&tree, i] {
        const auto b = tree.registry.create("bucket-" + std::to_string(i % 3));
        b.call(&kv::bucket::put, "milk", std::string(100, 'x'));
      });
    }
    world.run_until_idle();
    world.calmly([&] {
      world.advance(std::chrono::seconds(10));
      if (!tree.root.alive()) {  // it was refused one itself: then all is over, in order
        require(kv::all_tables(world).empty() && world.process_count() == 0, "something is left of the tree");
        return;
      }
      for (const auto& [name, b] : tree.registry.list()) require(b.alive(), "a row names the dead");
    });
  };
  CHECK(kv::explore(affordable(2000), scenario, options) > 0);
}

TEST_CASE("the zeroth allocation cannot be refused") {
  simulation world;
  CHECK_THROWS_AS(world.refuse_allocation(world.spawn<kv::bucket>(), 0), std::invalid_argument);
}

TEST_SUITE_END();

}  // namespace memory_test
