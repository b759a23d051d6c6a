// Supervision: processes whose only job is to keep other processes alive.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include <kv/process.hpp>

namespace kv {

/// Which of its siblings a supervisor restarts together with a child. As OTP's strategies.
enum class strategy : std::uint8_t {
  one_for_one,  ///< none: the children are independent
  one_for_all,  ///< all: none can go on without the others
  rest_for_one  ///< those started after it: they were built on it
};

/// When a child is restarted.
enum class restart : std::uint8_t {
  permanent,  ///< always
  transient,  ///< when it ended with a reason that is not orderly
  temporary   ///< never
};

/// How a child is asked to end: in a time, by force, or with all the time it wants.
class shutdown {
 public:
  static constexpr shutdown brutal_kill() noexcept { return shutdown(std::chrono::nanoseconds{-1}); }
  static constexpr shutdown infinity() noexcept { return shutdown(kv::infinity); }
  /// Exit signal `shutdown`, and `kill` when the child has not ended by then.
  static constexpr shutdown within(std::chrono::nanoseconds time) noexcept { return shutdown(time); }

  constexpr bool is_brutal() const noexcept { return time_.count() < 0; }
  constexpr std::chrono::nanoseconds time() const noexcept { return time_; }

 private:
  constexpr explicit shutdown(std::chrono::nanoseconds time) noexcept : time_(time) {}
  std::chrono::nanoseconds time_;
};

/// How a supervisor starts, restarts and stops a child. Made by worker() and supervisor_child().
struct child_spec {
  std::string id;              ///< unique among the children
  std::function<pid()> start;  ///< runs in the supervisor; must spawn_link the child and return its pid
  kv::restart restart = restart::permanent;
  kv::shutdown shutdown = shutdown::within(std::chrono::seconds(5));
  bool is_supervisor = false;
};

/// Describes a child that works: permanent, with 5 s to shut down.
child_spec worker(std::string id, std::function<pid()> start);
/// Describes a child that supervises: permanent, with all the time it needs to stop its own children.
child_spec supervisor_child(std::string id, std::function<pid()> start);

/// How many restarts are too many: more than `max_restarts` within `period` and the supervisor gives up.
struct supervisor_options {
  kv::strategy strategy = strategy::one_for_one;
  unsigned max_restarts = 3;
  std::chrono::nanoseconds period = std::chrono::seconds(5);  ///< more than 0
};

/// Tells whether a child of that kind is restarted after that end. Mirrors `do_restart` of OTP's supervisor.
constexpr bool should_restart(restart when, bool orderly_end) noexcept {
  return when == restart::permanent || (when == restart::transient && !orderly_end);
}

/// The restarts of the last period. Pure: it knows only the times it is given.
class restart_window {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  restart_window(unsigned max_restarts, std::chrono::nanoseconds period) : max_(max_restarts), period_(period) {}

  /// Counts one more restart; false when that is one too many.
  [[nodiscard]] bool add(time_point now);

 private:
  unsigned max_;
  std::chrono::nanoseconds period_;
  std::deque<time_point> times_;
};

/// What which_children() tells of a child.
struct child_info {
  std::string id;
  pid who;  ///< nobody while it is down
  bool is_supervisor = false;
  unsigned restarts = 0;
};

/// A process that starts its children in order, restarts them by its strategy when they end, and stops them in reverse
/// order when it is told to. Mirrors OTP's `supervisor`. Start one with `spawn<supervisor>(options, init)`.
class supervisor {
 public:
  /// Starts the children. `init()` runs inside the supervisor and returns them: the place to create what shall outlive
  /// them, such as tables. Throws std::invalid_argument for two children of one id, an empty start or a period of 0;
  /// when a child does not start, it stops those before it and throws start_error that names the child.
  supervisor(const supervisor_options& options, const std::function<std::vector<child_spec>()>& init);

  void handle(const exit_signal& signal);
  void on_exit(const exit_reason&) { stop_all(); }

  /// Returns the children in the order of their start.
  std::vector<child_info> which_children() const;

 private:
  struct child {
    child_spec spec;
    pid who;
    unsigned restarts = 0;
  };
  struct retry {
    std::string id;
    exit_reason reason;
  };

 public:
  using messages = message_types<retry>;
  void handle(const retry& again);

 private:
  void start_all();
  void child_ended(std::size_t index, const exit_reason& reason);
  void restart_from(std::size_t index, const exit_reason& reason);
  void start_again(child& c, pid old_pid, const exit_reason& reason);
  void stop(child& c);
  void stop_all();
  std::size_t index_of(pid who) const;

  supervisor_options options_;
  restart_window window_;
  std::vector<child> children_;
};

/// A process that starts children when asked, of which there may be a million, and never restarts them: they are
/// temporary, and all end with it. Mirrors OTP's DynamicSupervisor. Derive from it, or use start_child() as it is.
class dynamic_supervisor {
 public:
  /// `stop_within`: how long the children have to end, all at the same time, when the supervisor does.
  explicit dynamic_supervisor(std::chrono::nanoseconds stop_within = std::chrono::seconds(5));

  /// Starts a linked `T` inside this process. Throws what its constructor throws, as start_error; catch it where it may
  /// happen, because an exception that leaves a callback ends this process, and with it all its children.
  template <class T, class... Args>
  ref<T> start_child(Args&&... args) {
    const auto child = spawn_link<T>(std::forward<Args>(args)...);
    children_.insert(child);
    return child;
  }
  /// Returns the living children, in no order. O(children).
  std::vector<pid> children() const { return {children_.begin(), children_.end()}; }
  std::size_t count_children() const noexcept { return children_.size(); }

  void handle(const exit_signal& signal);
  void on_exit(const exit_reason&) { stop_all(); }

 private:
  void stop_all();

  std::chrono::nanoseconds stop_within_;
  pid parent_;
  boost::unordered_flat_set<pid, std::hash<pid>> children_;
};

}  // namespace kv
