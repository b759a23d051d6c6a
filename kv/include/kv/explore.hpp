// Runs of one scenario under many seeds, and with a crash at every point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <vector>

#include <kv/simulation.hpp>
#include <kv/testing.hpp>

namespace kv {

/// What is run: it uses the simulation as it would use a runtime, and throws when something is not as it should be.
/// Called many times, so it must leave nothing behind.
using scenario = std::function<void(simulation&)>;

/// How seeds are explored.
struct explore_options {
  std::uint64_t first_seed = 1;  ///< not 0, which is the plain order
  /// What every run has in common; the seed is explore's. Crash reports are dropped unless on_report is set.
  simulation_options world = {.runtime = {.on_report = [](const report&) {}}};
  /// How to run this test alone; printed behind `KV_SEED=…` for the replay.
  std::string command = {};
};

/// A scenario has failed under some seed. what() says how, what it takes, the last steps, and how to run it again.
class exploration_failed : public testing::expectation_failed {
 public:
  exploration_failed(const std::string& what, std::uint64_t seed, std::vector<deviation> deviations)
      : expectation_failed(what), seed_(seed), deviations_(std::move(deviations)) {}
  std::uint64_t seed() const noexcept { return seed_; }
  /// Returns where the run has to leave the plain order for the scenario to fail: the fewest that were found.
  const std::vector<deviation>& deviations() const noexcept { return deviations_; }

 private:
  std::uint64_t seed_;
  std::vector<deviation> deviations_;
};

/// Runs a scenario under `n_seeds` seeds. The first that fails is reduced, by leaving out deviations for as long as it
/// fails, and thrown as exploration_failed. Returns how many runs there were. Takes as long as that many runs; a failure,
/// up to 2,000 runs more. After the delta debugging of Zeller and Hildebrandt (2002).
///
/// `KV_SEEDS=n` in the environment makes it that many seeds. With `KV_SEED=seed` or `KV_SEED=seed:deviation,deviation…`,
/// which is what exploration_failed prints, only that one run takes place.
std::size_t explore(std::size_t n_seeds, const scenario& run, const explore_options& options = {},
                    std::source_location where = std::source_location::current());

/// What became of a sweep over one victim, or two.
struct sweep_row {
  std::string victims;
  std::size_t points = 0;  ///< runs in which every kill met somebody alive
  std::size_t held = 0;    ///< of these, those in which the scenario found all as it should be
  std::string first_failure = {};
};

/// Prints `registry: 412 points, 412 held`, and the first failure if there is one.
std::ostream& operator<<(std::ostream& out, const sweep_row& row);

/// Runs a scenario once for every turn boundary that it has, each time killing the victim there: in the plain order, one
/// point after the other, none left out.
sweep_row sweep(const scenario& run, const victim& whom, const simulation_options& world = {});

/// The same with two kills: for every point of the first, every later point of the second. So the square of the runs.
sweep_row sweep_pairs(const scenario& run, const victim& first, const victim& second,
                      const simulation_options& world = {});

}  // namespace kv
