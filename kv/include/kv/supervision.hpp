// Supervision: processes whose only job is to keep other processes alive.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kv/child_spec.hpp>
#include <kv/detail/retry_timer.hpp>
#include <kv/dynamic_supervisor.hpp>
#include <kv/partition_supervisor.hpp>
#include <kv/process.hpp>
#include <kv/restart_policy.hpp>
#include <kv/timer.hpp>

namespace kv {

namespace detail {
struct start_attempt;
}

/// Which of its siblings a supervisor restarts together with a child. As OTP's strategies.
enum class strategy : std::uint8_t {
  one_for_one,  ///< none: the children are independent
  one_for_all,  ///< all: none can go on without the others
  rest_for_one  ///< those started after it: they were built on it
};

/// Whether a supervisor ends, with `shutdown`, when significant children have ended by themselves and are not
/// restarted. As `auto_shutdown` of OTP 24.
enum class auto_shutdown : std::uint8_t {
  never,            ///< no child may be significant
  any_significant,  ///< with the first of them
  all_significant   ///< with the last of them
};

/// How a supervisor restarts, and when it gives up.
struct supervisor_options {
  kv::strategy strategy = strategy::one_for_one;
  /// More than `max_restarts` within `period`, and the supervisor gives up. Failed restarts count, but not those that
  /// fail for want of a resource; siblings that are restarted with a child do not.
  unsigned max_restarts = 3;
  std::chrono::nanoseconds period = std::chrono::seconds(5);  ///< more than 0
  kv::auto_shutdown auto_shutdown = auto_shutdown::never;
  restart_delay delay = {};
  std::size_t history = 16;  ///< how many restarts history() remembers
};

/// A process that starts its children in order, restarts them by its strategy when they end, and stops them in reverse
/// order when it is told to. Mirrors OTP's `supervisor`. Start one with `spawn<supervisor>(options, init)`.
///
/// Its functions are called through its ref: `s.call(&kv::supervisor::start_child, spec)`. It answers once it has done
/// what it was in the middle of: while it starts or stops a child, nothing else. What stops children takes as long as
/// they do, so give it the time: `s.call_for(kv::infinity, &kv::supervisor::terminate_child, "id")`.
///
/// It ends when its parent does, and obeys nobody else's exit signals but `kill`. Killed, it leaves no orphan: it stays
/// linked to a child until that is dead, and a child that traps exits ends with its parent, too. Unlike OTP's it takes
/// no exit signal in the name of a child that is alive for that child's end. What a child ends with while it is stopped
/// is reported, as an oddity, unless that is orderly; also that it had to be killed because its time was over.
///
/// Want of a resource that all share (std::bad_alloc, but not std::bad_array_new_length; system_limit; std::system_error
/// for want of memory or of a thread; a start_error or call_error because of one of these) does not end it. A restart that
/// fails for that is tried again every 100 ms, for as long as it takes: it does not count towards max_restarts, as the end
/// of the child does, once; of all these attempts the first is reported, and the one that works, as far as there is memory
/// for reports. Meanwhile which_children shows the child as restarting, siblings that were to start after it wait, and those
/// before it stay. A first start is not tried again: the process that asked for it is told, and nothing is left of it. A
/// request that fails for that throws call_error{exited} with the reason at its caller, and has changed nothing. A child
/// that cannot be asked to end for want of memory is killed.
class supervisor {
 public:
  static constexpr bool outlives_shortage = true;  // a request that fails for want of a resource is refused
  static constexpr bool reserved_stack = true;     // see runtime_options::reserved_stacks

  /// Starts the children. `init()` runs inside the supervisor and returns them: the place to create what shall outlive
  /// them, such as tables. Throws std::invalid_argument, which says what is allowed, for options or children that make
  /// no sense: a period of 0, an empty or repeated id, an empty start, a finite time for a child that supervises, a
  /// significant child that is permanent or that `auto_shutdown` does not expect. When a child does not start, it stops
  /// those before it in reverse and throws start_error that names the child and has its reason.
  supervisor(const supervisor_options& options, const std::function<std::vector<child_spec>()>& init);

