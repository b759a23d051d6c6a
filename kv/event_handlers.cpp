#include "event_handlers.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include <kv/report.hpp>

namespace kv::detail {

namespace {

/// How long a row for which there was no thread or memory waits until it is tried again.
constexpr duration between_tries = std::chrono::seconds(1);

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
    : home_(*this_process().home),
      name_(std::move(name)),
      rows_(std::move(rows)),
      deadline_(deadline),
      attaching_(between_tries, detail::attach_again{}),
      alarm_(std::min(deadline, between_tries), deadline_check{}) {}

// Come -----------------------------------------------------------------------------------------------------------

void event_handlers::attach_rows() {
  auto found = rows_.to_vector();
  std::ranges::sort(found, {}, [](const auto& row) { return row.first; });
  for (auto& [id, what] : found) {
    last_id_ = id;
    const auto failure = attach_or_set_aside(id, what);
    if (!failure) continue;
    unattached_[id] = !is_want_of_thread(failure);
    attaching_.turn_on();
    home_.report_if_possible([&] {
      const auto whose = "handler " + what.label + " of " + name_;
      return oddity_report{self(), whose + " cannot be attached now: " + to_text(failure)};
    });
  }
}

/// A row that names nothing to run is set aside. Returns why one cannot be attached now, for want of a thread or memory:
/// it stays.
std::exception_ptr event_handlers::attach_or_set_aside(std::uint64_t id, subscription& what) {
  const bool has_runner = is_runner(home_, what.runner);
  if (what.what && (has_runner || what.what->is_whole())) return failure_of([&] { attach(id, what, true); });
  set_aside(id, parting::dead, [] { return "its row names nothing to run"; });
  return nullptr;
}

void event_handlers::attach_again() {
  attaching_.turn_off();
  for (auto next = unattached_.begin(); next != unattached_.end();) {
    auto& [id, holds_up_events] = *next;
    const auto failure = failure_of([&, number = id] {
      auto row = rows_.lookup(number);
      const auto why = row ? attach_or_set_aside(number, *row) : nullptr;
      if (why) std::rethrow_exception(why);
    });
    holds_up_events = failure && !is_want_of_thread(failure);
    next = failure ? std::next(next) : unattached_.erase(next);
  }
  if (!unattached_.empty()) attaching_.turn_on();
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
  return id;
}

/// All or nothing: first what may be refused, then the row.
void event_handlers::attach(std::uint64_t id, subscription& what, bool has_row) {
  const bool starts = !what.forwards && !is_runner(home_, what.runner);
  const auto found = handlers_.try_emplace(id).first;
  const auto before = std::exchange(what.runner, starts ? pid{} : what.runner);
  const auto failure = failure_of([&] {
    prepare_end(id, found->second, what);
    if (starts) what.runner = spawn_thread(event_runner(id, what, rows_, name_, self()));
    tie(id, found->second, what);
    if (starts || !has_row) rows_.insert(id, what);
  });
  if (!failure) return;
  // Else what was started lets go of it.
  if (!has_row && !(starts && what.runner)) let_go(what.what, std::move(found->second.to_be_dropped));
  undo(found, starts ? what.runner : pid{});
  what.runner = before;
  std::rethrow_exception(failure);
}

/// What its removal needs is made now, because there may be no memory then.
void event_handlers::prepare_end(std::uint64_t id, attached& entry, const subscription& what) {
  entry.what = what.what;
  entry.label = what.label;
  entry.farewell = removal_notice(id, what, name_);
  if (what.what->has_user_code()) entry.to_be_dropped = std::make_unique<letter_of<dropped>>(dropped());
  if (what.forwards) return;
  waiting_rows spare{{id, true}};
  entry.if_lost = spare.extract(id);
  entry.owed = std::make_unique<debts>();
  entry.end = std::make_unique<exit_notice>(signal::op::exit, self(), exit_reason::kill);
}

void event_handlers::tie(std::uint64_t id, attached& entry, const subscription& what) {
  entry.watch = watch(what.forwards ? what.owner : what.runner, id, role::worker);
  if (!what.forwards && what.owner) entry.owner_watch = watch(what.owner, id, role::owner);
  entry.runner = what.runner;
}

/// `started` is the process that was started for it, if there is one.
void event_handlers::undo(handler_map::iterator which, pid started) {
  auto& entry = which->second;
  unwatch(entry.watch);
  unwatch(entry.owner_watch);
  if (started) home_.send_signal(started, std::move(entry.end));
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

/// Nothing waits for it any more. Its process ends, and what the client gave is kept until it has.
void event_handlers::leave(handler_map::iterator which, parting how) {
  const auto id = which->first;
  auto& entry = which->second;
  if (entry.owed) tickets_.forgive(*entry.owed);
  unwatch(entry.owner_watch);
  if (!entry.runner || how == parting::dead) {
    unwatch(entry.watch);
    let_go(std::move(entry.what), std::move(entry.to_be_dropped));
  } else {
    // Without memory for this it destroys itself what the client gave.
    static_cast<void>(failure_of([&] { is_leaving(id, entry, how == parting::hanging); }));
    if (how != parting::retired) home_.send_signal(entry.runner, std::move(entry.end));
  }
  handlers_.erase(which);
}

/// Its process has ended for want of a resource, which is not the handler's fault. What it owes it has not heard.
void event_handlers::attach_later(handler_map::iterator which, const exit_reason& why) {
  auto& entry = which->second;
  tickets_.forgive(*entry.owed, why.exception());
  unwatch(entry.owner_watch);
  unattached_.insert(std::move(entry.if_lost));
  handlers_.erase(which);
  attaching_.turn_on();
}

event_handlers::leaving_map::iterator event_handlers::is_leaving(std::uint64_t id, attached& entry, bool hangs) {
  const auto which = leaving_.try_emplace(id).first;
  which->second.what = entry.what;
  which->second.runner = entry.runner;
  which->second.hangs = hangs;
  which->second.to_be_dropped = std::move(entry.to_be_dropped);
  return which;
}

/// Removes a handler against its owner's will, which is told before those who wait for it.
void event_handlers::set_aside(std::uint64_t id, parting how, const reason_maker& why) {
  const auto found = handlers_.find(id);
  removal_notice notice;
  if (found != handlers_.end()) {
    notice = std::move(found->second.farewell);
  } else {
    static_cast<void>(failure_of([&] {
      if (const auto row = rows_.lookup(id)) notice = removal_notice(id, *row, name_);
    }));
  }
  if (erase_row(id)) notice.give(why);
  if (found != handlers_.end()) leave(found, how);
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
    message_ptr last = runner ? std::make_unique<letter_of<retire>>(retire{}) : nullptr;  // before anything has changed
    const bool was_there = rows_.erase(id);
    if (last) home_.deliver(runner, std::move(last));
    leave(found, parting::retired);
    return caller.reply(was_there);
  }
  // Its last call may still be under way.
  const auto gone = is_leaving(id, found->second, false);
  bool was_there = false;
  const auto failure = failure_of([&] {
    gone->second.removers.reserve(1);
    gone->second.timer = limit_of(id);
    was_there = rows_.erase(id);
  });
  if (failure) {
    cancel(gone->second.timer);
    found->second.to_be_dropped = std::move(gone->second.to_be_dropped);
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
  let_go(std::move(gone.what), std::move(gone.to_be_dropped));
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
  if (what == role::worker && which->second.runner && is_shortage(news.reason) && which->second.what->is_whole()) {
    attach_later(which, news.reason);
  } else if (what == role::worker && which->second.runner) {
    // It tells of its own faults itself.
    set_aside(id, parting::dead, [&] { return "its process ended: " + to_string(news.reason); });
  } else {
    leave(which, parting::killed);  // the owner is gone, and the handler goes with it
    erase_row(id);
  }
  return true;
}

/// Tells whether it was there. Should it stay, for want of memory, it is attached again when the manager is restarted.
bool event_handlers::erase_row(std::uint64_t id) {
  bool was_there = true;
  const auto failure = failure_of([&] { was_there = rows_.erase(id); });
  if (!failure) return was_there;
  if (!has_table()) return false;
  home_.report_if_possible([&] {
    return oddity_report{self(), "the row of a removed handler of " + name_ + " stays: " + to_text(failure)};
  });
  return true;
}

}  // namespace kv::detail
