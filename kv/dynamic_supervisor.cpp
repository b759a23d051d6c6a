#include <kv/dynamic_supervisor.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "children.hpp"

namespace kv {

dynamic_supervisor::dynamic_supervisor(const dynamic_supervisor_options& options)
    : options_(options), window_(options.max_restarts, options.period), history_(options.history) {
  if (options.stop_within.count() < 0) {
    throw std::invalid_argument("dynamic_supervisor_options::stop_within must be 0 or more");
  }
  detail::check_delay(options.delay);
  trap_exit(true);
}

// Start ----------------------------------------------------------------------------------------------------------

child_result dynamic_supervisor::answer(const std::function<pid()>& start) {
  try {
    return {child_result::code::ok, start()};
  } catch (const detail::unwind&) {
    throw;
  } catch (const max_children_reached& e) {
    return {child_result::code::max_children, {}, exit_reason::custom(e.what())};
  } catch (const start_error& e) {
    return {child_result::code::failed, {}, e.reason()};
  } catch (...) {
    return {child_result::code::failed, {}, exit_reason::error(std::current_exception())};
  }
}

child_result dynamic_supervisor::start_child(child_spec spec) {
  try {
    detail::check_spec(spec);
    if (spec.significant)
      throw std::invalid_argument("child " + spec.id + " is significant: not in a dynamic supervisor");
  } catch (const std::invalid_argument&) {
    return {child_result::code::invalid, {}, exit_reason::error(std::current_exception())};
  }
  // Room for it first: a child that this does not know of would never be stopped.
  auto row = std::make_unique<kept>(kept{.spec = std::move(spec)});
  if (kept_.size() >= kept_.max_load()) kept_.reserve(2 * kept_.size() + 1);
  const auto result = answer([&] {
    if (size() >= options_.max_children) throw max_children_reached(options_.max_children);
    return row->spec.start();
  });
  if (!result.who) return result;
  auto& child = *kept_.emplace(result.who, std::move(row)).first->second;
  child.attempts.begin(now());
  detail::tell(start_report{self(), child.spec.id, result.who});
  if (child.spec.restart == restart::temporary) child.spec.start = nullptr;
  return result;
}

// Restart --------------------------------------------------------------------------------------------------------

void dynamic_supervisor::handle(const exit_signal& signal) {
  if (detail::is_end_of(signal.from, signal) && children_.erase(signal.from) > 0) return;
  if (const auto child = kept_.find(signal.from); child != kept_.end()) {
    if (detail::is_end_of(signal.from, signal) && !child->second->is_restarting) child_ended(child, signal.reason);
    return;
  }
  if (!detail::is_parent(signal.from)) return;
  stop_all();
  exit(signal.reason);
}

void dynamic_supervisor::child_ended(kept_children::iterator child, const exit_reason& reason) {
  if (!should_restart(child->second->spec.restart, reason.is_orderly())) {
    kept_.erase(child);
    return;
  }
  auto& c = *child->second;
  count_end(c, reason);
  const auto delay = c.attempts.after_end(options_.delay, now(), random());
  if (delay.count() == 0) return start_again(child, reason);
  retry_later(child->first, c, reason, delay);
}

void dynamic_supervisor::retry_later(pid old_pid, kept& child, const exit_reason& reason,
                                     std::chrono::nanoseconds delay) {
  child.is_restarting = true;
  child.reason = reason;
  if (delay.count() > 0) {
    child.timer = send_after(delay, self(), retry{old_pid});
  } else {
    send(self(), retry{old_pid});  // others may speak in between
  }
}

void dynamic_supervisor::count_end(const kept& child, const exit_reason& reason) {
  if (window_.add(now())) return;
  detail::tell(give_up_report{self(), child.spec.id, options_.max_restarts, reason});
  stop_all();
  exit(exit_reason::shutdown);
}

void dynamic_supervisor::start_again(kept_children::iterator child, const exit_reason& reason) {
  const auto old_pid = child->first;
  auto& c = *child->second;
  c.is_restarting = true;  // should the supervisor give up, there is nobody to stop
  const auto attempt = detail::try_start(c.spec, c.restarts + 1);
  history_.add({now(), c.spec.id, old_pid, attempt.who, reason, attempt.failure});
  detail::tell(restart_report{self(), c.spec.id, old_pid, attempt.who, reason});
  if (attempt.failure) {
    count_end(c, *attempt.failure);
    return retry_later(old_pid, c, *attempt.failure, c.attempts.after_failure(options_.delay, random()));
  }
  auto moved = std::move(child->second);
  kept_.erase(child);
  if (!attempt.who) return;
  moved->is_restarting = false;
  moved->attempts.has_started(now());
  ++moved->restarts;
  kept_.emplace(attempt.who, std::move(moved));
}

void dynamic_supervisor::handle(const retry& due) {
  const auto child = kept_.find(due.old_pid);
  if (child == kept_.end() || !child->second->is_restarting) return;  // it was terminated meanwhile
  const auto reason = child->second->reason;
  start_again(child, reason);
}

// Stop -----------------------------------------------------------------------------------------------------------

child_result dynamic_supervisor::terminate_child(pid who) {
  const auto how = shutdown_of(who);
  if (const auto child = kept_.find(who); child != kept_.end()) {
    const bool is_down = child->second->is_restarting;
    if (is_down) cancel(child->second->timer);
    kept_.erase(child);
    if (is_down) return {};
  } else if (children_.erase(who) == 0) {
    return {child_result::code::not_found};
  }
  const auto reason = detail::end_child(who, how);
  if (!detail::ended_well(reason, how)) {
    detail::tell(
        oddity_report{self(), "child " + to_string(who) + " ended while it was stopped: " + to_string(reason)});
  }
  return {};
}

// All at once: ten thousand stubborn children take one timeout, not ten thousand.
void dynamic_supervisor::stop_all() {
  std::map<std::string, std::size_t> ended_badly;
  const auto gone = [&](const exit_signal& signal) {
    const auto how = shutdown_of(signal.from);
    if (forget(signal) && !detail::ended_well(signal.reason, how)) ++ended_badly[to_string(signal.reason)];
  };
  erase_if(kept_, [](const auto& row) { return row.second->is_restarting; });
  const auto begin = now();
  for (const auto time : ask_all()) {
    while (size() > 0 && receive_for(begin + time - now(), gone)) {
    }
    kill_those_with(time);
  }
  while (size() > 0) receive(gone);
  for (const auto& [reason, count] : ended_badly) {
    detail::tell(oddity_report{self(), std::to_string(count) + " children ended while they were stopped: " + reason});
  }
}

std::set<std::chrono::nanoseconds> dynamic_supervisor::ask_all() {
  std::set<std::chrono::nanoseconds> times;
  const auto ask = [&](pid who, shutdown how) {
    link(who);  // it may have untied itself, and then nobody would hear of its end
    exit(who, how.is_brutal() ? exit_reason::kill : exit_reason::shutdown);
    if (!how.is_brutal() && !how.is_infinite()) times.insert(how.time());
  };
  for (const auto who : children_) ask(who, shutdown::within(options_.stop_within));
  for (const auto& [who, child] : kept_) ask(who, child->spec.shutdown);
  return times;
}

void dynamic_supervisor::kill_those_with(std::chrono::nanoseconds time) {
  const auto how = shutdown::within(time);
  if (time == options_.stop_within) {
    for (const auto who : children_) exit(who, exit_reason::kill);
  }
  for (const auto& [who, child] : kept_) {
    if (child->spec.shutdown == how) exit(who, exit_reason::kill);
  }
}

bool dynamic_supervisor::forget(const exit_signal& signal) {
  return detail::is_end_of(signal.from, signal) && (children_.erase(signal.from) > 0 || kept_.erase(signal.from) > 0);
}

shutdown dynamic_supervisor::shutdown_of(pid who) const {
  const auto child = kept_.find(who);
  return child == kept_.end() ? shutdown::within(options_.stop_within) : child->second->spec.shutdown;
}

// Look -----------------------------------------------------------------------------------------------------------

std::vector<pid> dynamic_supervisor::children() const {
  std::vector<pid> result(children_.begin(), children_.end());
  for (const auto& [who, child] : kept_) {
    if (!child->is_restarting) result.push_back(who);
  }
  return result;
}

std::vector<child_info> dynamic_supervisor::which_children() const {
  std::vector<child_info> result;
  result.reserve(size());
  for (const auto who : children_) result.push_back({.id = {}, .who = who, .restart = restart::temporary});
  for (const auto& [who, c] : kept_) {
    const auto& spec = c->spec;
    result.push_back({.id = spec.id,
                      .who = c->is_restarting ? pid{} : who,
                      .is_supervisor = spec.is_supervisor,
                      .restarts = c->restarts,
                      .restart = spec.restart,
                      .is_restarting = c->is_restarting});
  }
  return result;
}

child_counts dynamic_supervisor::count_children() const {
  child_counts result{.specs = size(), .active = size()};
  for (const auto& [who, c] : kept_) {
    if (c->is_restarting) --result.active;
    if (c->spec.is_supervisor) ++result.supervisors;
  }
  result.workers = result.specs - result.supervisors;
  return result;
}

}  // namespace kv
