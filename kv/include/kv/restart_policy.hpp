// Which end is followed by a restart, how many are too many, and what is remembered of them. Decisions only: nothing
// here knows a process or a clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <kv/child_spec.hpp>

namespace kv {

/// Tells whether a child of that kind is restarted after that end. Mirrors `do_restart` of OTP's supervisor.
constexpr bool should_restart(restart when, bool orderly_end) noexcept {
  return when == restart::permanent || (when == restart::transient && !orderly_end);
}

/// The restarts of the last period. Pure: it knows only the times it is given.
class restart_window {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Throws std::invalid_argument for a period that is not more than 0.
  restart_window(unsigned max_restarts, std::chrono::nanoseconds period);

  /// Counts one more restart; false when that is one too many.
  [[nodiscard]] bool add(time_point now);

 private:
  unsigned max_;
  std::chrono::nanoseconds period_;
  std::deque<time_point> times_;
};

/// A start of a child that was not its first, or that failed.
struct restart_event {
  std::chrono::steady_clock::time_point when;  ///< by the runtime's clock
  std::string child;
  pid old_pid;         ///< who it was; nobody when it was down
  pid new_pid;         ///< who it is now; nobody when the start failed or said `ignore`
  exit_reason reason;  ///< why it was started again: its own end, or that of the sibling it was restarted with
  std::optional<exit_reason> failure = {};  ///< why the start failed
};

std::ostream& operator<<(std::ostream& out, const restart_event& event);

/// The last restarts of a supervisor, the oldest first.
class restart_history {
 public:
  explicit restart_history(std::size_t limit) : limit_(limit) {}

  /// Remembers it and forgets the oldest, if there are too many.
  void add(restart_event event);
  std::vector<restart_event> events() const { return {events_.begin(), events_.end()}; }

 private:
  std::size_t limit_;
  std::deque<restart_event> events_;
};

}  // namespace kv
