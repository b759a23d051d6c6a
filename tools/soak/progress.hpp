// What a soak prints.
#pragma once

#include <chrono>
#include <ostream>

#include "soak/soak.hpp"

namespace kv::soak {

/// Prints one line: time, speed since the last line, kills, restarts, percentiles since the start, memory.
class progress {
 public:
  explicit progress(std::ostream& out) : out_(out) {}

  void print_heading();
  void print_line(const soak& running);
  /// Prints the figures of all the time.
  void print_end(const soak& ended);

 private:
  using clock = std::chrono::steady_clock;

  std::ostream& out_;
  clock::time_point start_ = clock::now();
  clock::time_point last_ = start_;
  std::uint64_t last_operations_ = 0;
};

/// Returns "812ns", "24us", "7ms" or "3s".
std::string duration_text(std::uint64_t nanoseconds);

}  // namespace kv::soak
