// Which end is followed by a restart, how many are too many, and what is remembered of them. Decisions only: nothing
// here knows a process or a clock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
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

  /// Counts one more restart; false when that is one too many. One that is older than others is counted where it
  /// belongs. Throws std::bad_alloc, and then it is not counted.
  [[nodiscard]] bool add(time_point when);

 private:
  unsigned max_;
  std::chrono::nanoseconds period_;
  std::deque<time_point> times_;
};

/// How long a supervisor waits before it starts a child again: not at all by default; otherwise longer each time, and
/// not always equally long, so that children of one cause do not all come back at the same moment. Until then
/// which_children shows the child as restarting, and siblings that have to be restarted with it are down. A start that
/// failed for want of a resource is tried again by other rules: see supervisor.
///
///     kv::supervisor_options{.max_restarts = 20, .period = 10min, .delay = {.first = 100ms}}
///
/// Leave room for it in max_restarts and period: a delayed restart counts as any other.
struct restart_delay {
  std::chrono::nanoseconds first{0};                         ///< before the first attempt; 0 is no delay, before any
  double factor = 2;                                         ///< from one attempt to the next; 1 or more
  std::chrono::nanoseconds most = std::chrono::seconds(30);  ///< no delay is longer; `first` or more
  double jitter = 0.2;  ///< which part of each delay is left to chance, from 0 to 1
  /// A child that has lived so long when it ends is a new case: it begins with `first`. More than 0.
  std::chrono::nanoseconds stable_after = std::chrono::minutes(1);
};

/// Returns how long to wait before that attempt, the first being 1. `random` is any number, evenly distributed: 0 gives
/// the longest delay. Pure.
std::chrono::nanoseconds delay_before(unsigned attempt, const restart_delay& how, std::uint64_t random) noexcept;

namespace detail {

/// Where the restart of a child stands: enough to go on with it after it was given up for want of a resource.
struct recovery {
  exit_reason reason = {};                           // why it is restarted
  std::chrono::steady_clock::time_point ended = {};  // when it ended, or did not start
  std::chrono::steady_clock::time_point due = {};    // when it is to be started
  bool is_counted = true;                            // its end, in the restart window
  bool has_told = false;                             // that it was given up
  bool lacks = false;                                // it was, or has just begun: it is to be gone on with
};

}  // namespace detail

/// The attempts to keep one child running. Pure.
class restart_attempts {
 public:
  using time_point = restart_window::time_point;

  /// Somebody started it, or its supervisor for the first time.
  void begin(time_point now) noexcept { *this = restart_attempts(now); }
  /// Its supervisor has started it again.
  void has_started(time_point now) noexcept { started_ = now; }
  /// It has ended. Returns how long to wait.
  std::chrono::nanoseconds after_end(const restart_delay& how, time_point now, std::uint64_t random) noexcept;
  /// It did not start. Returns how long to wait.
  std::chrono::nanoseconds after_failure(const restart_delay& how, std::uint64_t random) noexcept;

  restart_attempts() = default;

 private:
  explicit restart_attempts(time_point now) noexcept : started_(now) {}

  time_point started_{};
  unsigned count_ = 0;
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

  /// Remembers it and forgets the oldest, if there are too many. Throws std::bad_alloc, and then nothing has changed.
  void add(restart_event event);
  std::vector<restart_event> events() const { return {events_.begin(), events_.end()}; }

 private:
  std::size_t limit_;
  std::deque<restart_event> events_;
};

}  // namespace kv
