// How an event gets to the handlers of a manager, and how long they may take.
#include <algorithm>

#include <kv/report.hpp>

#include "event_handlers.hpp"

namespace kv::detail {

void event_handlers::notify(const event_body& event) {
  static_cast<void>(failure_of([&] { tell(delivery{event, self(), 0}); }));
}

void event_handlers::notify(const event_body& event, publisher& whose) {
  now_ = home_.exec().now();
  if (runners_ > 0 && armed_ == time_point::max()) {
    // Before any handler is told: without it, one that hangs would never be found out.
    deadlines_.add({core::deadline_after(deadline_, now_), 0});
    arm();
  }
  const auto ticket = tickets_.open(whose);
  const auto failure = failure_of([&] {
    if (lacks_handlers()) tickets_.fail(ticket, std::make_exception_ptr(std::bad_alloc()));
    tell(delivery{event, self(), ticket});
  });
  // Whatever happened, the publisher waits for what the ticket says.
  if (failure) tickets_.fail(ticket, failure);
  tickets_.seal(ticket);
}

/// Handlers that cannot be told are left out: it is told to all others, whatever happens.
void event_handlers::tell(const delivery& d) {
  event_guest guest(home_);
  guest_ = &guest;
  const auto failure = failure_of([&] { signal_(d); });
  guest_ = nullptr;
  guest.leave();
  if (failure) {
    tickets_.fail(d.ticket, failure);
    report("an event of " + name_ + " was not told to every handler: " + to_text(failure));
  }
  if (std::exchange(any_failed_, false)) detach_failed();
}

void event_handlers::pass_on(std::uint64_t id, attached& entry, const delivery& d) {
  if (entry.runner) {
    hand_over(id, entry, d);
  } else {
    forward(entry, d);
  }
}

void event_handlers::hand_over(std::uint64_t id, attached& entry, const delivery& d) {
  const auto failure = failure_of([&] {
    message_ptr letter = std::make_unique<letter_of<delivery>>(d);
    if (d.ticket != 0) {
      if (!entry.owed->has_entry) deadlines_.add({core::deadline_after(deadline_, now_), id});
      entry.owed->has_entry = true;
      tickets_.owe(*entry.owed, d.ticket, now_);
    }
    const bool is_told = home_.deliver(entry.runner, std::move(letter));
    if (!is_told && d.ticket != 0) tickets_.take_back(*entry.owed);  // its `down` is on its way
  });
  if (failure) missed(entry, d, failure);
}

void event_handlers::forward(attached& entry, const delivery& d) {
  if (!entry.what->has_user_code()) {
    if (const auto why = entry.what->hear(d.event)) missed(entry, d, why);
    return;
  }
  if (const auto failure = failure_of([&] { guest_->enter(); })) return missed(entry, d, failure);
  std::exception_ptr why;
  try {
    why = guest_->run([&] { return entry.what->hear(d.event); });
  } catch (...) {
    entry.failure = std::current_exception();  // also `unwind`, which is the guest's and not this process's
  }
  if (const auto end = guest_->ended()) {
    entry.failure = std::make_exception_ptr(std::runtime_error("it ended its process: " + to_string(*end)));
    guest_->leave();
  }
  any_failed_ = any_failed_ || entry.failure;
  if (why) missed(entry, d, why);
}

void event_handlers::missed(const attached& entry, const delivery& d, const std::exception_ptr& why) {
  tickets_.fail(d.ticket, why);
  static_cast<void>(
      failure_of([&] { report("handler " + entry.label + " of " + name_ + " has missed an event: " + to_text(why)); }));
}

void event_handlers::detach_failed() {
  for (auto next = handlers_.begin(); next != handlers_.end();) {
    const auto& [id, entry] = *next++;
    if (entry.failure) set_aside(id, to_text(entry.failure), parting::dead);
  }
}

// Deadlines ------------------------------------------------------------------------------------------------------

void event_handlers::is_through(const handled& news) {
  const auto found = handlers_.find(news.handler);
  if (found != handlers_.end() && found->second.owed) tickets_.pay(*found->second.owed, news.ticket);
  if (armed_ == time_point::max() && !deadlines_.empty()) static_cast<void>(failure_of([&] { arm(); }));
}

void event_handlers::arm() {
  const auto next = deadlines_.next();
  if (next >= armed_ || next == time_point::max()) return;
  const auto now = home_.exec().now();
  send_after(std::max(next, now) - now, self(), deadline_check{});
  armed_ = next;
}

/// Moves each handler on to where its deadline is now: from its last progress, or since it owes if that is later.
void event_handlers::check_deadlines() {
  armed_ = time_point::max();
  const auto now = home_.exec().now();
  while (const auto id = deadlines_.take_due(now)) {
    const auto found = handlers_.find(*id);
    if (found == handlers_.end() || !found->second.owed) continue;
    auto& owed = *found->second.owed;
    owed.has_entry = !owed.tickets.empty();
    if (!owed.has_entry) continue;
    const auto progress = found->second.what->last_progress.load(std::memory_order_relaxed);
    const auto due = core::deadline_after(deadline_, std::max(owed.since, progress));
    if (due > now) {
      deadlines_.add({due, *id});  // there is room: one was just taken
    } else {
      set_aside(*id, "it did not return in time", parting::hanging);
    }
  }
  static_cast<void>(failure_of([&] { arm(); }));  // else the next that is through, or the next event, does
}

}  // namespace kv::detail
