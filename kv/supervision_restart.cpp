// How a supervisor restarts. The end of a child is first written down, which needs no memory. What follows goes step
// by step, each noted when it is done: counted, siblings down, started. A step that fails for want of a resource is
// gone on with when the timer for that goes off, in handle(try_again); so none is done twice, and none is forgotten.
#include <kv/supervision.hpp>

#include <algorithm>
#include <utility>

#include "children.hpp"

namespace kv {

void supervisor::handle(const exit_signal& signal) {
  const auto ended = std::ranges::find(children_, signal.from, &child::who);
  if (signal.from && ended != children_.end()) {
    if (detail::is_end_of(signal.from, signal)) child_ended(*ended, signal.reason);
    return;
  }
  if (!detail::is_parent(signal.from)) return;  // it has no say here
  stop_all();
  exit(signal.reason);
}

void supervisor::child_ended(child& c, const exit_reason& reason) {
  c.old_pid = std::exchange(c.who, {});
  if (c.is == state::waiting) return;  // it was to be stopped, which had to be put off
  c.is = state::down;
  if (!should_restart(c.spec.restart, reason.is_orderly())) {
    return stays_down(static_cast<std::size_t>(&c - children_.data()));
  }
  is_to_restart(c, reason, c.attempts.after_end(options_.delay, now(), random()));
  go_on();
}

void supervisor::stays_down(std::size_t index) {
  const bool significant = children_[index].spec.significant;
  if (children_[index].spec.restart == restart::temporary) {
    children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  if (!significant) return;
  const auto is_left = [](const child& c) { return c.spec.significant && c.is != state::down; };
  if (options_.auto_shutdown == auto_shutdown::all_significant && std::ranges::any_of(children_, is_left)) return;
  stop_all();
  exit(exit_reason::shutdown);
}

/// It has ended, or did not start. Needs no memory.
void supervisor::is_to_restart(child& c, const exit_reason& reason, std::chrono::nanoseconds delay) noexcept {
  c.is = state::restarting;
  c.has_siblings_down = false;
  c.ticket = ++last_ticket_;
  const auto ended = now();
  c.recovery = {.reason = reason, .ended = ended, .due = ended + delay, .is_counted = false, .lacks = true};
}

/// With each child that is to be restarted and does not wait for its time. One that lacks something does not keep the
/// others from going on.
void supervisor::go_on() {
  for (auto& c : children_) {
    if (detail::shortage_in([&] { count(c); })) return retry_.turn_on();
  }
  bool all_done = true;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (!children_[i].recovery.lacks) continue;
    if (detail::shortage_in([&] { restart(children_[i]); })) all_done = false;
  }
  // They wait for a restart that was cancelled.
  const bool left_over = std::ranges::none_of(children_, [](const child& c) { return c.is == state::restarting; });
  if (left_over && detail::shortage_in([&] { start_waiting(); })) all_done = false;
  all_done ? retry_.turn_off() : retry_.turn_on();
}

/// Once. Gives up when it is one too many.
void supervisor::count(child& c) {
  auto& its = c.recovery;
  if (its.is_counted) return;
  const bool is_one_too_many = !window_.add(its.ended);
  its.is_counted = true;
  if (is_one_too_many) give_up(c);
}

void supervisor::restart(child& which) {
  const bool is_alone = options_.strategy == strategy::one_for_one || which.has_siblings_down;
  auto& c = is_alone ? which : take_down_siblings(which);
  if (now() < c.recovery.due) return retry_later(c);
  c.recovery.lacks = false;
  c.is = state::waiting;
  start_waiting();
}

/// Returns the same child, which may stand elsewhere by then. When it throws, those that have not ended yet have their
/// turn the next time.
supervisor::child& supervisor::take_down_siblings(child& of) {
  const auto ticket = of.ticket;
  const auto first =
      options_.strategy == strategy::one_for_all ? children_.begin() : children_.begin() + (&of - children_.data());
  std::for_each(first, children_.end(), [&of](child& c) {
    if (&c == &of) return;
    cancel_restart(c);
    c.is = state::waiting;
    c.recovery.reason = of.recovery.reason;
  });
  for (auto i = children_.size(); i-- > 0;) {
    if (children_[i].is == state::waiting) stop(children_[i]);
  }
  std::erase_if(children_,
                [](const child& c) { return c.is == state::waiting && c.spec.restart == restart::temporary; });
  return *std::ranges::find(children_, ticket, &child::ticket);
}

/// After a failure those behind go on waiting: the retry starts it and, by this same way, them.
void supervisor::start_waiting() {
  for (auto& c : children_) {
    if (c.is != state::waiting) continue;
    stop(c);
    if (!start_again(c)) return;
  }
}

bool supervisor::start_again(child& c) {
  const auto attempt = detail::try_start(c.spec, c.restarts + 1);
  if (attempt.failure) {
    detail::is_shortage(attempt.thrown) ? lacks(c, attempt) : did_not_start(c, attempt);
    return false;
  }
  c.who = attempt.who;
  c.is = c.who ? state::running : state::down;
  c.attempts.has_started(now());
  if (c.who) ++c.restarts;
  const auto done = std::exchange(c.recovery, {});
  tell_restart(c, done.reason, {});
  return true;
}

/// Counts as another end, so the window bounds the attempts.
void supervisor::did_not_start(child& c, const detail::start_attempt& attempt) {
  const auto reason = c.recovery.reason;
  const auto delay = c.attempts.after_failure(options_.delay, random());
  is_to_restart(c, *attempt.failure, delay);
  tell_restart(c, reason, attempt.failure);
  count(c);
  // A sibling that cannot go on without it is not left up for that long.
  const bool takes_along = delay.count() > 0 && options_.strategy != strategy::one_for_one;
  retry_later(takes_along ? take_down_siblings(c) : c);
}

/// It is started again as things stand, those behind wait, and nothing is counted. Throws what it lacks.
void supervisor::lacks(child& c, const detail::start_attempt& attempt) {
  c.is = state::restarting;
  c.has_siblings_down = true;
  c.ticket = ++last_ticket_;
  c.recovery.due = {};
  c.recovery.lacks = true;
  c.recovery.has_told = c.recovery.has_told || tell_restart(c, c.recovery.reason, attempt.failure);
  std::rethrow_exception(attempt.thrown);
}

/// False when there is no memory for it.
bool supervisor::tell_restart(const child& c, const exit_reason& reason, const std::optional<exit_reason>& failure) {
  return !detail::shortage_in([&] {
    const report entry = restart_report{self(), c.spec.id, c.old_pid, c.who, reason};
    history_.add({now(), c.spec.id, c.old_pid, c.who, reason, failure});
    detail::this_process().home->report_now(entry);
  });
}

void supervisor::retry_later(child& c) {
  c.timer = send_after(c.recovery.due - now(), self(), retry{c.ticket});  // others may speak in between
  c.recovery.lacks = false;
}

void supervisor::handle(const retry& due) {
  const auto is_due = [&](const child& c) { return c.is == state::restarting && c.ticket == due.ticket; };
  const auto found = std::ranges::find_if(children_, is_due);
  if (found == children_.end()) return;  // cancelled
  found->recovery.lacks = true;
  go_on();
}

void supervisor::cancel_restart(child& c) {
  if (c.is == state::restarting) cancel(c.timer);
  c.recovery = {};
}

void supervisor::give_up(const child& c) {
  detail::tell([&] { return give_up_report{self(), c.spec.id, options_.max_restarts, c.recovery.reason}; });
  stop_all();
  exit(exit_reason::shutdown);
}

}  // namespace kv
