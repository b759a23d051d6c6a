// The event manager. Its truth is the table: what it keeps besides can be built again from the rows.
#include <kv/events.hpp>

#include <utility>

#include "event_handlers.hpp"

namespace kv::detail {

struct event_manager::inside {
  event_handlers handlers;
};

event_manager::event_manager(std::string name, subscriptions rows, event_manager_options options)
    : inside_(new inside{{std::move(name), std::move(rows), options.handler_deadline}}) {
  inside_->handlers.attach_rows();
  auto& home = *this_process().home;
  const auto waiting = options.greet.empty() ? std::nullopt : whereis(options.greet);
  // Not as users send: that one's mailbox may be full.
  if (waiting)
    home.deliver(*waiting, std::make_unique<letter_of<event_manager_started>>(event_manager_started{self()}));
}

event_manager::~event_manager() = default;

void event_manager::notify(const event_body& event) { inside_->handlers.notify(event); }

void event_manager::sync_notify(from<void> caller, const event_body& event) {
  publisher whose(std::move(caller));
  if (const auto failure = failure_of([&] { inside_->handlers.notify(event, whose); })) whose.answer(failure);
}

void event_manager::notify_with_receipt(const event_body& event, pid who, receipt_letter receipt) {
  publisher whose(who, std::move(receipt));
  if (const auto failure = failure_of([&] { inside_->handlers.notify(event, whose); })) whose.answer(failure);
}

added_handler event_manager::add(subscription what) {
  added_handler result;
  result.failure = failure_of([&] { result.id = inside_->handlers.add(std::move(what)); });
  return result;
}

void event_manager::remove(from<bool> caller, std::uint64_t id) {
  const auto failure = failure_of([&] { inside_->handlers.remove(caller, id); });
  if (failure) caller.refuse(exit_reason::error(failure));
}

std::size_t event_manager::count() const { return inside_->handlers.size(); }

void event_manager::handle(const handled& news) { inside_->handlers.is_through(news); }

void event_manager::handle(const deadline_check&) { inside_->handlers.check_deadlines(); }

void event_manager::handle(const detail::attach_again&) { inside_->handlers.attach_again(); }

void event_manager::handle(const removal_due& which) { inside_->handlers.stop_awaiting(which.handler); }

void event_manager::handle(const down& news) {
  if (!inside_->handlers.lost(news)) return;                        // of a monitor of another's
  if (!inside_->handlers.has_table()) exit(exit_reason::shutdown);  // what owned the subscriptions is gone: all is over
}

}  // namespace kv::detail

namespace kv {

pid start_event_manager(const std::string& name, const subscription_table& rows, const event_manager_options& options) {
  return spawn_link_named<detail::event_manager>(name, name, rows, options);
}

}  // namespace kv
