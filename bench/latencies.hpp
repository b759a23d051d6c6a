// How long each of very many operations took.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <time.h>

#include <benchmark/benchmark.h>

#include "summary.hpp"

namespace kv::bench {

/// For how long the calling thread has had a processor.
inline std::chrono::nanoseconds processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}
/// How often the calling thread has given up its processor, to wait for something.
inline long waits() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

/// Counts latencies by the nanosecond, and remembers long ones one by one. Made, and used up to stop(), by one thread.
///
/// A system that has other work takes the processor from a thread for many milliseconds, whatever that is doing. So there
/// are two figures of the longest: by the clock, and by what its thread had of a processor. Something that held it up is
/// in the second one, if the thread was busy with that, and among the waits if it was not.
class latencies {
 public:
  /// Calls f(), notes how long it took, and returns what it returned.
  template <class F>
  auto time(F f) {
    const auto start = std::chrono::steady_clock::now();
    auto result = f();
    add(std::chrono::steady_clock::now() - start);
    if (size_ % batch == 0) end_batch();
    return result;
  }
  void stop() {
    end_batch();
    waits_ = waits() - waits_;
  }
  std::uint64_t size() const noexcept { return size_; }

  /// Sets the counters that add_latency_rows() is about.
  void count(benchmark::State& state) {
    std::ranges::sort(long_);
    state.counters["p50"] = at(0.5);
    state.counters["p99"] = at(0.99);
    state.counters["p99.9"] = at(0.999);
    state.counters["max"] = at(1);
    state.counters["busy"] = static_cast<double>(longest_busy_.count());
    state.counters["waits"] = static_cast<double>(waits_);
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
  /// To ask the system after each operation would disturb what is measured.
  static constexpr std::uint64_t batch = 64;
  void end_batch() {
    const auto had = std::exchange(had_, processor_time());
    longest_busy_ = std::max(longest_busy_, had_ - had);
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
  std::chrono::nanoseconds had_ = processor_time();
  std::chrono::nanoseconds longest_busy_{0};  // of all batches
  long waits_ = waits();
  std::vector<std::uint64_t> short_ = std::vector<std::uint64_t>(20'000);  // by nanoseconds
  std::vector<std::size_t> long_;
};

/// A benchmark with the same counters, and what it is.
struct latency_peer {
  std::string name;
  std::string what;
};

/// Adds a row for each counter; where the longest has a limit, also for what is held against it.
inline void add_latency_rows(summary& table, const std::string& operation, const std::string& kv,
                             const latency_peer& peer, bound limit_of_longest = {}) {
  const auto row = [&](const std::string& what, const std::string& counter, measure unit, bound limit) {
    table.add({.operation = operation + ", " + what + " (peer: " + peer.what + ")",
               .kv = kv,
               .peer = peer.name,
               .what = unit,
               .counter = counter,
               .limit = limit});
  };
  for (const std::string share : {"p50", "p99", "p99.9", "max"}) row(share, share, measure::counted_nanoseconds, {});
  if (limit_of_longest.what == bound::kind::none) return;
  row("at most, of a processor", "busy", measure::counted_nanoseconds, limit_of_longest);
  row("how often it waited", "waits", measure::count, at_most(0));
}

}  // namespace kv::bench
