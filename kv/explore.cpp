#include <kv/explore.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <ostream>
#include <stdexcept>

namespace kv {

namespace {

/// What became of one run.
struct outcome {
  bool failed = false;
  std::string what = {};
  std::string circumstances = {};
  std::vector<deviation> deviations = {};
};

outcome run_once(const scenario& run, const simulation_options& world) {
  simulation here(world);
  outcome result;
  try {
    run(here);
  } catch (const std::exception& e) {
    result = {.failed = true, .what = e.what()};
  } catch (...) {
    result = {.failed = true, .what = "unknown exception"};
  }
  if (result.failed) result.circumstances = here.core().exec().circumstances();
  result.deviations = here.deviations();
  return result;
}

// Replay ---------------------------------------------------------------------------------------------------------

std::string to_text(std::uint64_t seed, const std::vector<deviation>& only) {
  auto text = std::to_string(seed);
  for (const auto& d : only) text += (&d == &only.front() ? ':' : ',') + std::to_string(d);
  return text;
}

std::uint64_t take_number(std::string_view& text, const std::string& variable) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) {
    throw std::invalid_argument(variable + ": a number was expected at \"" + std::string(text) + '"');
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

/// Reads `seed` or `seed:deviation,deviation…`.
void read_replay(std::string_view text, simulation_options& world) {
  world.seed = take_number(text, "KV_SEED");
  if (text.empty()) return;
  world.only.emplace();
  for (char expected = ':'; !text.empty(); expected = ',') {
    if (text.front() != expected) {
      throw std::invalid_argument("KV_SEED: unexpected \"" + std::string(text) + "\"; as in 17 or 17:3,8");
    }
    text.remove_prefix(1);
    world.only->push_back(take_number(text, "KV_SEED"));
  }
}

// Reduction ------------------------------------------------------------------------------------------------------

/// Leaves out deviations as long as the run still fails: ever smaller parts of them, each part once a round.
class reduction {
 public:
  reduction(const scenario& run, simulation_options world, outcome failure)
      : run_(run), world_(std::move(world)), best_(std::move(failure)) {}

  outcome reduce() {
    for (auto parts = std::size_t{2}; !best_.deviations.empty() && runs_ < max_runs;) {
      parts = std::min(parts, best_.deviations.size());
      if (leave_out_a_part(parts)) {
        parts = std::max<std::size_t>(parts - 1, 2);
      } else if (parts == best_.deviations.size()) {
        break;
      } else {
        parts *= 2;
      }
    }
    return std::move(best_);
  }

 private:
  static constexpr std::size_t max_runs = 2000;

  bool leave_out_a_part(std::size_t parts) {
    const auto all = best_.deviations;
    for (std::size_t part = 0; part < parts && runs_ < max_runs; ++part) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(all.size() * part / parts);
      const auto last = all.begin() + static_cast<std::ptrdiff_t>(all.size() * (part + 1) / parts);
      world_.only.emplace(all.begin(), first);
      world_.only->insert(world_.only->end(), last, all.end());
      ++runs_;
      auto result = run_once(run_, world_);
      if (!result.failed) continue;
      best_ = std::move(result);
      return true;
    }
    return false;
  }

  const scenario& run_;
  simulation_options world_;
  outcome best_;
  std::size_t runs_ = 0;
};

[[noreturn]] void fail(const outcome& failure, std::uint64_t seed, std::size_t deviations_at_first,
                       const explore_options& options, std::source_location where) {
  std::string text = where.file_name() + (":" + std::to_string(where.line())) + ": seed " + std::to_string(seed) +
                     " fails: " + failure.what;
  text += "\nit takes " + std::to_string(failure.deviations.size()) + " of " + std::to_string(deviations_at_first) +
          " deviations from the plain order";
  if (failure.what.find(failure.circumstances) == std::string::npos) text += '\n' + failure.circumstances;
  text += "\nreplay: KV_SEED=" + to_text(seed, failure.deviations) + ' ' + options.command;
  throw exploration_failed(text, seed, failure.deviations);
}

}  // namespace

std::size_t explore(std::size_t n_seeds, const scenario& run, const explore_options& options,
                    std::source_location where) {
  if (options.first_seed == 0)
    throw std::invalid_argument("explore_options::first_seed is 0, which is the plain order");
  auto world = options.world;
  if (const char* const replay = std::getenv("KV_SEED")) {
    read_replay(replay, world);
    const auto result = run_once(run, world);
    if (result.failed) fail(result, world.seed, result.deviations.size(), options, where);
    return 1;
  }
  if (const char* const more = std::getenv("KV_SEEDS")) {
    std::string_view text = more;
    n_seeds = take_number(text, "KV_SEEDS");
  }
  for (std::size_t i = 0; i < n_seeds; ++i) {
    world.seed = options.first_seed + i;
    auto result = run_once(run, world);
    if (!result.failed) continue;
    const auto at_first = result.deviations.size();
    fail(reduction(run, world, std::move(result)).reduce(), world.seed, at_first, options, where);
  }
  return n_seeds;
}

// Sweeps ---------------------------------------------------------------------------------------------------------

namespace {

/// One run of a sweep.
struct swept {
  outcome result;
  std::uint64_t boundaries = 0;
  unsigned kills = 0;
};

swept run_with(const scenario& run, simulation_options world, std::vector<planned_kill> kills) {
  world.kills = std::move(kills);
  swept result;
  result.result = run_once(
      [&](simulation& here) {
        struct look {
          simulation& world;
          swept& seen;
          ~look() {
            seen.boundaries = world.boundaries();
            seen.kills = world.kills();
          }
        } const at_end{here, result};
        run(here);
      },
      world);
  return result;
}

void count(sweep_row& row, const swept& run, const std::string& where) {
  ++row.points;
  if (!run.result.failed) {
    ++row.held;
  } else if (row.first_failure.empty()) {
    row.first_failure = where + ": " + run.result.what;
    if (run.result.what.find(run.result.circumstances) == std::string::npos) {
      row.first_failure += '\n' + run.result.circumstances;
    }
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const sweep_row& row) {
  out << row.victims << ": " << row.points << " points, " << row.held << " held";
  return row.first_failure.empty() ? out : out << "\nfirst failure: " << row.first_failure;
}

sweep_row sweep(const scenario& run, const victim& whom, const simulation_options& world) {
  sweep_row row{.victims = whom.name()};
  for (std::uint64_t at = 1;; ++at) {
    const auto killed = run_with(run, world, {{at, whom}});
    if (killed.kills == 1) count(row, killed, "killed at boundary " + std::to_string(at));
    if (killed.boundaries < at) return row;
  }
}

sweep_row sweep_pairs(const scenario& run, const victim& first, const victim& second, const simulation_options& world) {
  sweep_row row{.victims = first.name() + " and " + second.name()};
  for (std::uint64_t at = 1;; ++at) {
    const auto once = run_with(run, world, {{at, first}});
    if (once.boundaries < at) return row;
    if (once.kills == 0) continue;
    for (auto then = at + 1; then <= once.boundaries; ++then) {
      const auto twice = run_with(run, world, {{at, first}, {then, second}});
      if (twice.kills < 2) continue;
      count(row, twice, "killed at boundaries " + std::to_string(at) + " and " + std::to_string(then));
    }
  }
}

}  // namespace kv
