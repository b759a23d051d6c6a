// How buckets come and go, and how the registry comes back. Times are per bucket, of many at a time.
#include <algorithm>
#include <functional>
#include <unordered_map>
#include <variant>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "summary.hpp"

namespace kv::bench {

namespace {

/// How many buckets come and go together.
constexpr std::size_t batch_size = 20'000;

/// Their names, made before the clock runs.
const std::vector<std::string>& batch_names() {
  static const auto names = [] {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < batch_size; ++i) result.push_back(name_of(i));
    return result;
  }();
  return names;
}

/// What one round of many took; nothing when its outcome was wrong.
struct round {
  double create_seconds = 0;
  double exit_seconds = 0;
};

/// Waits for as many events as there are names.
template <class Event>
std::vector<pid> receive_all() {
  std::vector<pid> buckets;
  buckets.reserve(batch_size);
  while (buckets.size() < batch_size) {
    const auto event = receive_for<Event>(std::chrono::seconds(10));
    if (!event) break;
    buckets.push_back(event->bucket);
  }
  return buckets;
}

/// Tells whether both are the same buckets. Events of different names come in no particular order.
bool same(std::vector<pid> a, std::vector<pid> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

/// Creates all buckets and ends them again, in a process that the events are forwarded to. That it receives `created`
/// is not part of the time, because create() returns when that is delivered.
std::optional<round> kv_round(unsigned threads) {
  stage world(threads);
  return inside(world.home, [&]() -> std::optional<round> {
    world.tree.events.forward_to(self());
    std::vector<pid> buckets;
    buckets.reserve(batch_size);
    round result;
    result.create_seconds = seconds_of([&] {
      for (const auto& name : batch_names()) buckets.push_back(world.tree.registry.create(name));
    });
    if (!same(receive_all<created>(), buckets)) return std::nullopt;
    std::vector<pid> gone;
    result.exit_seconds = seconds_of([&] {
      for (const auto bucket : buckets) exit(bucket, exit_reason::kill);
      gone = receive_all<exited>();
    });
    return same(gone, buckets) && world.tree.registry.size() == 0 ? std::optional(result) : std::nullopt;
  });
}

/// The same with maps and mutexes: a row, and an event through a handler into a queue that somebody reads.
std::optional<round> maps_round() {
  mutex_maps world;
  event_queue<std::variant<created, exited>> queue;
  const std::function<void(const std::variant<created, exited>&)> handler = [&](const auto& event) {
    queue.push(event);
  };
  round result;
  result.create_seconds = seconds_of([&] {
    for (const auto& name : batch_names()) {
      world.start(name);
      handler(created{name, pid{}});
    }
  });
  while (queue.pop()) {
  }
  std::size_t received = 0;
  result.exit_seconds = seconds_of([&] {
    for (const auto& name : batch_names()) {
      if (world.erase(name)) handler(exited{name, pid{}, exit_reason::killed});
    }
    while (queue.pop()) ++received;
  });
  return received == batch_size ? std::optional(result) : std::nullopt;
}

template <class Round>
void run_rounds(benchmark::State& state, double round::* seconds, Round one_round) {
  while (state.KeepRunningBatch(batch_size)) {
    const auto result = one_round();
    if (!result) return state.SkipWithError("an event is missing or wrong");
    state.SetIterationTime((*result).*seconds);
  }
}

// Restart ----------------------------------------------------------------------------------------------------------

/// Kills the registry; returns the time until the next one answers for all rows.
double restart_registry(const tree& all) {
  const auto old = all.registry.server_pid().value();
  return seconds_of([&] {
    const auto watch = monitor(old);
    exit(old, exit_reason::kill);
    static_cast<void>(await(watch));
    all.root.call_for(infinity, &supervisor::which_children);  // comes after the restart in the supervisor's mailbox
  });
}

/// Every bucket answers; so what the restart sent them is handled, too, and not left to the next round.
bool all_answer(const stage& world) {
  for (std::size_t i = 0; i < population_size; ++i) {
    if (world.get(name_of(i)) != entry_value) return false;
  }
  return true;
}

void restart_kv(benchmark::State& state, stage& world) {
  while (state.KeepRunningBatch(population_size)) {
    state.SetIterationTime(inside(world.home, [&] { return restart_registry(world.tree); }));
    const bool whole =
        world.tree.registry.size() == population_size && inside(world.home, [&] { return all_answer(world); });
    if (!whole) return state.SkipWithError("a row or its bucket is lost");
  }
}

/// Forgets who is watched under which name, and learns it again from the rows.
void restart_maps(benchmark::State& state, const mutex_maps& world) {
  std::unordered_map<const mutex_bucket*, std::string> watched;
  while (state.KeepRunningBatch(population_size)) {
    state.SetIterationTime(seconds_of([&] {
      watched.clear();
      world.for_each(
          [&](const std::string& name, const mutex_maps::bucket_ptr& bucket) { watched.emplace(bucket.get(), name); });
    }));
    if (watched.size() != population_size) return state.SkipWithError("a row is lost");
  }
}

void add_rounds(const std::string& what, double round::* seconds) {
  const auto kv_on = [=](unsigned threads) {
    return [=](benchmark::State& state) { run_rounds(state, seconds, [=] { return kv_round(threads); }); };
  };
  add_benchmark(what + "/kv", kv_on(1), timing::manual);
  add_benchmark(what + "/kv_on_2_threads", kv_on(2), timing::manual);
  add_benchmark(
      what + "/mutex_maps", [=](benchmark::State& state) { run_rounds(state, seconds, maps_round); }, timing::manual);
}

}  // namespace

void add_lifecycles(summary& table, fixtures& shared) {
  const auto row = [&](const std::string& operation, const std::string& kv, const std::string& peer, bound limit,
                       bound goal) {
    table.add({.operation = operation, .kv = kv, .peer = peer, .limit = limit, .goal = goal});
  };
  add_rounds("create", &round::create_seconds);
  row("create: start, monitor, row, event", "create/kv", "create/mutex_maps", at_most(5000), at_most(2000));
  row("create, runtime with 2 threads", "create/kv_on_2_threads", "create/mutex_maps", {}, {});
  add_rounds("exit", &round::exit_seconds);
  row("kill, until its event is received", "exit/kv", "exit/mutex_maps", {}, at_most(1000));
  row("kill, runtime with 2 threads", "exit/kv_on_2_threads", "exit/mutex_maps", {}, {});

  add_benchmark("restart/kv", [&](benchmark::State& state) { restart_kv(state, shared.kv()); }, timing::manual);
  add_benchmark(
      "restart/mutex_maps", [&](benchmark::State& state) { restart_maps(state, shared.maps()); }, timing::manual);
  row("registry restart, per row of 100,000", "restart/kv", "restart/mutex_maps", {}, at_most(150));
}

}  // namespace kv::bench
