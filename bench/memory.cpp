// What an idle bucket weighs, and how long a million of them takes.
#include <fstream>

#include <malloc.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "summary.hpp"

namespace kv::bench {

namespace {

struct memory {
  double resident;  // what the system has given us, in bytes
  double heap;      // what malloc has handed out of it

  static memory now() {
    std::size_t pages_mapped = 0;
    std::size_t pages_resident = 0;
    std::ifstream("/proc/self/statm") >> pages_mapped >> pages_resident;
    const auto heap = ::mallinfo2();
    return {static_cast<double>(pages_resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)),
            static_cast<double>(heap.uordblks) + static_cast<double>(heap.hblkhd)};
  }
};

/// Fills the world with buckets of one entry each, once.
template <class World>
void fill(benchmark::State& state, World& world, std::size_t count) {
  ::malloc_trim(0);  // what earlier benchmarks have freed must not look like memory that is already there
  const auto before = memory::now();
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) world.create(name_of(i));
  }
  const auto after = memory::now();
  if (world.get(name_of(count - 1)) != entry_value) return state.SkipWithError("the last bucket is missing");
  const auto per_bucket = [&](double bytes) { return bytes / static_cast<double>(count); };
  state.counters[bytes_counter] = per_bucket(after.resident - before.resident);
  state.counters["heap/bucket"] = per_bucket(after.heap - before.heap);
}

void fill_kv(benchmark::State& state, std::size_t count) {
  stage world;
  inside(world.home, [&] { fill(state, world, count); });
}

void fill_maps(benchmark::State& state, std::size_t count) {
  mutex_maps world;
  fill(state, world, count);
}

void add(const std::string& name, void (*run)(benchmark::State&, std::size_t), std::size_t count) {
  add_benchmark(name, [=](benchmark::State& state) { run(state, count); })
      ->Iterations(1)
      ->Repetitions(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void add_memory(summary& table) {
  add("memory/mutex_maps", fill_maps, population_size);
  add("memory/kv", fill_kv, population_size);
  table.add({.operation = "memory per idle bucket, all included, of 100,000",
             .kv = "memory/kv",
             .peer = "memory/mutex_maps",
             .what = measure::bytes,
             .limit = at_most(1024),
             .goal = at_most(512)});

  constexpr std::size_t million = 1'000'000;
  add("million/mutex_maps", fill_maps, million);
  add("million/kv", fill_kv, million);
  const comparison seconds{.operation = "a million buckets created",
                           .kv = "million/kv",
                           .peer = "million/mutex_maps",
                           .what = measure::seconds};
  table.add(seconds);
  table.add({.operation = "memory per idle bucket, all included, of a million",
             .kv = seconds.kv,
             .peer = seconds.peer,
             .what = measure::bytes,
             .limit = at_most(1024),
             .goal = at_most(512)});
}

}  // namespace kv::bench
