#include <kv/simulation.hpp>

#include <limits>
#include <stdexcept>
#include <utility>

#include "expectation.hpp"
#include "simulator.hpp"
#include "substitute.hpp"

namespace kv {

namespace {

/// The verbs are the driver's: a process that used them would drive itself.
void check_driver() {
  if (detail::current_process != nullptr && !detail::current_process->is_stand_in) {
    throw std::logic_error("a process cannot drive the simulation that runs it");
  }
}

}  // namespace

simulation::simulation(const simulation_options& options)
    : runtime(options.runtime,
              [&](detail::core& c, const runtime_options&) { return std::make_unique<detail::simulator>(c, options); }),
      inside_(static_cast<detail::simulator&>(core().exec())) {}

// Victims --------------------------------------------------------------------------------------------------------

victim::victim(std::string registered_name) : name_(std::move(registered_name)) {}

std::optional<pid> victim::find(const detail::core& home) const {
  return type_ == nullptr ? home.holder_of(name_) : home.first_of(*type_);
}

// Run ------------------------------------------------------------------------------------------------------------

bool simulation::step() {
  check_driver();
  return inside_.turn();
}

void simulation::step(pid who, std::source_location where) {
  check_driver();
  if (!inside_.turn_of(who))
    testing::fail_expectation(core(), where, "process " + to_string(who) + " has nothing to do, or is held");
}

void simulation::expect_type(pid who, const std::type_info& message, std::source_location where) {
  check_driver();
  const auto* const next = inside_.next_message(who);
  if (next != nullptr && *next == message) return step(who, where);
  testing::fail_expectation(core(), where,
                            "process " + to_string(who) + " was to handle " + detail::type_name(message) + "; it " +
                                (next == nullptr ? "has no message to handle" : "handles " + detail::type_name(*next)));
}

std::size_t simulation::run_until_idle() {
  check_driver();
  std::size_t turns = 0;
  while (inside_.turn()) ++turns;
  return turns;
}

// Time -----------------------------------------------------------------------------------------------------------

void simulation::advance(std::chrono::nanoseconds time) {
  if (time.count() < 0) throw std::invalid_argument("simulation::advance: time does not run backwards");
  const auto until = now() + time;
  run_until_idle();
  for (auto next = inside_.next_timer(); next && *next <= until; next = inside_.next_timer()) {
    inside_.fire_next_timer();
    run_until_idle();
  }
  inside_.set_clock(until);
}

std::optional<std::chrono::nanoseconds> simulation::fire_next_timer() {
  check_driver();
  const auto before = now();
  return inside_.fire_next_timer() ? std::optional(now() - before) : std::nullopt;
}

// Disturb --------------------------------------------------------------------------------------------------------

void simulation::suspend(pid who) { inside_.hold(who); }

void simulation::refuse_allocation(pid who, unsigned nth) {
  if (nth == 0)
    throw std::invalid_argument("simulation::refuse_allocation: nth is 0; the next allocation is the first");
  inside_.refuse_allocation(who, nth);
}

void simulation::exhaust_memory(bool on) { inside_.exhaust_memory(on); }

void simulation::resume(pid who) { inside_.let_go(who); }

simulation::calm::calm(detail::simulator& world) : world_(world), before_(world.set_calm(true)) {}

simulation::calm::~calm() { world_.set_calm(before_); }

// Look -----------------------------------------------------------------------------------------------------------

std::uint64_t simulation::seed() const noexcept { return inside_.chances().seed(); }

std::uint64_t simulation::boundaries() const noexcept { return inside_.boundaries(); }

unsigned simulation::kills() const noexcept { return inside_.kills(); }

const std::vector<deviation>& simulation::deviations() const noexcept { return inside_.chances().struck(); }

std::vector<std::string> simulation::trace() const { return inside_.history().last(detail::trace::capacity); }

std::string simulation::processes_and_waits() const { return inside_.list(); }

// A suite on simulations -----------------------------------------------------------------------------------------

namespace testing {

namespace {

simulation_options unlimited(std::uint64_t seed, const runtime_options& options) {
  return {.seed = seed, .max_steps = std::numeric_limits<std::uint64_t>::max(), .runtime = options};
}

}  // namespace

simulate_runtimes::simulate_runtimes(std::uint64_t seed)
    : make_([seed](detail::core& c, const runtime_options& options) {
        return std::make_unique<detail::simulator>(c, unlimited(seed, options));
      }),
      outer_(std::exchange(detail::substitute, &make_)) {}

simulate_runtimes::~simulate_runtimes() { detail::substitute = outer_; }

}  // namespace testing
}  // namespace kv
