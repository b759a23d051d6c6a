// Supervision of children that are started when they are needed.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <kv/child_spec.hpp>
#include <kv/detail/retry_timer.hpp>
#include <kv/process.hpp>
#include <kv/restart_policy.hpp>
#include <kv/timer.hpp>

namespace kv {

/// How a dynamic supervisor keeps its children.
struct dynamic_supervisor_options {
  /// How long children without a spec have to end, all at the same time. 0 or more.
  std::chrono::nanoseconds stop_within = std::chrono::seconds(5);
  /// How many children there may be at once, those included that are about to be restarted.
  std::size_t max_children = std::numeric_limits<std::size_t>::max();
  /// More than `max_restarts` within `period`, over all children, and the supervisor gives up. Restarts that fail for
  /// want of a resource do not count.
  unsigned max_restarts = 3;
  std::chrono::nanoseconds period = std::chrono::seconds(5);  ///< more than 0
  restart_delay delay = {};
  std::size_t history = 16;  ///< how many restarts history() remembers
};

/// A process that starts children when asked, of which there may be a million, and ends all of them at the same time.
/// Each stands alone: the strategy is one_for_one. Mirrors `DynamicSupervisor`. Derive from it, or use it as it is:
///
///     auto s = runtime.spawn<kv::dynamic_supervisor>();
///     auto started = s.call([](kv::dynamic_supervisor& self) { return self.try_start_child<session>("mary"); });
///
/// A child that is started as a class is temporary, as the most are, and costs no more than its pid. One that is
/// started by a spec is restarted as that says. The supervisor ends with its parent, and killed leaves no orphan, as
/// `supervisor`.
///
/// Want of a shared resource (see supervisor) does not end it: a restart that fails for that is tried again every 100 ms,
/// for as long as it takes, and counts towards nothing; a request that fails for that throws call_error{exited} with the
/// reason at its caller, and has changed nothing. Where there is no memory to ask the children to end, all are killed.
class dynamic_supervisor {
 public:
  static constexpr bool outlives_shortage = true;  // a request that fails for want of a resource is refused
  static constexpr bool reserved_stack = true;     // see runtime_options::reserved_stacks

  /// Throws std::invalid_argument for a stop_within below 0 and a period of 0.
  explicit dynamic_supervisor(const dynamic_supervisor_options& options = dynamic_supervisor_options());
  explicit dynamic_supervisor(std::chrono::nanoseconds stop_within)
      : dynamic_supervisor(dynamic_supervisor_options{.stop_within = stop_within}) {}

  /// Starts a linked `T` inside this process: a temporary child, with `stop_within` to end. Throws what its constructor
  /// throws, as start_error, and max_children_reached, which is one; catch it where it may happen, because an exception
  /// that leaves a callback ends this process, and with it all its children (but not for want of a resource).
  template <class T, class... Args>
  ref<T> start_child(Args&&... args) {
    if (size() >= options_.max_children) throw max_children_reached(options_.max_children);
    // Room for it first: a child that this does not know of would never be stopped.
    make_room_in(children_);
    const auto child = spawn_link<T>(std::forward<Args>(args)...);
    children_.insert(child);
    return child;
  }
  /// The same with an answer: `ok` with the child, `max_children` or `failed`.
  template <class T, class... Args>
  child_result try_start_child(Args&&... args) {
    return answer([&] { return start_child<T>(std::forward<Args>(args)...).id(); });
  }
  /// Starts a child that is restarted and stopped as the spec says; its id, which may be given twice, is what reports
  /// name. Of a temporary child the start is not kept. Answers `ok`, with nobody when the start said `ignore`, and then
  /// it is not kept; `max_children`, `failed`, or `invalid`, also for a significant child. Mirrors
  /// `DynamicSupervisor.start_child/2`.
  child_result start_child(child_spec spec);
  /// Stops a child and forgets it; one that is about to be restarted is known by the pid it had. Answers `ok` or
  /// `not_found`. Takes as long as the child does. Mirrors `DynamicSupervisor.terminate_child/2`.
  child_result terminate_child(pid who);

  /// Returns the living children, in no order. O(children).
  std::vector<pid> children() const;
  /// Returns the same with what is known of each; those without a spec have no id. O(children). Mirrors
  /// `DynamicSupervisor.which_children/1`.
  std::vector<child_info> which_children() const;
  /// O(children with a spec). Mirrors `DynamicSupervisor.count_children/1`.
  child_counts count_children() const;
  /// Returns the last restarts, the oldest first, with the failed ones.
  std::vector<restart_event> history() const { return history_.events(); }

  void handle(const exit_signal& signal);
  void on_exit(const exit_reason&) { stop_all(); }

 private:
  /// A child with a spec.
  struct kept {
    child_spec spec;
    pid who = {};  // or who it was
    unsigned restarts = 0;
    bool is_restarting = false;  // down, and a retry is under way that starts it, or it lacks a resource
    restart_attempts attempts = {};
    detail::recovery recovery = {};
    timer_ref timer = {};  // that sends the retry, if it is delayed
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> lacking = {};
  };
  using lacking_children =
      boost::intrusive::list<kept, boost::intrusive::member_hook<kept, decltype(kept::lacking), &kept::lacking>,
                             boost::intrusive::constant_time_size<false>>;
  struct retry {
    pid old_pid;
  };
  struct try_again {};

 public:
  using messages = message_types<retry, try_again>;
  void handle(const retry& due);
  void handle(const try_again& now);

 private:
  using kept_children = boost::unordered_flat_map<pid, std::unique_ptr<kept>, std::hash<pid>>;

  /// Runs a start; tells what became of it.
  static child_result answer(const std::function<pid()>& start);

  std::size_t size() const noexcept { return children_.size() + kept_.size(); }
  template <class Set>
  static void make_room_in(Set& set) {
    if (set.size() >= set.max_load()) set.reserve(2 * set.size() + 1);
  }
  void child_ended(kept& child, const exit_reason& reason);
  static void is_to_restart(kept& child, const exit_reason& reason, std::chrono::nanoseconds delay) noexcept;
  bool go_on(kept& child);
  void restart(kept& child);
  void start_again(kept& child);
  void did_not_start(kept& child, const exit_reason& failure);
  bool tell_restart(const kept& child, pid old_pid, const exit_reason& reason,
                    const std::optional<exit_reason>& failure);
  static void retry_later(kept& child);
  void count_end(kept& child);
  void stop_all();
  void stop_in_order();
  void kill_all();
  /// Asks each as it wants to be asked. Returns the times that they have, without those that have no end.
  std::set<std::chrono::nanoseconds> ask_all();
  void kill_those_with(std::chrono::nanoseconds time);
  /// Tells whether the signal is the end of a child, which is forgotten then.
  bool forget(const exit_signal& signal);
  shutdown shutdown_of(pid who) const;

  dynamic_supervisor_options options_;
  restart_window window_;
  restart_history history_;
  boost::unordered_flat_set<pid, std::hash<pid>> children_;  // living, without a spec
  lacking_children lacking_;                                 // of those in kept_, whose restart lacks a resource
  kept_children kept_;                                       // by pid, or the last one that each had
  detail::retry_timer retry_;                                // on while there is one
};

}  // namespace kv