  void handle(const exit_signal& signal);
  void on_exit(const exit_reason&) { stop_all(); }

  // Look -------------------------------------------------------------------------------------------------------------

  /// Returns the children in the order of their start.
  std::vector<child_info> which_children() const;
  child_counts count_children() const;
  /// Returns the last restarts, the oldest first, with the failed ones, and the starts that start_child and
  /// restart_child did not manage.
  std::vector<restart_event> history() const { return history_.events(); }

  // Change -----------------------------------------------------------------------------------------------------------

  /// Adds a child behind the others and starts it. Answers `ok`; `already_started` with its pid or `already_present`
  /// when there is one of that id; `failed`, and then it is not kept; `invalid`. A temporary child whose start says
  /// `ignore` is not kept. Mirrors `supervisor:start_child/2`.
  child_result start_child(child_spec spec);
  /// Stops a child, as its spec says; a restart that is due is cancelled, and siblings that went down for it are
  /// started. It stays known, to be started by restart_child or together with its siblings, unless it is temporary.
  /// Answers `ok`, also when it was down, or `not_found`. Mirrors `supervisor:terminate_child/2`.
  child_result terminate_child(std::string_view id);
  /// Starts a child that is down. Answers `ok`, `running`, `restarting`, `not_found` or `failed`. Mirrors
  /// `supervisor:restart_child/2`.
  child_result restart_child(std::string_view id);
  /// Forgets a child that is down. Answers `ok`, `running`, `restarting` or `not_found`. Mirrors
  /// `supervisor:delete_child/2`.
  child_result delete_child(std::string_view id);

 private:
  enum class state : std::uint8_t {
    down,        // until somebody asks for it
    running,     //
    restarting,  // down, and a retry is under way that starts it, or it lacks a resource
    waiting      // down, or about to be, until a sibling that is restarting is there
  };
  struct child {
    child_spec spec;
    state is = state::down;
    bool has_siblings_down = false;  // of a restart: those that it takes along have ended
    pid who = {};                    // while it is running
    unsigned restarts = 0;
    restart_attempts attempts = {};
    pid old_pid = {};  // who it was
    detail::recovery recovery = {};
    std::uint64_t ticket = 0;  // of the retry that it waits for
    timer_ref timer = {};      // that sends it, if it is delayed
  };
  struct retry {
    std::uint64_t ticket;
  };
  struct try_again {};

 public:
  using messages = message_types<retry, try_again>;
  void handle(const retry& due);
  void handle(const try_again& /*now*/) { go_on(); }

 private:
  void start_all();
  void has_started(child& c, pid who);
  void child_ended(child& c, const exit_reason& reason);
  void stays_down(std::size_t index);
  void is_to_restart(child& c, const exit_reason& reason, std::chrono::nanoseconds delay) noexcept;
  void go_on();
  void restart(child& which);
  void count(child& c);
  child& take_down_siblings(child& of);
  void start_waiting();
  bool start_again(child& c);
  void did_not_start(child& c, const detail::start_attempt& attempt);
  void lacks(child& c, const detail::start_attempt& attempt);
  bool tell_restart(const child& c, const exit_reason& reason, const std::optional<exit_reason>& failure);
  void retry_later(child& c);
  static void cancel_restart(child& c);
  child_result start_on_request(child& c);
  void stop(child& c);
  void stop_all();
  [[noreturn]] void give_up(const child& c);
  child* find(std::string_view id);

  supervisor_options options_;
  restart_window window_;
  restart_history history_;
  std::vector<child> children_;
  std::uint64_t last_ticket_ = 0;
  detail::retry_timer retry_;  // on while a child lacks a resource
};

}  // namespace kv
