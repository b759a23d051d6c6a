// How an event gets to the handlers of a manager, and how long they may take.
#include <algorithm>
#include <stdexcept>

#include <kv/report.hpp>

#include "event_handlers.hpp"

namespace kv::detail {

namespace {

std::exception_ptr ended_by_itself(const exit_reason& why) noexcept {
  try {
    return std::make_exception_ptr(std::runtime_error("it ended its process: " + to_string(why)));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

void event_handlers::notify(const event_body& event) { tell(delivery{event, self(), 0}); }

void event_handlers::notify(const event_body& event, publisher& whose) {
  now_ = home_.exec().now();
  const auto ticket = tickets_.open(whose);
  if (lacks_handlers()) tickets_.fail(ticket, std::make_exception_ptr(std::bad_alloc()));
  tell(delivery{event, self(), ticket});
  tickets_.seal(ticket);
}

/// A handler that cannot be told is left out: all others are told, whatever happens. None comes or goes meanwhile,
/// because what runs here of a client's is a leaf that cannot wait.
void event_handlers::tell(const delivery& d) noexcept {
  event_guest guest(home_);
  bool any_failed = false;
  for (auto& [id, entry] : handlers_) {
    pass_on(id, entry, d, guest);
    any_failed = any_failed || entry.failure;
  }
  guest.leave();
  if (any_failed) detach_failed();
}

void event_handlers::pass_on(std::uint64_t id, attached& entry, const delivery& d, event_guest& guest) noexcept {
  const auto failure = failure_of([&] { entry.runner ? hand_over(id, entry, d) : forward(entry, d, guest); });
  if (failure) missed(entry, d, failure);
}

void event_handlers::hand_over(std::uint64_t id, attached& entry, const delivery& d) {
  auto answer = d.ticket == 0 ? nullptr : std::make_unique<letter_of<handled>>(handled{id, d.ticket});
  message_ptr letter = std::make_unique<letter_of<delivery>>(delivery{d.event, d.manager, d.ticket, std::move(answer)});
  if (d.ticket != 0) {
    if (!entry.owed->has_entry) deadlines_.add({core::deadline_after(deadline_, now_), id});
    entry.owed->has_entry = true;
    tickets_.owe(*entry.owed, d.ticket, now_);
    if (!alarm_.is_on()) arm();
  }
  const bool is_told = home_.deliver(entry.runner, std::move(letter));
  if (!is_told && d.ticket != 0) tickets_.take_back(*entry.owed);  // its `down` is on its way
}

/// Throws why the event could not be passed on; a fault of the filter's stays in the entry.
void event_handlers::forward(attached& entry, const delivery& d, event_guest& guest) {
  std::exception_ptr why;
  if (!entry.what->has_user_code()) {
    why = entry.what->hear(d.event);
  } else {
    guest.enter();
    try {
      why = guest.run([&] { return entry.what->hear(d.event); });
    } catch (...) {
      entry.failure = std::current_exception();  // also `unwind`, which is the guest's and not this process's
    }
    if (const auto end = guest.ended()) {
      entry.failure = ended_by_itself(*end);
      guest.leave();
    }
  }
  if (why) std::rethrow_exception(why);
}

void event_handlers::missed(const attached& entry, const delivery& d, const std::exception_ptr& why) noexcept {
  tickets_.fail(d.ticket, why);
  home_.report_if_possible([&] {
    return oddity_report{self(), "handler " + entry.label + " of " + name_ + " has missed an event: " + to_text(why)};
  });
}

void event_handlers::detach_failed() noexcept {
  for (auto next = handlers_.begin(); next != handlers_.end();) {
    const auto& [id, entry] = *next++;
    if (const auto failure = entry.failure) set_aside(id, parting::dead, [&] { return to_text(failure); });
  }
}

// Deadlines ------------------------------------------------------------------------------------------------------

void event_handlers::is_through(const handled& news) {
  const auto found = handlers_.find(news.handler);
  if (found != handlers_.end() && found->second.owed) tickets_.pay(*found->second.owed, news.ticket);
}

/// What is added is due after all that is there, so this is called when that is looked at, and for the first.
void event_handlers::arm() noexcept {
  const auto next = deadlines_.next();
  next == time_point::max() ? alarm_.turn_off() : alarm_.turn_on_at(next);
}

/// Moves each handler on to where its deadline is now: from its last progress, or since it owes if that is later.
void event_handlers::check_deadlines() {
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
      set_aside(*id, parting::hanging, [] { return "it did not return in time"; });
    }
  }
  arm();
}

}  // namespace kv::detail
