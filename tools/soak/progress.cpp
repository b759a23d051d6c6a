#include "soak/progress.hpp"

#include <array>
#include <iomanip>
#include <string_view>

#include "soak/resources.hpp"
#include "soak/shortage.hpp"

namespace kv::soak {

namespace {

using split = measurements::split;

std::string percentiles(const histogram& times) {
  std::string result;
  for (const double share : {0.5, 0.99, 0.999, 1.0}) {
    result += (result.empty() ? "" : "/") + duration_text(times.quantile(share));
  }
  return result;
}

/// Returns the percentiles of all the time, and of the time when things died.
std::array<std::string, 2> latencies(const soak& from, split measurements::* part) {
  histogram all, stormy;
  from.collect(stormy, part, &split::stormy);
  from.collect(all, part, &split::calm);
  all += stormy;
  return {percentiles(all), percentiles(stormy)};
}

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

constexpr double mebibyte = 1024 * 1024;

}  // namespace

std::string duration_text(std::uint64_t nanoseconds) {
  constexpr std::array<std::string_view, 4> units{"ns", "us", "ms", "s"};
  std::size_t unit = 0;
  while (nanoseconds >= 10'000 && unit + 1 < units.size()) {
    nanoseconds /= 1000;
    ++unit;
  }
  return std::to_string(nanoseconds) + std::string(units[unit]);
}

void progress::print_heading() {
  out_ << "elapsed, operations/s, kills, shortages, restarts, p50/p99/p99.9/max of lookup and get (in brackets while "
          "things die), "
          "resident memory\n";
}

void progress::print_line(const soak& running) {
  const auto now = clock::now();
  const auto done = running.so_far();
  const auto lookup = latencies(running, &measurements::lookup);
  const auto get = latencies(running, &measurements::get);
  const auto speed = static_cast<double>(done.operations - last_operations_) / seconds(now - last_);
  out_ << std::fixed << std::setprecision(0) << std::setw(4) << seconds(now - start_) << "s  " << std::setw(8) << speed
       << "/s  " << done.kills << " kills  " << done.shortages << " shortages  " << done.restarts
       << " restarts  lookup " << lookup[0] << " (" << lookup[1] << ")  get " << get[0] << " (" << get[1] << ")  "
       << std::setprecision(1) << static_cast<double>(resident_memory()) / mebibyte << " MiB" << std::endl;
  last_ = now;
  last_operations_ = done.operations;
}

void progress::print_end(const soak& ended) {
  const auto done = ended.so_far();
  const auto time = seconds(clock::now() - start_);
  out_ << "\noperations          " << done.operations << " in " << std::fixed << std::setprecision(1) << time << "s, "
       << std::setprecision(0) << static_cast<double>(done.operations) / time << "/s\n"
       << "kills               " << done.kills << "\nshortages           " << done.shortages
       << ", which refused memory " << shortage::memory_refusals() << " times, a thread " << shortage::thread_refusals()
       << " times\nrestarts            " << done.restarts << '\n';
  for (const auto& [name, part] :
       {std::pair("lookup", &measurements::lookup), std::pair("get   ", &measurements::get)}) {
    const auto times = latencies(ended, part);
    out_ << name << "              " << times[0] << '\n' << name << " in storms    " << times[1] << '\n';
  }
}

}  // namespace kv::soak
