// How long each of very many operations took.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "summary.hpp"

namespace kv::bench {

/// Counts latencies by the nanosecond, and remembers long ones one by one.
class latencies {
 public:
  /// Calls f(), notes how long it took, and returns what it returned.
  template <class F>
  auto time(F f) {
    const auto start = std::chrono::steady_clock::now();
    auto result = f();
    add(std::chrono::steady_clock::now() - start);
    return result;
  }
  std::uint64_t size() const noexcept { return size_; }

  /// Sets the counters that add_latency_rows() is about.
  void count(benchmark::State& state) {
    std::ranges::sort(long_);
    state.counters["p50"] = at(0.5);
    state.counters["p99"] = at(0.99);
    state.counters["p99.9"] = at(0.999);
    state.counters["max"] = at(1);
    state.counters["reads"] = static_cast<double>(size_);
  }

 private:
  void add(std::chrono::nanoseconds took) {
    ++size_;
    const auto ns = static_cast<std::size_t>(took.count());
    if (ns < short_.size()) {
      ++short_[ns];
    } else {
      long_.push_back(ns);
    }
  }
  double at(double share) const {
    if (size_ == 0) return 0;
    auto rank = static_cast<std::uint64_t>(share * static_cast<double>(size_ - 1));
    for (std::size_t ns = 0; ns < short_.size(); ++ns) {
      if (rank < short_[ns]) return static_cast<double>(ns);
      rank -= short_[ns];
    }
    return static_cast<double>(long_[rank]);
  }

  std::uint64_t size_ = 0;
  std::vector<std::uint64_t> short_ = std::vector<std::uint64_t>(20'000);  // by nanoseconds
  std::vector<std::size_t> long_;
};

/// A benchmark with the same counters, and what it is.
struct latency_peer {
  std::string name;
  std::string what;
};

/// Adds a row for each counter, with a limit for the longest if there is one.
inline void add_latency_rows(summary& table, const std::string& operation, const std::string& kv,
                             const latency_peer& peer, bound limit_of_max = {}) {
  for (const std::string share : {"p50", "p99", "p99.9", "max"}) {
    table.add({.operation = operation + ", " + share + " (peer: " + peer.what + ")",
               .kv = kv,
               .peer = peer.name,
               .what = measure::counted_nanoseconds,
               .counter = share,
               .limit = share == "max" ? limit_of_max : bound{}});
  }
}

}  // namespace kv::bench
