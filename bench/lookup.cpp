// Finding a bucket by its name, and reading it.
//
// A benchmark and its peer run the same function template: what differs is the world they run it on.
#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "summary.hpp"

namespace kv::bench {

namespace {

/// One name, which the compiler is not allowed to know: otherwise it would compute the hash once.
class hot_name {
 public:
  const std::string& next() noexcept {
    benchmark::DoNotOptimize(name_.data());
    benchmark::ClobberMemory();
    return name_;
  }

 private:
  std::string name_ = name_of(population_size / 2);
};

template <class Names, class World>
void find_loop(benchmark::State& state, const World& world) {
  Names names;
  for (auto _ : state) {
    const auto found = world.find(names.next());
    if (!found) return state.SkipWithError("a name is missing");
    benchmark::DoNotOptimize(found);
  }
}

template <class Names, class World>
void get_loop(benchmark::State& state, const World& world) {
  Names names;
  for (auto _ : state) {
    if (world.get(names.next()) != entry_value) return state.SkipWithError("a bucket holds something else");
  }
}

/// The same loop, run by a process.
template <class Names>
void get_loop_in_process(benchmark::State& state, stage& world) {
  inside(world.home, [&] { get_loop<Names>(state, world); });
}

void add_finds(summary& table, fixtures& shared) {
  add_benchmark("lookup/uniform/kv", [&](auto& state) { find_loop<draws>(state, shared.kv()); });
  add_benchmark("lookup/uniform/flat_map", [&](auto& state) { find_loop<draws>(state, shared.names()); });
  table.add({.operation = "lookup, 100,000 names (peer: map without a lock)",
             .kv = "lookup/uniform/kv",
             .peer = "lookup/uniform/flat_map",
             .goal = times_peer(1.5)});

  add_benchmark("lookup/hot/kv", [&](auto& state) { find_loop<hot_name>(state, shared.kv()); })->Threads(1)->Threads(2);
  add_benchmark("lookup/hot/flat_map", [&](auto& state) { find_loop<hot_name>(state, shared.names()); });
  add_benchmark("lookup/hot/shared_mutex", [&](auto& state) { find_loop<hot_name>(state, shared.shared_names()); })
      ->Threads(1)
      ->Threads(2);
  table.add({.operation = "lookup, one name (peer: map without a lock)",
             .kv = "lookup/hot/kv",
             .peer = "lookup/hot/flat_map"});
  table.add({.operation = "lookup, one name (peer: shared_mutex map)",
             .kv = "lookup/hot/kv",
             .peer = "lookup/hot/shared_mutex"});
  table.add({.operation = "lookup, one name: gain by a second thread",
             .kv = "lookup/hot/kv",
             .peer = "lookup/hot/shared_mutex",
             .what = measure::gain,
             .goal = at_least(1.8)});
}

void add_gets(summary& table, fixtures& shared) {
  add_benchmark("get/hot/kv", [&](auto& state) { get_loop<hot_name>(state, shared.kv()); });
  add_benchmark("get/hot/kv_in_process", [&](auto& state) { get_loop_in_process<hot_name>(state, shared.kv()); });
  add_benchmark("get/hot/mutex_maps", [&](auto& state) { get_loop<hot_name>(state, shared.maps()); });
  add_benchmark("get/uniform/kv", [&](auto& state) { get_loop<draws>(state, shared.kv()); });
  add_benchmark("get/uniform/kv_in_process", [&](auto& state) { get_loop_in_process<draws>(state, shared.kv()); });
  add_benchmark("get/uniform/mutex_maps", [&](auto& state) { get_loop<draws>(state, shared.maps()); });

  const auto row = [&](const std::string& what, const std::string& kv, const std::string& peer, bound limit) {
    table.add({.operation = "lookup + get, " + what, .kv = kv, .peer = peer, .limit = limit, .goal = times_peer(1.25)});
  };
  row("one bucket, from a thread", "get/hot/kv", "get/hot/mutex_maps", times_peer(3));
  row("one bucket, from a process", "get/hot/kv_in_process", "get/hot/mutex_maps", {});
  row("100,000 buckets, from a thread", "get/uniform/kv", "get/uniform/mutex_maps", {});
  row("100,000 buckets, from a process", "get/uniform/kv_in_process", "get/uniform/mutex_maps", {});
}

}  // namespace

void add_lookups(summary& table, fixtures& shared) {
  add_finds(table, shared);
  add_gets(table, shared);
}

}  // namespace kv::bench
