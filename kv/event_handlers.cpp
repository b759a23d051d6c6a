#include "event_handlers.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include <kv/report.hpp>

namespace kv::detail {

namespace {

/// How long a row for which there was no thread or memory waits until it is tried again.
constexpr auto between_tries = std::chrono::seconds(1);

bool is_want_of_thread(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::system_error&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

event_handlers::event_handlers(std::string name, subscriptions rows, duration deadline)
    : home_(*this_process().home), name_(std::move(name)), rows_(std::move(rows)), deadline_(deadline) {}

// Come -----------------------------------------------------------------------------------------------------------

void event_handlers::attach_rows() {
  auto found = rows_.to_vector();
  std::ranges::sort(found, {}, [](const auto& row) { return row.first; });
  for (auto& [id, what] : found) {
    last_id_ = id;
    attach_or_keep(id, what, true);
  }
}

/// A row that names nothing to run is set aside. One for which there is no thread or memory now stays, and is tried again.
void event_handlers::attach_or_keep(std::uint64_t id, subscription& what, bool is_first) {
  const bool has_runner = is_runner(home_, what.runner);
  if (!what.what || (!has_runner && !what.what->is_whole())) {
    unattached_.erase(id);
    return set_aside(id, "its row names nothing to run", parting::dead);
  }
  const auto failure = failure_of([&] { attach(id, what, true); });
  if (!failure) {
    unattached_.erase(id);
    return;
  }
  unattached_[id] = !is_want_of_thread(failure);
  if (is_first) report("handler " + what.label + " of " + name_ + " cannot be attached now: " + to_text(failure));
  attach_later();
}

void event_handlers::attach_later() {
  if (is_retrying_) return;
  // Without memory for a timer, the next handler that is added tries again.
  is_retrying_ = !failure_of([&] { send_after(between_tries, self(), detail::attach_again{}); });
}

void event_handlers::attach_again() {
  is_retrying_ = false;
  std::vector<std::uint64_t> ids;
  const auto failure = failure_of([&] {
    for (const auto& [id, waits] : unattached_) ids.push_back(id);
  });
  if (failure) return attach_later();
  std::ranges::sort(ids);
  for (const auto id : ids) {
    if (auto row = row_of(id)) {
      attach_or_keep(id, *row, false);
    } else {
      unattached_.erase(id);
    }
  }
}

/// Tells whether some handler would miss an event that is told now, which its publisher may tell again later.
bool event_handlers::lacks_handlers() {
  const auto waits = [](const auto& row) { return row.second; };
  if (std::ranges::any_of(unattached_, waits)) attach_again();
  return std::ranges::any_of(unattached_, waits);
}

std::uint64_t event_handlers::add(subscription what) {
  auto id = last_id_ + 1;
  while (id == 0 || rows_.member(id)) ++id;  // rows are public: there may be any
  attach(id, what, false);
  last_id_ = id;
  if (!unattached_.empty()) attach_later();
  return id;
}

/// All or nothing: first what may be refused, then the row.
void event_handlers::attach(std::uint64_t id, subscription& what, bool has_row) {
  const bool starts = !what.forwards && !is_runner(home_, what.runner);
  const auto found = handlers_.try_emplace(id).first;
  const auto before = std::exchange(what.runner, starts ? pid{} : what.runner);
  const auto failure = failure_of([&] {
    if (starts) what.runner = spawn_thread(event_runner(id, what, rows_, name_, self()));
    tie(id, found->second, what);
    if (starts || !has_row) rows_.insert(id, what);
  });
  if (!failure) return;
  undo(found);
  if (starts && what.runner) {
    kill(what.runner);
  } else if (!has_row) {
    let_go(what.what);
  }
  what.runner = before;
  std::rethrow_exception(failure);
}

void event_handlers::tie(std::uint64_t id, attached& entry, const subscription& what) {
  entry.what = what.what;
  entry.label = what.label;
  if (!what.forwards) entry.owed = std::make_unique<debts>();
  entry.watch = watch(what.forwards ? what.owner : what.runner, id, role::worker);
  if (!what.forwards && what.owner) entry.owner_watch = watch(what.owner, id, role::owner);
  entry.connection = signal_.connect([this, id, &entry](const delivery& d) { pass_on(id, entry, d); });
  if (what.forwards) return;
  entry.runner = what.runner;
  ++runners_;
}

void event_handlers::undo(handler_map::iterator which) {
  auto& entry = which->second;
  unwatch(entry.watch);
  unwatch(entry.owner_watch);
  if (entry.runner) --runners_;
  handlers_.erase(which);
}

monitor_ref event_handlers::watch(pid whom, std::uint64_t id, role what) {
  const auto ref = detail::watch(whom, {});
  watches_.emplace(ref.id, watched{id, what});
  return ref;
}

/// Without memory for that, a `down` may still come, and says nothing to anybody.
void event_handlers::unwatch(monitor_ref ref) {
  if (watches_.erase(ref.id) > 0) static_cast<void>(failure_of([&] { demonitor(ref, true); }));
}

// Go -------------------------------------------------------------------------------------------------------------

void event_handlers::kill(pid runner) {
  if (is_runner(home_, runner))
    static_cast<void>(failure_of([&] { home_.send_exit(runner, self(), exit_reason::kill); }));
}

/// Nobody waits for it any more. Its process ends, and what the client gave is kept until it has.
void event_handlers::leave(handler_map::iterator which, parting how) {
  const auto id = which->first;
  auto& entry = which->second;
  entry.connection.disconnect();
  if (entry.owed) tickets_.forgive(*entry.owed);
  unwatch(entry.owner_watch);
  if (entry.runner) --runners_;
  if (!entry.runner || how == parting::dead) {
    unwatch(entry.watch);
    let_go(std::move(entry.what));
  } else {
    // Without memory for this it destroys itself what the client gave.
    static_cast<void>(
        failure_of([&] { leaving_.try_emplace(id, leaving{entry.what, entry.runner, how == parting::hanging}); }));
    if (how != parting::retired) kill(entry.runner);
  }
  handlers_.erase(which);
}

/// Removes a handler against its owner's will.
void event_handlers::set_aside(std::uint64_t id, const std::string& why, parting how) {
  const auto row = row_of(id);
  std::optional<removal_notice> notice;
  if (row) static_cast<void>(failure_of([&] { notice.emplace(id, *row, name_, why); }));
  if (const auto found = handlers_.find(id); found != handlers_.end()) leave(found, how);
  if (row && erase_row(id) && notice) notice->give();
}

void event_handlers::remove(from<bool>& caller, std::uint64_t id) {
  if (const auto gone = leaving_.find(id); gone != leaving_.end()) return join(gone, caller, false);
  const auto found = handlers_.find(id);
  if (found == handlers_.end()) {
    auto row = rows_.take(id);
    unattached_.erase(id);
    if (row) let_go(std::move(row->what));
    return caller.reply(row.has_value());
  }
  const auto runner = found->second.runner;
  if (!runner || runner == caller.caller()) {
    if (runner) send(runner, retire{});
    const bool was_there = rows_.erase(id);
    leave(found, parting::retired);
    return caller.reply(was_there);
  }
  // Its last call may still be under way.
  const auto gone = leaving_.try_emplace(id, leaving{found->second.what, runner}).first;
  bool was_there = false;
  const auto failure = failure_of([&] {
    gone->second.removers.reserve(1);
    gone->second.timer = limit_of(id);
    was_there = rows_.erase(id);
  });
  if (failure) {
    cancel(gone->second.timer);
    leaving_.erase(gone);
    std::rethrow_exception(failure);
  }
  gone->second.removers.emplace_back(std::move(caller), was_there);
  leave(found, parting::killed);
}

/// One more who wants it removed, which it is; but it may still run.
void event_handlers::join(leaving_map::iterator which, from<bool>& caller, bool answer) {
  auto& gone = which->second;
  if (gone.hangs || gone.runner == caller.caller()) return caller.reply(answer);
  if (gone.removers.empty()) gone.timer = limit_of(which->first);
  gone.removers.emplace_back(std::move(caller), answer);
}

timer_ref event_handlers::limit_of(std::uint64_t id) {
  return deadline_ >= infinity ? timer_ref{} : send_after(deadline_, self(), removal_due{id});
}

/// Its last call has taken too long.
void event_handlers::stop_awaiting(std::uint64_t id) {
  const auto found = leaving_.find(id);
  if (found == leaving_.end()) return;
  found->second.hangs = true;
  for (auto& [caller, answer] : std::exchange(found->second.removers, {})) caller.reply(answer);
}

/// Its process has ended.
void event_handlers::has_left(leaving_map::iterator which) {
  auto gone = std::move(which->second);
  leaving_.erase(which);
  if (!gone.removers.empty()) cancel(gone.timer);
  for (auto& [caller, answer] : gone.removers) caller.reply(answer);
  let_go(std::move(gone.what));
}

bool event_handlers::lost(const down& news) {
  const auto found = watches_.find(news.ref.id);
  if (found == watches_.end()) return false;
  const auto [id, what] = found->second;
  watches_.erase(found);
  if (const auto gone = leaving_.find(id); gone != leaving_.end()) {
    if (what == role::worker) has_left(gone);
    return true;
  }
  const auto which = handlers_.find(id);
  if (which == handlers_.end()) return true;
  if (what == role::worker && which->second.runner) {
    set_aside(id, "its process ended: " + to_string(news.reason), parting::dead);  // it tells of its own faults itself
  } else {
    leave(which, parting::killed);  // the owner is gone, and the handler goes with it
    erase_row(id);
  }
  return true;
}

std::optional<subscription> event_handlers::row_of(std::uint64_t id) const {
  std::optional<subscription> result;
  static_cast<void>(failure_of([&] { result = rows_.lookup(id); }));
  return result;
}

bool event_handlers::erase_row(std::uint64_t id) {
  bool was_there = true;
  const auto failure = failure_of([&] { was_there = rows_.erase(id); });
  if (failure && has_table()) report("the row of a removed handler of " + name_ + " stays: " + to_text(failure));
  return was_there;
}

void event_handlers::report(std::string what) const { home_.report_now(oddity_report{self(), std::move(what)}); }

}  // namespace kv::detail
