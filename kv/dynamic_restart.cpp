// How a dynamic supervisor restarts: as in supervision_restart.cpp, but each child alone.
#include <utility>

#include <kv/dynamic_supervisor.hpp>

#include "children.hpp"

namespace kv {

void dynamic_supervisor::handle(const exit_signal& signal) {
  if (detail::is_end_of(signal.from, signal) && children_.erase(signal.from) > 0) return;
  if (const auto child = kept_.find(signal.from); child != kept_.end()) {
    auto& c = *child->second;
    if (detail::is_end_of(signal.from, signal) && !c.is_restarting) child_ended(c, signal.reason);
    return;
  }
  if (!detail::is_parent(signal.from)) return;
  stop_all();
  exit(signal.reason);
}

void dynamic_supervisor::child_ended(kept& child, const exit_reason& reason) {
  if (!should_restart(child.spec.restart, reason.is_orderly())) {
    kept_.erase(child.who);
    return;
  }
  is_to_restart(child, reason, child.attempts.after_end(options_.delay, now(), random()));
  go_on(child);
}

/// It has ended, or did not start. Needs no memory.
void dynamic_supervisor::is_to_restart(kept& child, const exit_reason& reason,
                                       std::chrono::nanoseconds delay) noexcept {
  child.is_restarting = true;
  const auto ended = now();
  child.recovery = {.reason = reason, .ended = ended, .due = ended + delay, .is_counted = false};
}

/// False when it lacks a resource: then it is gone on with later, from where it stands.
bool dynamic_supervisor::go_on(kept& child) {
  if (!detail::shortage_in([&] { restart(child); })) return true;
  if (!child.lacking.is_linked()) lacking_.push_back(child);
  retry_.turn_on();
  return false;
}

/// In turn, until one fails again: what it lacks, the others lack, too, as a rule.
void dynamic_supervisor::handle(const try_again& /*now*/) {
  while (!lacking_.empty()) {
    auto& next = lacking_.front();
    lacking_.pop_front();
    if (!go_on(next)) return;
  }
  retry_.turn_off();
}

void dynamic_supervisor::handle(const retry& due) {
  const auto child = kept_.find(due.old_pid);
  if (child == kept_.end() || !child->second->is_restarting) return;  // it was terminated meanwhile
  go_on(*child->second);
}

void dynamic_supervisor::restart(kept& child) {
  count_end(child);
  if (now() < child.recovery.due) return retry_later(child);
  make_room_in(kept_);  // first: a child that this does not know of would never be stopped
  start_again(child);
}

/// Once. Gives up when it is one too many.
void dynamic_supervisor::count_end(kept& child) {
  auto& its = child.recovery;
  if (its.is_counted) return;
  const bool is_one_too_many = !window_.add(its.ended);
  its.is_counted = true;
  if (!is_one_too_many) return;
  detail::tell([&] { return give_up_report{self(), child.spec.id, options_.max_restarts, its.reason}; });
  stop_all();
  exit(exit_reason::shutdown);
}

void dynamic_supervisor::start_again(kept& child) {
  const auto attempt = detail::try_start(child.spec, child.restarts + 1);
  if (attempt.failure) {
    auto& its = child.recovery;
    if (!detail::is_shortage(attempt.thrown)) return did_not_start(child, *attempt.failure);
    its.has_told = its.has_told || tell_restart(child, child.who, its.reason, attempt.failure);
    std::rethrow_exception(attempt.thrown);
  }
  const auto old_pid = std::exchange(child.who, attempt.who);
  const auto done = std::exchange(child.recovery, {});
  child.is_restarting = false;
  tell_restart(child, old_pid, done.reason, {});
  if (attempt.who) {
    child.attempts.has_started(now());
    ++child.restarts;
    kept_.emplace(attempt.who, nullptr).first->second = std::move(kept_.find(old_pid)->second);  // there is room
  }
  kept_.erase(old_pid);
}

void dynamic_supervisor::did_not_start(kept& child, const exit_reason& failure) {
  const auto reason = child.recovery.reason;
  is_to_restart(child, failure, child.attempts.after_failure(options_.delay, random()));
  tell_restart(child, child.who, reason, failure);
  count_end(child);
  retry_later(child);
}

/// False when there is no memory for it.
bool dynamic_supervisor::tell_restart(const kept& child, pid old_pid, const exit_reason& reason,
                                      const std::optional<exit_reason>& failure) {
  const auto new_pid = failure ? pid{} : child.who;
  return !detail::shortage_in([&] {
    const report entry = restart_report{self(), child.spec.id, old_pid, new_pid, reason};
    history_.add({now(), child.spec.id, old_pid, new_pid, reason, failure});
    detail::this_process().home->report_now(entry);
  });
}

void dynamic_supervisor::retry_later(kept& child) {
  child.timer = send_after(child.recovery.due - now(), self(), retry{child.who});  // others may speak in between
}

}  // namespace kv
