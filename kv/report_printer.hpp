// What a runtime does with reports when its user has said nothing: prints them, but not a million.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <mutex>
#include <string>
#include <variant>

#include <kv/report.hpp>

namespace kv::detail {

/// Prints reports, at most so many within a second, and counts the others by kind. What was left out is told by one line
/// before the first report that is printed after that second, and when the printer ends. The first report begins the
/// first second, and the first one after each second the next. start_report is not printed, nor counted.
///
/// Every function may be called from any thread. It knows no clock: whoever reports says what time it is.
class report_printer {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Requires: the stream outlives this, and takes whole blocks.
  explicit report_printer(std::ostream& out, std::size_t blocks_a_second = 20)
      : out_(out), blocks_a_second_(blocks_a_second) {}
  report_printer(const report_printer&) = delete;
  report_printer& operator=(const report_printer&) = delete;
  ~report_printer();

  /// Prints the report or counts it.
  void print(const report& entry, time_point now);

 private:
  std::string take_left_out();

  std::ostream& out_;
  const std::size_t blocks_a_second_;
  std::mutex mutex_;
  // Under mutex_.
  time_point second_began_ = {};
  std::size_t printed_ = 0;  // in this second
  bool has_begun_ = false;
  std::array<std::size_t, std::variant_size_v<report>> left_out_ = {};  // by the kind's place in `report`
};

}  // namespace kv::detail
