// How little others notice when 100,000 buckets are killed at once. The peer of a figure is the same before the storm.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "latencies.hpp"
#include "summary.hpp"

namespace kv::bench {

namespace {

constexpr std::size_t others = 1000;
constexpr std::size_t reads_before = 1'000'000;

/// What a storm took, and the longest mailbox of the registry and of the buckets' supervisor that was seen in it.
struct course {
  double seconds = 0;
  std::uint64_t longest_mailbox = 0;
};

/// Buckets that are to die, and others that are read all the time.
class battlefield {
 public:
  battlefield() {
    inside(world_.home, [this] {
      for (std::size_t i = 0; i < population_size; ++i)
        victims_.push_back(world_.create("victim-" + std::to_string(i)));
      for (std::size_t i = 0; i < others; ++i) world_.create(name_of(i));
    });
  }

  /// Reads the others, one after the other, for as long as `goes_on(reads so far)`. Nothing if a value is missing.
  template <class Predicate>
  std::optional<latencies> read(Predicate goes_on) const {
    latencies result;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < others; ++i) names.push_back(name_of(i));
    for (std::size_t at = 0; goes_on(result.size()); at = (at + 1) % others) {
      if (result.time([&] { return world_.get(names[at]); }) != entry_value) return std::nullopt;
    }
    result.stop();
    return result;
  }

  /// Kills all victims and waits for all their events. Nothing if an event is missing or of somebody else, or a row is
  /// left.
  std::optional<course> storm() {
    return inside(world_.home, [this]() -> std::optional<course> {
      world_.tree.events.forward_to(self(), [](const exited&) { return true; });
      std::vector<pid> gone;
      gone.reserve(victims_.size());
      course result;
      const auto alive = world_.home.process_count();
      const auto mourners = {before_storm("kv.registry"), before_storm("kv.buckets")};
      result.seconds = seconds_of([&] {
        for (const auto each : victims_) exit(each, exit_reason::kill);
        while (gone.size() < victims_.size()) {
          const auto event = receive_for<exited>(std::chrono::seconds(10));
          if (!event) return;
          gone.push_back(event->bucket);
          if (gone.size() % 100 != 0) continue;
          const auto deaths = alive - world_.home.process_count();
          for (const auto& each : mourners) {
            result.longest_mailbox = std::max(result.longest_mailbox, mailbox_of(each, deaths));
          }
        }
      });
      std::ranges::sort(gone);
      std::ranges::sort(victims_);
      if (gone != victims_ || world_.tree.registry.size() != others) return std::nullopt;
      return result;
    });
  }

 private:
  /// A process that gets one message for each bucket that ends.
  struct mourner {
    pid who;
    std::uint64_t handled;  // before the storm
  };

  mourner before_storm(const char* name) const {
    const auto who = world_.home.whereis(name).value();
    return {who, world_.home.info(who).value().handled};
  }
  /// What it has not handled yet of the deaths that there were.
  std::uint64_t mailbox_of(const mourner& each, std::size_t deaths) const {
    const auto handled = world_.home.info(each.who).value().handled - each.handled;
    return deaths > handled ? deaths - handled : 0;
  }

  stage world_{1};  // and a thread that reads
  std::vector<pid> victims_;
};

void read_in_peace(benchmark::State& state) {
  const battlefield field;
  for (auto _ : state) {
    auto all = field.read([](std::size_t so_far) { return so_far < reads_before; });
    if (!all) return state.SkipWithError("a bucket does not answer");
    all->count(state);
    state.SetIterationTime(1e-9);
  }
}

void read_in_the_storm(benchmark::State& state) {
  battlefield field;
  for (auto _ : state) {
    std::atomic<bool> is_over{false};
    std::optional<course> storm;
    std::jthread killer([&] {
      storm = field.storm();
      is_over = true;
    });
    auto all = field.read([&](std::size_t) { return !is_over; });
    killer.join();
    if (!storm) return state.SkipWithError("an event is missing or wrong, or a row is left");
    if (!all) return state.SkipWithError("a bucket that lives does not answer");
    all->count(state);
    state.counters["mailbox"] = static_cast<double>(storm->longest_mailbox);
    state.SetIterationTime(storm->seconds);
  }
}

}  // namespace

void add_storm(summary& table) {
  add_benchmark("storm/before", read_in_peace, timing::manual)->Iterations(1)->Unit(benchmark::kMillisecond);
  add_benchmark("storm/during", read_in_the_storm, timing::manual)->Iterations(1)->Unit(benchmark::kMillisecond);
  table.add({.operation = "100,000 buckets killed at once, until the last event",
             .kv = "storm/during",
             .peer = "",
             .what = measure::seconds});
  table.add({.operation = "longest mailbox seen in the registry and its supervisor of buckets",
             .kv = "storm/during",
             .peer = "",
             .what = measure::count,
             .counter = "mailbox",
             .limit = at_most(population_size)});
  add_latency_rows(table, "lookup + get of others meanwhile", "storm/during",
                   {.name = "storm/before", .what = "before"});
}

}  // namespace kv::bench
