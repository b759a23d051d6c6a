// What is compared with what, and the table at the end that says how it went.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace kv::bench {

/// What of a benchmark stands in the table.
enum class measure {
  nanoseconds,          // per operation
  seconds,              // per operation
  counted_nanoseconds,  // the row's counter
  bytes,                // the row's counter
  count,                // the row's counter
  gain                  // how many times the throughput of one thread two threads have
};

inline constexpr const char* bytes_counter = "bytes/bucket";

/// What is asked of a row: a limit that the project promises, or a goal that it works towards.
struct bound {
  enum class kind { none, at_most, at_least, times_peer };
  kind what = kind::none;
  double value = 0;
};

inline constexpr bound at_most(double value) { return {bound::kind::at_most, value}; }
inline constexpr bound at_least(double value) { return {bound::kind::at_least, value}; }
/// At most so many times what the peer takes.
inline constexpr bound times_peer(double value) { return {bound::kind::times_peer, value}; }

/// A row: kv's benchmark and its peer's, by the names they are registered under.
struct comparison {
  std::string operation;
  std::string kv;
  std::string peer;
  std::int64_t threads = 1;
  measure what = measure::nanoseconds;
  std::string counter = bytes_counter;
  bound limit = {};
  bound goal = {};
};

/// Collects the rows and, while the benchmarks run, the medians they are about.
class summary {
 public:
  void add(comparison row) { rows_.push_back(std::move(row)); }
  void record(const benchmark::BenchmarkReporter::Run& run);
  bool has_errors() const noexcept { return has_errors_; }

  /// Prints the rows whose benchmarks ran; nothing when none did.
  void print(std::ostream& out) const;

 private:
  struct result {
    double seconds = 0;
    std::map<std::string, double> counters;
  };
  using benchmark_key = std::pair<std::string, std::int64_t>;  // name, threads

  std::optional<double> value_of(const std::string& name, const comparison& row) const;
  std::optional<result> find(const std::string& name, std::int64_t threads) const;
  std::vector<std::string> cells(const comparison& row) const;

  std::vector<comparison> rows_;
  std::map<benchmark_key, result> results_;
  bool has_errors_ = false;
};

/// Shows what another reporter shows, and lets a summary see it as well.
class recording_reporter final : public benchmark::BenchmarkReporter {
 public:
  recording_reporter(benchmark::BenchmarkReporter& display, summary& table) : display_(display), table_(table) {}

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override { display_.Finalize(); }

 private:
  benchmark::BenchmarkReporter& display_;
  summary& table_;
};

}  // namespace kv::bench
