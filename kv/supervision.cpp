#include <kv/supervision.hpp>

#include <algorithm>
#include <stdexcept>

#include "children.hpp"

namespace kv {

namespace {

void check(const supervisor_options& options, const child_spec& spec) {
  detail::check_spec(spec);
  if (!spec.significant) return;
  if (spec.restart == restart::permanent) {
    throw std::invalid_argument("child " + spec.id + " is significant, so it must be transient or temporary");
  }
  if (options.auto_shutdown == auto_shutdown::never) {
    throw std::invalid_argument("child " + spec.id +
                                " is significant, so auto_shutdown must be any_significant or all_significant");
  }
}

void check(const supervisor_options& options, const std::vector<child_spec>& specs) {
  for (auto spec = specs.begin(); spec != specs.end(); ++spec) {
    check(options, *spec);
    if (std::any_of(specs.begin(), spec, [&](const auto& other) { return other.id == spec->id; })) {
      throw std::invalid_argument("two children have the id " + spec->id);
    }
  }
}

bool is_temporary(const child_spec& spec) { return spec.restart == restart::temporary; }

}  // namespace

// Start ----------------------------------------------------------------------------------------------------------

supervisor::supervisor(const supervisor_options& options, const std::function<std::vector<child_spec>()>& init)
    : options_(options), window_(options.max_restarts, options.period), history_(options.history) {
  detail::check_delay(options_.delay);
  trap_exit(true);
  auto specs = init();
  check(options_, specs);
  for (auto& spec : specs) children_.push_back({.spec = std::move(spec)});
  start_all();
}

void supervisor::start_all() {
  for (auto& c : children_) {
    const auto attempt = detail::try_start(c.spec);
    if (!attempt.failure) {
      has_started(c, attempt.who);
      continue;
    }
    stop_all();
    throw start_error("child " + c.spec.id + ": " + attempt.what, *attempt.failure);
  }
  std::erase_if(children_, [](const child& c) { return is_temporary(c.spec) && !c.who; });
}

void supervisor::has_started(child& c, pid who) {
  c.who = who;
  c.is = who ? state::running : state::down;
  c.attempts.begin(now());
  if (who) detail::tell(start_report{self(), c.spec.id, who});
}

child_result supervisor::start_child(child_spec spec) {
  try {
    check(options_, spec);
  } catch (const std::invalid_argument&) {
    return {child_result::code::invalid, {}, exit_reason::error(std::current_exception())};
  }
  if (const auto* const known = find(spec.id)) {
    if (!known->who) return {child_result::code::already_present};
    return {child_result::code::already_started, known->who};
  }
  children_.push_back({.spec = std::move(spec)});
  const auto answer = start_on_request(children_.back());
  if (!answer || (!answer.who && is_temporary(children_.back().spec))) children_.pop_back();
  return answer;
}

child_result supervisor::restart_child(std::string_view id) {
  auto* const known = find(id);
  if (known == nullptr) return {child_result::code::not_found};
  if (known->who) return {child_result::code::running, known->who};
  if (known->is == state::restarting) return {child_result::code::restarting};
  return start_on_request(*known);
}

child_result supervisor::start_on_request(child& c) {
  const auto attempt = detail::try_start(c.spec);
  if (attempt.failure) {
    history_.add({now(), c.spec.id, c.old_pid, {}, {}, attempt.failure});
    return {child_result::code::failed, {}, *attempt.failure};
  }
  has_started(c, attempt.who);
  return {child_result::code::ok, attempt.who};
}

// Restart --------------------------------------------------------------------------------------------------------

void supervisor::handle(const exit_signal& signal) {
  const auto ended = std::ranges::find(children_, signal.from, &child::who);
  if (signal.from && ended != children_.end()) {
    if (detail::is_end_of(signal.from, signal)) {
      child_ended(static_cast<std::size_t>(ended - children_.begin()), signal.reason);
    }
    return;
  }
  if (!detail::is_parent(signal.from)) return;  // somebody who has no say here
  stop_all();
  exit(signal.reason);
}

void supervisor::child_ended(std::size_t index, const exit_reason& reason) {
  auto& c = children_[index];
  c.old_pid = std::exchange(c.who, {});
  c.is = state::down;
  if (!should_restart(c.spec.restart, reason.is_orderly())) return stays_down(index);
  if (!window_.add(now())) give_up(c, reason);
  const auto delay = c.attempts.after_end(options_.delay, now(), random());
  if (delay.count() == 0) return restart_from(index, reason);
  retry_later(index, reason, delay);
}

void supervisor::stays_down(std::size_t index) {
  const bool significant = children_[index].spec.significant;
  if (is_temporary(children_[index].spec)) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
  if (!significant) return;
  const auto is_left = [](const child& c) { return c.spec.significant && c.is != state::down; };
  if (options_.auto_shutdown == auto_shutdown::all_significant && std::ranges::any_of(children_, is_left)) return;
  stop_all();
  exit(exit_reason::shutdown);
}

void supervisor::restart_from(std::size_t index, const exit_reason& reason) {
  if (options_.strategy == strategy::one_for_one) {
    start_again(index, reason);
    return;
  }
  take_down_group(index);
  start_waiting(reason);
}

void supervisor::take_down_group(std::size_t index) {
  const std::size_t first = options_.strategy == strategy::one_for_all ? 0 : index;
  for (auto i = children_.size(); i-- > first;) {
    stop(children_[i]);
    children_[i].is = state::waiting;
  }
  std::erase_if(children_, [](const child& c) { return c.is == state::waiting && is_temporary(c.spec); });
}

void supervisor::start_waiting(const exit_reason& reason) {
  for (std::size_t i = 0; i < children_.size(); ++i) {
    // After a failure those behind go on waiting: the retry starts it and, by this same way, them.
    if (children_[i].is == state::waiting && !start_again(i, reason)) return;
  }
}

bool supervisor::start_again(std::size_t index, const exit_reason& reason) {
  auto& c = children_[index];
  const auto attempt = detail::try_start(c.spec, c.restarts + 1);
  history_.add({now(), c.spec.id, c.old_pid, attempt.who, reason, attempt.failure});
  detail::tell(restart_report{self(), c.spec.id, c.old_pid, attempt.who, reason});
  if (attempt.failure) {
    // Counts as another end, so the window bounds the attempts.
    if (!window_.add(now())) give_up(c, *attempt.failure);
    retry_later(index, *attempt.failure, c.attempts.after_failure(options_.delay, random()));
    return false;
  }
  c.who = attempt.who;
  c.is = c.who ? state::running : state::down;
  c.attempts.has_started(now());
  if (c.who) ++c.restarts;
  return true;
}

void supervisor::retry_later(std::size_t index, const exit_reason& reason, std::chrono::nanoseconds delay) {
  const auto id = children_[index].spec.id;
  // Nobody who cannot go on without it is left up for that long.
  if (delay.count() > 0 && options_.strategy != strategy::one_for_one) take_down_group(index);
  auto& c = *find(id);  // temporary siblings are gone
  c.is = state::restarting;
  c.reason = reason;
  c.ticket = ++last_ticket_;
  if (delay.count() > 0) {
    c.timer = send_after(delay, self(), retry{c.ticket});
  } else {
    send(self(), retry{c.ticket});  // others may speak in between
  }
}

void supervisor::handle(const retry& due) {
  const auto is_due = [&](const child& c) { return c.is == state::restarting && c.ticket == due.ticket; };
  const auto found = std::ranges::find_if(children_, is_due);
  if (found == children_.end()) return;  // cancelled
  const auto reason = found->reason;
  restart_from(static_cast<std::size_t>(found - children_.begin()), reason);
}

void supervisor::give_up(const child& c, const exit_reason& reason) {
  detail::tell(give_up_report{self(), c.spec.id, options_.max_restarts, reason});
  stop_all();
  exit(exit_reason::shutdown);
}

// Stop -----------------------------------------------------------------------------------------------------------

child_result supervisor::terminate_child(std::string_view id) {
  auto* const known = find(id);
  if (known == nullptr) return {child_result::code::not_found};
  const bool was_restarting = known->is == state::restarting;
  const auto reason = known->reason;
  stop(*known);
  if (is_temporary(known->spec)) children_.erase(children_.begin() + (known - children_.data()));
  if (was_restarting) start_waiting(reason);
  return {};
}

child_result supervisor::delete_child(std::string_view id) {
  auto* const known = find(id);
  if (known == nullptr) return {child_result::code::not_found};
  if (known->who) return {child_result::code::running, known->who};
  if (known->is == state::restarting) return {child_result::code::restarting};
  children_.erase(children_.begin() + (known - children_.data()));
  return {};
}

void supervisor::stop(child& c) {
  if (c.is == state::restarting) cancel(c.timer);
  c.is = state::down;
  const auto who = std::exchange(c.who, {});
  if (!who) return;
  c.old_pid = who;
  const auto reason = detail::end_child(who, c.spec.shutdown);
  if (detail::ended_well(reason, c.spec.shutdown)) return;
  detail::tell(oddity_report{
      self(), "child " + c.spec.id + " " + to_string(who) + " ended while it was stopped: " + to_string(reason)});
}

void supervisor::stop_all() {
  for (auto c = children_.rbegin(); c != children_.rend(); ++c) stop(*c);
}

// Look -----------------------------------------------------------------------------------------------------------

supervisor::child* supervisor::find(std::string_view id) {
  const auto found = std::ranges::find(children_, id, [](const child& c) -> auto& { return c.spec.id; });
  return found == children_.end() ? nullptr : &*found;
}

std::vector<child_info> supervisor::which_children() const {
  std::vector<child_info> result;
  for (const auto& c : children_) {
    result.push_back({c.spec.id, c.who, c.spec.is_supervisor, c.restarts, c.spec.restart, c.is == state::restarting});
  }
  return result;
}

child_counts supervisor::count_children() const {
  child_counts result{.specs = children_.size()};
  for (const auto& c : children_) {
    if (c.who && detail::this_process().home->alive(c.who)) ++result.active;
    ++(c.spec.is_supervisor ? result.supervisors : result.workers);
  }
  return result;
}

}  // namespace kv
