// Promises under test: want of memory costs a table manager none of its tables, and their consumers get them when it is
// over.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <kv/simulation.hpp>

#include "exploring.hpp"
#include "managed.hpp"
#include "reports.hpp"

namespace table_manager_shortage_test {

using namespace std::chrono_literals;
using kv::supervisor;

namespace {

/// A supervisor of a manager, and of a consumer that has counted to one.
struct fixture {
  fixture() {
    world.run_until_idle();
    REQUIRE(count() == 1);
  }

  std::optional<int> count() {
    return kv::ref<pushed_counter>(world.core(), world.whereis("counter").value()).call(&counter::add);
  }
  void kill(const std::string& name) {
    world.exit(world.whereis(name).value(), kv::exit_reason::kill);
    world.run_until_idle();
  }

  reports seen;
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::ref<supervisor> s = world.spawn<supervisor>(kv::supervisor_options{}, [] {
    return std::vector{
        kv::worker("manager", kv::start_table_manager("manager", {kv::manage<counts>({.name = "counts"}, "counter")})),
        kv::worker("counter", [] { return kv::spawn_link_named<pushed_counter>("counter").id(); })};
  });
};

}  // namespace

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a manager and a consumer that die while memory is exhausted come back, and the table is whole" *
          doctest::skip(sanitized)) {
  for (const auto& victims : std::vector<std::vector<std::string>>{
           {"counter"}, {"manager"}, {"counter", "manager"}, {"manager", "counter"}}) {
    fixture f;
    f.world.exhaust_memory(true);
    for (const auto& each : victims) f.kill(each);
    f.world.advance(5min);
    f.world.exhaust_memory(false);
    f.world.advance(10s);
    REQUIRE(f.s.alive());
    CHECK(f.count() == 2);
    CHECK(f.world.process_count() == 3);
  }
}

TEST_CASE("whichever allocation of a manager is refused, its consumer gets the table back" * doctest::skip(sanitized)) {
  for (unsigned nth = 1; nth < 40; ++nth) {
    CAPTURE(nth);
    fixture f;
    const auto manager = f.world.whereis("manager").value();
    f.world.refuse_allocation(manager, nth);
    f.kill("counter");
    f.world.advance(10s);
    CHECK(f.world.whereis("manager") == manager);
    CHECK(f.count() == 2);
  }
}

TEST_SUITE_END();

}  // namespace table_manager_shortage_test
