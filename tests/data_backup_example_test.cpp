// Promises under test: what the server with a table in examples/data_backup.cpp has once fetched is never fetched again,
// nor copied, whichever of server and master is killed, at whatever point.
#include <doctest/doctest.h>

#include <iostream>
#include <optional>

#include "../examples/data_backup.hpp"
#include "exploring.hpp"

namespace data_backup_example_test {

namespace {

using warm::server_with_backup;
using warm::server_with_table;

const kv::simulation_options quiet{.runtime = {.on_report = [](const kv::report&) {}}};

/// The database is small, for the scope of a test.
class small_database {
 public:
  small_database() { warm::row_count = 5; }
  small_database(const small_database&) = delete;
  small_database& operator=(const small_database&) = delete;
  ~small_database() { warm::row_count = before_; }

 private:
  int before_ = warm::row_count;
};

template <class Server>
std::optional<std::size_t> rows(kv::simulation& world) {
  const auto who = world.whereis<Server>("server");
  if (!who) return std::nullopt;
  try {
    return who->call(&Server::rows);
  } catch (const kv::call_error&) {
    return std::nullopt;
  }
}

template <class Server>
void data_are_kept(kv::simulation& world) {
  warm::warm_ups = 0;
  warm::record::bytes_copied = 0;
  try {
    warm::start<Server>(world);
  } catch (const kv::start_error&) {
    return;  // killed before it was there
  }
  int needed = 0;  // warm-ups until somebody was told that the data are there
  for (int i = 0; i < 4; ++i) {
    const auto found = rows<Server>(world);
    require(!found || *found == 5, "some rows are missing");
    if (found && needed == 0) needed = warm::warm_ups;
  }
  world.calmly([&] {
    world.run_until_idle();
    require(rows<Server>(world) == 5, "the data are not there");
    require(needed == 0 || warm::warm_ups == needed, "the data were fetched again");
    require(warm::record::bytes_copied == 0, "data were copied");
  });
}

void check_sweep(const kv::sweep_row& row) {
  std::cout << row << '\n';
  CHECK(row.points > 10);
  CHECK(row.held == row.points);
}

}  // namespace

TEST_SUITE("in simulation") {
  TEST_CASE("data in a table are fetched once, whoever is killed at whatever points") {
    const small_database five;
    for (const kv::victim& whom : {kv::victim("server"), kv::victim("master")}) {
      check_sweep(kv::sweep(data_are_kept<server_with_table>, whom, quiet));
    }
    check_sweep(kv::sweep_pairs(data_are_kept<server_with_table>, "server", "server", quiet));
    check_sweep(kv::sweep_pairs(data_are_kept<server_with_table>, "server", "master", quiet));
    check_sweep(kv::sweep_pairs(data_are_kept<server_with_table>, "master", "server", quiet));
  }

  TEST_CASE("data in a table are fetched once, in any order of events") {
    const small_database five;
    auto options = replayable();
    options.world.faults = {.victims = {"server", "master"}, .max_kills = 10};
    kv::explore(affordable(500), data_are_kept<server_with_table>, options);
  }

  TEST_CASE("data in a backup are fetched again after a kill, and copied there and back after an exception") {
    const small_database five;
    const auto row = kv::sweep(data_are_kept<server_with_backup>, "server", quiet);
    CHECK(row.held < row.points);

    kv::simulation world(quiet);
    warm::warm_ups = 0;
    warm::start<server_with_backup>(world);
    warm::record::bytes_copied = 0;
    std::size_t bytes = 0;
    warm::warm_up([&bytes](int, const warm::record& r) { bytes += r.text.size(); });
    CHECK_THROWS_AS(world.whereis<server_with_backup>("server")->call(&server_with_backup::fail), kv::call_error);
    world.run_until_idle();
    CHECK(world.whereis<server_with_backup>("server")->call(&server_with_backup::found) == 5);
    CHECK(warm::record::bytes_copied == 2 * bytes);
  }
}

}  // namespace data_backup_example_test
