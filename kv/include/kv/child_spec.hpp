// What a supervisor is told of a child, and what it tells.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <stdexcept>
#include <string>

#include <kv/errors.hpp>
#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>
#include <kv/ref.hpp>

namespace kv {

/// When a child is restarted.
enum class restart : std::uint8_t {
  permanent,  ///< always
  transient,  ///< when it ended with a reason that is not orderly
  temporary   ///< never
};

/// How a child is asked to end: in a time, by force, or with all the time it wants.
class shutdown {
 public:
  /// Exit signal `kill`, at once.
  static constexpr shutdown brutal_kill() noexcept { return shutdown(std::chrono::nanoseconds{-1}); }
  /// Exit signal `shutdown`, and then it is waited for. A child that does not end keeps its supervisor for ever.
  static constexpr shutdown infinity() noexcept { return shutdown(kv::infinity); }
  /// Exit signal `shutdown`, and `kill` when the child has not ended by then. Throws std::invalid_argument for a time
  /// below 0. With 0 it is killed unless it has ended by itself.
  static constexpr shutdown within(std::chrono::nanoseconds time) {
    if (time.count() < 0) throw std::invalid_argument("shutdown::within needs a time of 0 or more");
    return shutdown(time);
  }

  constexpr bool is_brutal() const noexcept { return time_.count() < 0; }
  constexpr bool is_infinite() const noexcept { return time_ >= kv::infinity; }
  /// Returns the time that the child has. Not for a brutal one.
  constexpr std::chrono::nanoseconds time() const noexcept { return time_; }

  friend bool operator==(const shutdown&, const shutdown&) = default;

 private:
  constexpr explicit shutdown(std::chrono::nanoseconds time) noexcept : time_(time) {}
  std::chrono::nanoseconds time_;
};

/// What a start function returns when it starts nobody, and that is no failure. A child that is ignored is kept without
/// a process, to be started by restart_child; a temporary one is dropped. Mirrors `:ignore` of `GenServer.init/1`.
inline constexpr pid ignore{};

/// How a supervisor starts, restarts and stops a child. Made by worker() and supervisor_child(), then changed as
/// wanted.
struct child_spec {
  std::string id;  ///< not empty, and unique among the children of a supervisor
  /// Runs in the supervisor; must spawn_link the child and return its pid, or `ignore`. What it throws is a failed
  /// start; if it has started the child by then, that is killed.
  std::function<pid()> start;
  kv::restart restart = restart::permanent;
  kv::shutdown shutdown = shutdown::within(std::chrono::seconds(5));
  bool is_supervisor = false;
  /// Its end by itself ends the supervisor, as supervisor_options::auto_shutdown says. Not for permanent children, and
  /// not where that is `never`.
  bool significant = false;
};

/// Describes a child that works: permanent, with 5 s to shut down. Throws std::invalid_argument for an empty id or
/// start.
child_spec worker(std::string id, std::function<pid()> start);
/// Describes a child that supervises: permanent, with all the time it needs to stop its own children. Throws
/// std::invalid_argument for an empty id or start. A supervisor that gives it a finite time refuses it: that would kill
/// it while it still waits for its children. `brutal_kill` is taken.
child_spec supervisor_child(std::string id, std::function<pid()> start);

/// What which_children() tells of a child.
struct child_info {
  std::string id;
  pid who;  ///< nobody while it is down
  bool is_supervisor = false;
  unsigned restarts = 0;
  kv::restart restart = restart::permanent;
  bool is_restarting = false;  ///< it is down, and its supervisor is about to start it again
};

/// What count_children() tells. Mirrors the map of `Supervisor.count_children/1`.
struct child_counts {
  std::size_t specs = 0;        ///< children, dead or alive
  std::size_t active = 0;       ///< those that live
  std::size_t supervisors = 0;  ///< those that supervise, dead or alive
  std::size_t workers = 0;      ///< all others
  friend bool operator==(const child_counts&, const child_counts&) = default;
  child_counts& operator+=(const child_counts& other) noexcept;
};

/// What became of a request about a child. A value, because an exception would end the supervisor that it leaves.
/// Mirrors the `{:ok, pid}` and `{:error, reason}` of OTP's supervisor.
struct child_result {
  enum class code : std::uint8_t {
    ok,               ///< done; `who` is the child if it has just been started, nobody if its start said `ignore`
    already_started,  ///< a child of that id is alive: `who`
    already_present,  ///< a child of that id is known and down
    not_found,        ///< there is no such child
    running,          ///< not while the child runs: `who`
    restarting,       ///< not while the child is about to be restarted
    max_children,     ///< there are as many as may be; `reason` names the limit
    failed,           ///< the child did not start: `reason`
    invalid           ///< the spec makes no sense: `reason` holds the std::invalid_argument
  };

  code what = code::ok;
  pid who = {};
  exit_reason reason = {};

  explicit operator bool() const noexcept { return what == code::ok; }
  friend bool operator==(const child_result&, const child_result&) = default;
};

/// Prints `ok <7.1>`, `not_found`, `failed (error: no flour)`, …
std::ostream& operator<<(std::ostream& out, child_result::code what);
std::ostream& operator<<(std::ostream& out, const child_result& result);

/// A dynamic supervisor has as many children as it may have; what() says how many those are, and reason() is
/// `max_children`. As `{:error, :max_children}` of `DynamicSupervisor.start_child/2`.
class max_children_reached : public start_error {
 public:
  explicit max_children_reached(std::size_t limit);
};

}  // namespace kv
