// What all kinds of supervisors do with a child. For use inside a process.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <kv/child_spec.hpp>
#include <kv/process.hpp>
#include <kv/report.hpp>
#include <kv/restart_policy.hpp>

namespace kv::detail {

/// What came of a start.
struct start_attempt {
  pid who = {};  // nobody when it failed, or said `ignore`
  std::optional<exit_reason> failure = {};
  std::string what = {};  // the failure
};

/// Runs the start of a child. `restarts` is how often it will have been restarted then: what introspection shows of it.
start_attempt try_start(const child_spec& spec, unsigned restarts = 0);

/// Throws std::invalid_argument when the spec makes no sense by itself.
void check_spec(const child_spec& spec);

/// Throws std::invalid_argument when the delay makes no sense.
void check_delay(const restart_delay& how);

/// Asks a linked child to end as it wants to be asked, and waits until it is dead. Returns its true reason, also when
/// it had ended before. The link stays until then: a supervisor that is killed meanwhile takes it along.
exit_reason end_child(pid who, shutdown how);

/// Tells whether a child that was stopped ended as it should have.
bool ended_well(const exit_reason& reason, shutdown how);

/// Tells whether an exit signal says that a child is dead, and not that somebody pretends it.
bool is_end_of(pid who, const exit_signal& signal);

/// Tells whether who sent an exit signal started the calling process: a process, or, of one that no process started, some
/// plain thread. The runtime that ends counts as the parent of all.
bool is_parent(pid who);

void tell(const report& entry);

}  // namespace kv::detail
