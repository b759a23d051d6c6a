#include "event_tickets.hpp"

#include <cassert>

namespace kv::detail {

void publisher::answer(const std::exception_ptr& failure) noexcept {
  if (caller_) {
    if (failure) {
      caller_->refuse(exit_reason::error(failure));
    } else {
      caller_->reply();
    }
  } else if (receipt_) {
    receipt_->as<event_receipt>()->is_complete = !failure;
    this_process().home->deliver(who_, std::move(receipt_));
  }
}

/// Throws std::bad_alloc, and then `whose` has not been moved: a map makes the node first, and nothing fails after that.
std::uint64_t event_tickets::open(publisher& whose) {
  tickets_.emplace_hint(tickets_.end(), last_ + 1, std::move(whose));
  return ++last_;
}

void event_tickets::owe(debts& whose, std::uint64_t number, time_point now) {
  const auto found = tickets_.find(number);
  assert(found != tickets_.end());
  if (whose.tickets.empty()) whose.since = now;
  whose.tickets.push_back(number);
  ++found->second.left;
}

void event_tickets::take_back(debts& whose) {
  const auto number = whose.tickets.back();
  whose.tickets.pop_back();
  count_down(number);
}

void event_tickets::fail(std::uint64_t number, const std::exception_ptr& why) noexcept {
  const auto found = tickets_.find(number);
  if (found != tickets_.end() && !found->second.failure) found->second.failure = why;
}

void event_tickets::pay(debts& whose, std::uint64_t number) noexcept {
  // A late one, of an earlier manager's event, pays nothing.
  if (whose.tickets.empty() || whose.tickets.front() != number) return;
  whose.tickets.pop_front();
  count_down(number);
}

void event_tickets::forgive(debts& whose, const std::exception_ptr& why) noexcept {
  for (; !whose.tickets.empty(); whose.tickets.pop_front()) {
    if (why) fail(whose.tickets.front(), why);
    count_down(whose.tickets.front());
  }
}

void event_tickets::count_down(std::uint64_t number) noexcept {
  const auto found = tickets_.find(number);
  if (found == tickets_.end() || --found->second.left > 0) return;
  auto node = tickets_.extract(found);
  node.mapped().whose.answer(node.mapped().failure);
}

}  // namespace kv::detail
