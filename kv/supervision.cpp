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
    : options_(options),
      window_(options.max_restarts, options.period),
      history_(options.history),
      retry_(detail::between_attempts, try_again{}) {
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
    throw start_error("child " + c.spec.id + ": " + attempt.what(), *attempt.failure);
  }
  std::erase_if(children_, [](const child& c) { return is_temporary(c.spec) && !c.who; });
}

void supervisor::has_started(child& c, pid who) {
  c.who = who;
  c.is = who ? state::running : state::down;
  c.attempts.begin(now());
  if (who) detail::tell([&] { return start_report{self(), c.spec.id, who}; });
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
  children_.push_back({.spec = std::move(spec)});  // or it throws, and nothing has changed
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
    static_cast<void>(
        detail::shortage_in([&] { history_.add({now(), c.spec.id, c.old_pid, {}, {}, attempt.failure}); }));
    return {child_result::code::failed, {}, *attempt.failure};
  }
  has_started(c, attempt.who);
  return {child_result::code::ok, attempt.who};
}

// Stop -----------------------------------------------------------------------------------------------------------

child_result supervisor::terminate_child(std::string_view id) {
  auto* const known = find(id);
  if (known == nullptr) return {child_result::code::not_found};
  stop(*known);
  cancel_restart(*known);
  known->is = state::down;
  if (is_temporary(known->spec)) children_.erase(children_.begin() + (known - children_.data()));
  go_on();  // for it, others may have waited
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

/// Throws what it lacks to wait for the end, and then nothing has changed.
void supervisor::stop(child& c) {
  if (!c.who) return;
  const auto reason = detail::end_child(c.who, c.spec.shutdown);
  const auto who = c.old_pid = std::exchange(c.who, {});
  if (detail::ended_well(reason, c.spec.shutdown)) return;
  detail::tell([&] {
    return oddity_report{
        self(), "child " + c.spec.id + " " + to_string(who) + " ended while it was stopped: " + to_string(reason)};
  });
}

void supervisor::stop_all() {
  for (auto c = children_.rbegin(); c != children_.rend(); ++c) {
    cancel_restart(*c);
    // One that cannot be waited for ends all the same: when this process does, if not before.
    if (detail::shortage_in([&] { stop(*c); })) detail::kill_by_link(std::exchange(c->who, {}));
  }
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
