#include <kv/dynamic_supervisor.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "children.hpp"

namespace kv {

dynamic_supervisor::dynamic_supervisor(const dynamic_supervisor_options& options)
    : options_(options),
      window_(options.max_restarts, options.period),
      history_(options.history),
      retry_(detail::between_attempts, try_again{}) {
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
  auto row = std::make_unique<kept>();
  row->spec = std::move(spec);
  make_room_in(kept_);
  if (size() >= options_.max_children) {
    return {
        child_result::code::max_children, {}, exit_reason::custom(max_children_reached(options_.max_children).what())};
  }
  const auto attempt = detail::try_start(row->spec);
  if (attempt.failure) return {child_result::code::failed, {}, *attempt.failure};
  const child_result result{child_result::code::ok, attempt.who};
  if (!result.who) return result;
  auto& child = *kept_.emplace(result.who, std::move(row)).first->second;
  child.who = result.who;
  child.attempts.begin(now());
  detail::tell([&] { return start_report{self(), child.spec.id, result.who}; });
  if (child.spec.restart == restart::temporary) child.spec.start = nullptr;
  return result;
}

// Stop -----------------------------------------------------------------------------------------------------------

child_result dynamic_supervisor::terminate_child(pid who) {
  const auto child = kept_.find(who);
  if (child != kept_.end() && child->second->is_restarting) {
    cancel(child->second->timer);
    kept_.erase(child);
    return {};
  }
  if (child == kept_.end() && !children_.contains(who)) return {child_result::code::not_found};
  const auto how = shutdown_of(who);
  const auto reason = detail::end_child(who, how);
  if (children_.erase(who) == 0) kept_.erase(who);
  if (!detail::ended_well(reason, how)) {
    detail::tell([&] {
      return oddity_report{self(), "child " + to_string(who) + " ended while it was stopped: " + to_string(reason)};
    });
  }
  return {};
}

void dynamic_supervisor::stop_all() {
  erase_if(kept_, [](const auto& row) { return row.second->is_restarting; });
  if (detail::shortage_in([this] { stop_in_order(); })) kill_all();
}

// All at once: ten thousand stubborn children take one timeout, not ten thousand.
void dynamic_supervisor::stop_in_order() {
  std::map<std::string, std::size_t> ended_badly;
  const auto gone = [&](const exit_signal& signal) {
    const auto how = shutdown_of(signal.from);
    if (!forget(signal) || detail::ended_well(signal.reason, how)) return;
    static_cast<void>(detail::shortage_in([&] { ++ended_badly[to_string(signal.reason)]; }));
  };
  const auto begin = now();
  for (const auto time : ask_all()) {
    while (size() > 0 && receive_for(begin + time - now(), gone)) {
    }
    kill_those_with(time);
  }
  while (size() > 0) receive(gone);
  for (const auto& [reason, count] : ended_badly) {
    detail::tell([&] {
      return oddity_report{self(), std::to_string(count) + " children ended while they were stopped: " + reason};
    });
  }
}

/// The news of their ends is lost with the links, so each is waited for until it is dead.
void dynamic_supervisor::kill_all() {
  for (const auto who : children_) detail::kill_by_link(who);
  for (const auto& row : kept_) detail::kill_by_link(row.first);
  for (const auto who : children_) detail::await_killed(who);
  for (const auto& row : kept_) detail::await_killed(row.first);
  children_.clear();
  kept_.clear();
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
