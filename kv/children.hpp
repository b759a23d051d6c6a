// What all kinds of supervisors do with a child. For use inside a process.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>

#include <kv/child_spec.hpp>
#include <kv/detail/shortage.hpp>
#include <kv/process.hpp>
#include <kv/report.hpp>
#include <kv/restart_policy.hpp>

namespace kv::detail {

/// How often that is tried again for which a resource was wanting.
inline constexpr auto between_attempts = std::chrono::milliseconds(100);

/// What came of a start.
struct start_attempt {
  pid who = {};                          // empty when it failed, or said `ignore`
  std::exception_ptr thrown = {};        // what the start function has thrown
  std::optional<exit_reason> failure{};  // why it failed

  /// Returns what the failure says of itself.
  std::string what() const;
};

/// Runs the start of a child. `restarts` is how often it will have been restarted then: what introspection shows of it.
/// Throws nothing but what ends the process.
start_attempt try_start(const child_spec& spec, unsigned restarts = 0);

/// Throws std::invalid_argument when the spec makes no sense by itself.
void check_spec(const child_spec& spec);

/// Throws std::invalid_argument when the delay makes no sense.
void check_delay(const restart_delay& how);

/// Asks a linked child to end as it wants to be asked, and waits until it is dead. Returns its true reason, also when
/// it had ended before. The link stays until then: a supervisor that is killed meanwhile takes it along. Where there is
/// no memory to ask it, it is killed. Throws out_of_stacks, std::bad_alloc when the caller cannot wait, and then nothing
/// has been done.
exit_reason end_child(pid who, shutdown how);

/// Kills a linked child. Needs no memory, and the link, by whose notice it does it: the end of the child is not told.
void kill_by_link(pid who) noexcept;

/// Waits until a child is dead that kill_by_link has killed; one that had untied itself it kills as soon as there is
/// memory for that. Throws nothing but what ends the process.
void await_killed(pid who);

/// Tells whether a child that was stopped ended as it should have.
bool ended_well(const exit_reason& reason, shutdown how);

/// Tells whether an exit signal says that a child is dead, and not that somebody pretends it.
bool is_end_of(pid who, const exit_signal& signal);

/// Tells whether who sent an exit signal started the calling process: a process, or, of one that no process started, some
/// plain thread. The runtime that ends counts as the parent of all.
bool is_parent(pid who);

/// Reports what `make()` returns, if there is memory for it.
template <class F>
void tell(F make) {
  this_process().home->report_if_possible(make);
}

}  // namespace kv::detail
