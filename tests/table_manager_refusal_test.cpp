// Promises under test: a table that a manager cannot create or hand over hurts neither the manager nor its other tables.
#include <doctest/doctest.h>

#include <stdexcept>

#include <kv/simulation.hpp>

#include "managed.hpp"
#include "reports.hpp"

namespace table_manager_refusal_test {

using namespace std::chrono_literals;
using kv::testing::probe;
using texts = kv::table<std::string, std::string>;

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a claim of a table whose name others have taken is refused, and the manager goes on") {
  kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
  probe p(world);
  std::vector<kv::managed_table> tables{kv::manage<counts>({.name = "counts"}, "", kv::handover::pull),
                                        kv::manage<counts>({.name = "others"}, "", kv::handover::pull)};
  const auto manager = world.spawn_named<kv::table_manager>("manager", std::move(tables));
  world.spawn([to = p.id()] {
    kv::claim_table<counts>("manager", "counts").drop();
    kv::send(to, true);
  });
  p.expect<bool>();
  auto taken = texts::create(world, {.name = "counts", .owner = p});
  const auto claim = [to = p.id()](const std::string& name) {
    return [to, name] {
      try {
        kv::send(to, kv::claim_table<counts>("manager", name).owner() == kv::self());
        kv::receive<int>();
      } catch (const std::exception&) {
        kv::send(to, false);
      }
    };
  };
  world.spawn(claim("counts"));
  CHECK_FALSE(p.expect<bool>());
  world.spawn(claim("others"));
  CHECK(p.expect<bool>());
  CHECK(manager.alive());
  p.run([&] { taken.drop(); });
  world.spawn(claim("counts"));
  CHECK(p.expect<bool>());
}

TEST_CASE("a table that cannot be handed over stays with the manager, and is handed over when it can be") {
  reports seen;
  kv::simulation world({.runtime = {.on_report = seen.sink()}});
  probe p(world);
  bool is_broken = true;
  auto table = kv::manage<counts>({.name = "counts"}, "user", kv::handover::push, "go on");
  table.open = [&is_broken, open = table.open](const std::string& name) {
    const auto made = open(name);
    const auto push = [&is_broken, push = made.push] {
      if (is_broken) throw std::runtime_error("it breaks");
      push();
    };
    return kv::detail::opened_table{made.inside, push};
  };
  const auto manager = world.spawn_named<kv::table_manager>("manager", std::vector{table});
  world.advance(10s);
  CHECK(manager.alive());
  CHECK(counts::find(world, "counts")->owner() == manager.id());
  CHECK(seen.all<kv::oddity_report>().size() == 1);
  is_broken = false;
  world.advance(1s);
  world.spawn([to = p.id()] {
    kv::register_name("user", kv::self());
    kv::send(to, kv::receive<handed>().table.owner() == kv::self());
  });
  CHECK(p.expect<bool>());
}

TEST_SUITE_END();

}  // namespace table_manager_refusal_test
