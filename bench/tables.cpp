// Tables beside maps: a name and a number in each row.
//
// A benchmark and its peers run the same function template: what differs is the map they run it on.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "summary.hpp"
#include "table_peers.hpp"

namespace kv::bench {

namespace {

/// The names of so many rows, in an order that looks random and is the same for every contestant.
template <std::size_t count>
const std::vector<std::string>& shuffled_names() {
  static const auto names = [] {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(name_of(i));
    std::ranges::shuffle(result, std::minstd_rand(1));
    return result;
  }();
  return names;
}

/// A map with a row for each of the names. Built by whoever asks first; what changes rows leaves as many.
template <class Map, std::size_t count>
Map& filled() {
  static lazy<Map> map;
  static std::once_flag is_filled;
  std::call_once(is_filled, [] {
    for (std::size_t i = 0; i < count; ++i) map().put(name_of(i), i);
  });
  return map();
}

/// Calls step(map, name, turn) with one name after the other; each thread begins elsewhere.
template <class Map, std::size_t count, class Step>
void go_round(benchmark::State& state, Step step) {
  auto& map = filled<Map, count>();
  const auto& names = shuffled_names<count>();
  auto at = static_cast<std::size_t>(state.thread_index()) * count / 2;
  for (auto _ : state) {
    if (!step(map, names[at], at)) return state.SkipWithError("a row is missing");
    if (++at == count) at = 0;
  }
}

template <class Map, std::size_t count>
void find(benchmark::State& state) {
  go_round<Map, count>(state,
                       [](Map& map, const std::string& name, std::size_t) { return map.find(name).has_value(); });
}
template <class Map>
void find_one(benchmark::State& state) {
  auto& map = filled<Map, population_size>();
  auto name = name_of(population_size / 2);
  for (auto _ : state) {
    benchmark::DoNotOptimize(name.data());  // or the compiler would compute the hash once
    benchmark::ClobberMemory();
    if (map.find(name) != population_size / 2) return state.SkipWithError("the row is missing");
  }
}
template <class Map, std::size_t count>
void update(benchmark::State& state) {
  go_round<Map, count>(state, [](Map& map, const std::string& name, std::size_t turn) {
    map.put(name, turn);
    return true;
  });
}
template <class Map, std::size_t count>
void erase_and_insert(benchmark::State& state) {
  go_round<Map, count>(state, [](Map& map, const std::string& name, std::size_t turn) {
    const bool was_there = map.erase(name);
    map.put(name, turn);
    return was_there;
  });
}
/// One write, and nineteen reads.
template <class Map>
void mix(benchmark::State& state) {
  go_round<Map, population_size>(state, [](Map& map, const std::string& name, std::size_t turn) {
    if (turn % 20 != 0) return map.find(name).has_value();
    map.put(name, turn);
    return true;
  });
}
/// Fills an empty map; the time is that of one row.
template <class Map>
void fill(benchmark::State& state) {
  const auto& names = shuffled_names<population_size>();
  for (auto _ : state) {
    const auto map = std::make_unique<Map>();
    state.SetIterationTime(seconds_of([&] {
                             for (std::size_t i = 0; i < names.size(); ++i) map->put(names[i], i);
                           }) /
                           static_cast<double>(names.size()));
    if (!map->find(names.back())) return state.SkipWithError("a row is missing");
  }
}

using kv_map = kv_numbers<set>;
using kv_ordered_map = kv_numbers<ordered_set>;

void add_finds(summary& table) {
  add_benchmark("table/find/100k/kv", find<kv_map, 100'000>);
  add_benchmark("table/find/100k/flat_map", find<flat_numbers, 100'000>);
  add_benchmark("table/find/1M/kv", find<kv_map, 1'000'000>);
  add_benchmark("table/find/1M/flat_map", find<flat_numbers, 1'000'000>);
  add_benchmark("table/find_one/kv", find_one<kv_map>)->Threads(1)->Threads(2);
  add_benchmark("table/find_one/flat_map", find_one<flat_numbers>);
  const auto row = [&](const std::string& what, const std::string& name, bound limit) {
    table.add({.operation = "table, lookup, " + what + " (peer: map without a lock)",
               .kv = name + "/kv",
               .peer = name + "/flat_map",
               .limit = limit});
  };
  row("100,000 rows", "table/find/100k", times_peer(1.5));
  row("1,000,000 rows", "table/find/1M", times_peer(1.5));
  row("one row", "table/find_one", {});
  table.add({.operation = "table, lookup, one row: gain by a second thread",
             .kv = "table/find_one/kv",
             .peer = "",
             .what = measure::gain,
             .limit = at_least(1.8)});
}

void add_writes(summary& table) {
  add_benchmark("table/fill/kv", fill<kv_map>, timing::manual)->Iterations(5);
  add_benchmark("table/fill/sharded", fill<sharded_numbers>, timing::manual)->Iterations(5);
  add_benchmark("table/renew/100k/kv", erase_and_insert<kv_map, 100'000>);
  add_benchmark("table/renew/100k/sharded", erase_and_insert<sharded_numbers, 100'000>);
  add_benchmark("table/renew/1M/kv", erase_and_insert<kv_map, 1'000'000>);
  add_benchmark("table/renew/1M/sharded", erase_and_insert<sharded_numbers, 1'000'000>);
  add_benchmark("table/update/100k/kv", update<kv_map, 100'000>);
  add_benchmark("table/update/100k/sharded", update<sharded_numbers, 100'000>);
  add_benchmark("table/update/1M/kv", update<kv_map, 1'000'000>);
  add_benchmark("table/update/1M/sharded", update<sharded_numbers, 1'000'000>);
  const auto row = [&](const std::string& what, const std::string& name) {
    table.add({.operation = "table, " + what + " (peer: 64 maps with locks)",
               .kv = name + "/kv",
               .peer = name + "/sharded",
               .limit = times_peer(1.25)});
  };
  row("insert", "table/fill");
  row("erase + insert, 100,000 rows", "table/renew/100k");
  row("erase + insert, 1,000,000 rows", "table/renew/1M");
  row("update, 100,000 rows", "table/update/100k");
  row("update, 1,000,000 rows", "table/update/1M");
}

template <class Map>
void add_mix(const std::string& name) {
  add_benchmark("table/mix/" + name, mix<Map>)->Threads(2);
}

void add_mixes(summary& table) {
  add_mix<kv_map>("kv");
  add_mix<tbb_numbers>("tbb");
  add_mix<cuckoo_numbers>("libcuckoo");
  add_mix<sharded_numbers>("sharded");
  for (const char* const peer : {"tbb", "libcuckoo", "sharded"}) {
    table.add({.operation = std::string("table, 95 % reads, 2 threads (peer: ") + peer + ")",
               .kv = "table/mix/kv",
               .peer = std::string("table/mix/") + peer,
               .threads = 2,
               .limit = times_peer(1)});
  }
}

}  // namespace

void add_tables(summary& table) {
  add_finds(table);
  add_writes(table);
  add_mixes(table);
}

void add_ordered_tables(summary& table) {
  for (const int threads : {1, 2}) {
    add_benchmark("ordered/find/kv", find<kv_ordered_map, population_size>)->Threads(threads);
    add_benchmark("ordered/find/shared_mutex", find<shared_ordered_numbers, population_size>)->Threads(threads);
    table.add({.operation = "ordered table, lookup, " + std::to_string(threads) + " threads (peer: shared_mutex map)",
               .kv = "ordered/find/kv",
               .peer = "ordered/find/shared_mutex",
               .threads = threads,
               .limit = times_peer(1)});
  }
  add_benchmark("ordered/renew/kv", erase_and_insert<kv_ordered_map, population_size>);
  add_benchmark("ordered/renew/shared_mutex", erase_and_insert<shared_ordered_numbers, population_size>);
  table.add({.operation = "ordered table, erase + insert (peer: shared_mutex map)",
             .kv = "ordered/renew/kv",
             .peer = "ordered/renew/shared_mutex"});
}

}  // namespace kv::bench
