// What the benchmarks work on: names, a tree full of buckets, and the bare maps that it is compared with.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <kv/kv.hpp>

#include "peers.hpp"

namespace kv::bench {

class summary;
struct fixtures;

/// Each registers the benchmarks of its theme, and their rows.
void add_memory(summary& table);
void add_lookups(summary& table, fixtures& shared);
void add_calls(summary& table);
void add_lifecycles(summary& table, fixtures& shared);
void add_storm(summary& table);
void add_tables(summary& table);
void add_ordered_tables(summary& table);
void add_table_stalls(summary& table);

/// How a benchmark's time is taken: from the clock on the wall, or as the benchmark says.
enum class timing { real, manual };

template <class F>
auto* add_benchmark(const std::string& name, F run, timing how = timing::real) {
  // What failed once goes on to fail: Google Benchmark 1.7 crashes when only the first of several repetitions did.
  const auto failed = std::make_shared<std::atomic<bool>>(false);
  const auto guarded = [run, failed](benchmark::State& state) {
    if (*failed) return state.SkipWithError("an earlier repetition failed");
    run(state);
    if (state.error_occurred()) *failed = true;
  };
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), guarded);
  return how == timing::real ? added->UseRealTime() : added->UseManualTime();
}

// Names ------------------------------------------------------------------------------------------------------------

inline constexpr std::size_t population_size = 100'000;

inline std::string name_of(std::size_t i) { return "bucket-" + std::to_string(i); }

/// The one entry of every bucket.
inline constexpr std::string_view entry_key = "milk";
inline constexpr std::string_view entry_value = "3";

/// Names in a random order that is the same in every run and for every contestant. In one row in memory, so that what
/// a benchmark waits for is the maps and not the names.
class draws {
 public:
  draws();
  const std::string& next() noexcept { return names_[at_++ % count]; }

 private:
  static constexpr std::size_t count = 1U << 17U;
  std::vector<std::string> names_;
  std::size_t at_ = 0;
};

// Time -------------------------------------------------------------------------------------------------------------

template <class F>
double seconds_of(F f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A tree -----------------------------------------------------------------------------------------------------------

/// Runs `f` inside a process and returns its result. What it throws comes out as call_error.
template <class F>
auto inside(runtime& home, F f) {
  struct driver {};
  const auto process = home.spawn<driver>();
  if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
    process.call_for(infinity, [&f](driver&) { f(); });
    process.stop();
  } else {
    auto result = process.call_for(infinity, [&f](driver&) { return f(); });
    process.stop();
    return result;
  }
}

/// A runtime with a tree on it that never gives up.
struct stage {
  explicit stage(unsigned threads = runtime_options().threads);
  ref<bucket> create(const std::string& name) const;
  std::optional<ref<bucket>> find(const std::string& name) const { return tree.registry.lookup(name); }
  std::optional<std::string> get(const std::string& name) const;

  runtime home;
  kv::tree tree;
};

/// Something with a bucket for each of the names `bucket-0…`, one entry in each.
template <class World>
struct populated : World {
  populated() {
    const auto fill = [this] {
      for (std::size_t i = 0; i < population_size; ++i) this->create(name_of(i));
    };
    if constexpr (std::is_base_of_v<stage, World>) {
      inside(this->home, fill);
    } else {
      fill();
    }
  }
};

/// Built by whoever asks first, on whatever thread.
template <class T>
class lazy {
 public:
  T& operator()() {
    std::call_once(built_, [this] { value_.emplace(); });
    return *value_;
  }

 private:
  std::once_flag built_;
  std::optional<T> value_;
};

/// What several benchmarks read and none changes.
struct fixtures {
  lazy<populated<stage>> kv;
  lazy<populated<mutex_maps>> maps;
  lazy<populated<flat_map>> names;
  lazy<populated<shared_map>> shared_names;
};

}  // namespace kv::bench
