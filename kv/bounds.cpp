// Mailboxes with a limit.
#include <stdexcept>

#include <kv/detail/caller.hpp>
#include <kv/detail/visit.hpp>

#include "unwind_path.hpp"

namespace kv::detail {

namespace {

/// Comes back to a sender when there may be room for what it wants to send.
class room_request final : public request {
 public:
  const std::type_info& type() const noexcept override { return typeid(room_request); }
  void run(void*) override {}
};

/// What counts: messages that somebody sent. Signals and answers always get in, and who is given a table is told so.
bool is_bounded(const message& what) noexcept {
  if (what.is_exempt) return false;
  if (what.kind == message_kind::request) return !static_cast<const request&>(what).answered;
  return what.kind != message_kind::signal;
}

}  // namespace

void core::limit_mailbox(process& p, std::uint32_t limit, when_full how) {
  if (limit == 0) throw std::invalid_argument("limit_mailbox: the limit is 0; at least 1 message must have room");
  if (!p.bound) p.bound = std::make_unique<mailbox_bound>();
  p.bound->open(p.id().generation, limit, how);
  // Release: publishes the bound to try_deliver().
  p.is_bounded.store(true, std::memory_order_release);
}

core::delivery core::count(process& p, message& what) noexcept {
  if (!is_bounded(what)) return delivery::done;
  switch (p.bound->enter(what.generation)) {
    case mailbox_bound::entry::dead: return delivery::dead;
    case mailbox_bound::entry::full: return delivery::full;
    case mailbox_bound::entry::counted: break;
  }
  what.is_counted = true;
  return delivery::done;
}

void core::make_room(process& p) noexcept { answer_all(p.bound->leave(p.id().generation)); }

void core::answer_all(message* first) noexcept {
  while (first != nullptr) {
    message_ptr waiting(std::exchange(first, first->next));
    answer(std::move(waiting), nullptr);
  }
}

/// A message found no room and nobody waits for it to have some.
void core::drop(pid to) noexcept {
  const auto* const p = find(to);
  if (p == nullptr || !p->bound->drop()) return;
  report_if_possible([&] {
    return overload_report{.who = to, .name = name_of(to), .type = class_name(*p), .limit = p->bound->limit()};
  });
}

void core::send_to_full(pid to, message_ptr what) {
  for (;;) {
    {
      const crossing there(to);
      const auto* const p = there.is_open() ? find(to) : nullptr;
      if (p == nullptr) return;
      if (p->bound->how() == when_full::drop) return drop(to);
    }
    const bool may_have_room = await_room(to);
    const crossing there(to);  // this runtime may have ended while the process of another waited
    if (!there.is_open()) return;
    if (!may_have_room) return drop(to);
    if (try_deliver(to, what, executor::urgency::soon) != delivery::full) return;
  }
}

void core::send_from_elsewhere(pid to, message_ptr what) {
  {
    const crossing there(to);
    if (!there.is_open() || try_deliver(to, what, executor::urgency::soon) != delivery::full) return;
  }
  send_to_full(to, std::move(what));
}

/// False when the sender must not wait.
bool core::await_room(pid to) {
  if (current_process != nullptr && current_process->id() == to) {
    // It would wait for itself. What a process has left in its mailbox when it ends is dropped, too.
    if (current_process->must_exit() || !can_unwind_from_here()) return false;
    throw call_error(call_error::code::overloaded, to);
  }
  const caller who(waits_at("send to a full mailbox"));
  auto& self = who.self();
  suspension waiting{.awaited = ++self.refs_given, .callee = to};
  auto wish = std::make_unique<room_request>();
  wish->caller = self.id();
  wish->ref = waiting.awaited;
  {
    const crossing there(to);
    auto* const p = there.is_open() ? find(to) : nullptr;
    if (p == nullptr || p->bound->wait(to.generation, std::move(wish))) return true;
  }
  while (!waiting.reply) {
    if (!self.home->wait(self, waiting, time_point::max()) && !waiting.reply) return false;
  }
  return true;
}

}  // namespace kv::detail
