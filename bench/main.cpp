// Measures kv beside what one would write without it, and says whether it keeps its promises. Takes all flags of
// Google Benchmark; the exit status tells of wrong results, never of slow ones.
#include <iostream>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "summary.hpp"

namespace {

/// Puts our defaults before what the user says, which therefore wins.
std::vector<char*> with_defaults(int argc, char** argv) {
  static char min_time[] = "--benchmark_min_time=0.1";
  static char repetitions[] = "--benchmark_repetitions=5";
  static char aggregates[] = "--benchmark_display_aggregates_only=true";
  std::vector<char*> result{argv[0], min_time, repetitions, aggregates};
  result.insert(result.end(), argv + 1, argv + argc);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = with_defaults(argc, argv);
  argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&argc, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(argc, arguments.data())) return 1;

  kv::bench::summary table;
  kv::bench::fixtures shared;
  kv::bench::add_memory(table);  // first, while the heap is as good as new
  kv::bench::add_lookups(table, shared);
  kv::bench::add_calls(table);
  kv::bench::add_lifecycles(table, shared);
  kv::bench::add_storm(table);
  kv::bench::add_tables(table);
  kv::bench::add_ordered_tables(table);
  kv::bench::add_table_stalls(table);

  const std::unique_ptr<benchmark::BenchmarkReporter> display(benchmark::CreateDefaultDisplayReporter());
  kv::bench::recording_reporter reporter(*display, table);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  // Where stdout is JSON or CSV for a program to read, the table must not be in it.
  const bool for_people = dynamic_cast<benchmark::ConsoleReporter*>(display.get()) != nullptr;
  table.print(for_people ? std::cout : std::cerr);
  benchmark::Shutdown();
  return table.has_errors() ? 1 : 0;
}
