// The life of a message inside its receiver.
#include <cassert>

#include <kv/detail/core.hpp>

namespace kv::detail {

// Turns ----------------------------------------------------------------------------------------------------------

void core::run(process& p) noexcept {
  const run_as as(p);
  auto left = executor_->turn_length();
  for (;;) {
    if (p.mailbox.has_messages()) drain(p);
    if (p.must_exit) return finish(p);
    if (p.queue.empty() || p.is_suspended) {
      if (p.needs_settling) note_idle(p);
      if (p.mailbox.try_release()) return;
    } else if (left-- == 0) {
      return executor_->ready(p, executor::urgency::soon);
    } else {
      handle_message(p, p.queue.pop());
    }
  }
}

const message* core::peek(process& p) noexcept {
  drain(p);
  return p.must_exit || p.is_suspended ? nullptr : p.queue.front();
}

void core::run_on_thread(process& p, action& start) noexcept {
  const run_as as(p);
  p.is_starting = false;
  p.handles(&start.type());
  std::exception_ptr failure;
  try {
    const callback here(*this, p);
    start.run(nullptr);
  } catch (const unwind&) {
  } catch (...) {
    failure = std::current_exception();
  }
  fail_with(p, failure);
  finish(p);
}

/// An exception, if there was one, ends the process; the first reason counts.
void core::fail_with(process& p, const std::exception_ptr& failure) noexcept {
  if (!failure || p.must_exit) return;
  p.crashed = true;
  p.end_with(exit_reason::error(failure));
}

void core::settle(process& p) noexcept {
  if (p.must_exit) {
    const run_as as(p);
    return finish(p);
  }
  if (p.queue.empty() && p.needs_settling) {
    note_idle(p);
    if (p.mailbox.try_release()) return;
  }
  executor_->ready(p, executor::urgency::soon);
}

bool core::claim_soon(process& p) noexcept {
  for (auto tries = executor_->patience(); tries > 0; --tries) {
    if (p.mailbox.looks_idle() && p.mailbox.try_claim()) return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  return false;
}

/// Gives back the claim of a process that turned out to be another one than the caller meant.
void core::put_back(process& p) noexcept {
  if (p.waiting == nullptr) return release(p);
  // Its deadline may have passed meanwhile, and have been left to whoever holds the claim: let it look for itself.
  executor_->ready(p, executor::urgency::soon);
}

void core::fail_inline(process& p, std::exception_ptr why) {
  const auto id = p.id();
  fail_with(p, why);
  const auto reason = p.reason;
  {
    const run_as as(p);
    finish(p);
  }
  throw call_error(call_error::code::exited, id, reason);
}

void core::handle_message(process& p, message_ptr what) noexcept {
  if (p.state != nullptr) taken(p, *what);  // else it is the start
  p.current = std::move(what);
  const auto* const outer = p.handles(&p.current->type());
  observe(p, p.is_starting ? step::kind::constructs : step::kind::handles, &p.current->type());
  std::exception_ptr failure;
  bool has_returned = false;
  try {
    const callback here(*this, p);
    dispatch(p, *p.current);
    has_returned = true;
  } catch (const unwind&) {
    assert(p.must_exit);
  } catch (...) {
    failure = std::current_exception();
  }
  // Outside the catch block: telling others switches fibers, and the exception belongs to this one.
  fail_with(p, failure);
  if (has_returned && p.is_unwinding) report_swallowed(p);
  if (p.must_exit) return;  // finish() answers the caller, once the process counts as dead
  p.handles(outer);
  p.is_starting = false;
  auto done = std::move(p.current);
  if (done && done->kind == message_kind::request) answer(std::move(done), nullptr);
}

void core::dispatch(process& p, message& what) {
  if (what.kind == message_kind::letter) return deliver_letter(p, static_cast<letter&>(what));
  if (!p.is_starting) return static_cast<action&>(what).run(p.state);  // for a function, null
  static_cast<action&>(what).run(p.body.get());
  p.state = p.body->state();
}

void core::deliver_letter(process& p, letter& what) {
  const auto* const exit = what.as<exit_signal>();
  const bool is_handled = what.deliver(p.state) || p.body->handle(what);
  if (exit != nullptr && (!exit->from || exit->from == p.parent)) {
    // As gen_server: whoever does not handle exits ends with its parent, and nobody outlives it. The runtime is the
    // parent of all roots.
    if (!is_handled || (exit->from && find(exit->from) == nullptr)) return p.end_with(exit->reason);
  }
  if (is_handled) return;
  report_now(unhandled_report{p.id(), type_name(p.body->type()), type_name(what.type())});
}

// Arrivals -------------------------------------------------------------------------------------------------------

void core::drain(process& p) noexcept {
  for (auto* node = p.mailbox.take_all(); node != nullptr;) {
    message_ptr what(std::exchange(node, node->next));
    accept(p, std::move(what));
  }
}

void core::accept(process& p, message_ptr what) noexcept {
  const auto id = p.id();
  if (what->generation != id.generation) {
    // It was meant for the process that lived here before and died while this was being pushed.
    const pid meant{id.slot, what->generation, id.node};
    return bounce(meant, std::move(what), exit_reason::noproc);
  }
  if (what->kind == message_kind::signal) {
    return obey(p, static_cast<signal&>(*what));
  }
  if (what->kind == message_kind::request && static_cast<request&>(*what).answered) {
    return accept_reply(p, std::move(what));
  }
  if (what->is_addressed && !has_alias(p, static_cast<letter&>(*what).alias())) return has_left(p, *what);
  p.queue.push(std::move(what));
}

/// A reply that is late, or that nobody wants any more, is dropped.
void core::accept_reply(process& p, message_ptr what) noexcept {
  const auto& reply = static_cast<request&>(*what);
  if (!reply.is_kept) {
    if (p.waiting != nullptr && p.waiting->awaited == reply.ref) p.waiting->reply = std::move(what);
  } else if (auto* const own = p.business_if_any()) {
    if (const auto row = own->replies.find(reply.ref); row != own->replies.end()) row->second = std::move(what);
  }
}

bool core::has_alias(const process& p, std::uint64_t alias) noexcept {
  const auto* const own = p.business_if_any();
  return own != nullptr && own->aliases.contains(alias);
}

void core::obey(process& p, signal& what) noexcept {
  if (is_simulated_) [[unlikely]] {
    executor_->observe({.who = p.id(),
                        .what = step::kind::obeys,
                        .other = what.from,
                        .operation = what.operation,
                        .reason = what.reason});
  }
  try {
    apply(p, what);
  } catch (...) {
    p.end_with(exit_reason::error(std::current_exception()));  // out of memory: this process's problem alone
  }
}

void core::apply(process& p, signal& what) {
  switch (what.operation) {
    case signal::op::exit:
      // Only a signal that somebody sent can kill; a link that passes on the word `kill` cannot.
      if (what.reason.what() == exit_reason::kind::kill) return apply_kill(p, what.from);
      return apply_exit(p, what.from, what.reason);
    case signal::op::link: p.ties().links.insert(what.from); return;
    case signal::op::unlink: p.ties().links.erase(what.from); return;
    case signal::op::link_exit:
      // Whoever has unlinked in the meantime must not hear of it.
      if (p.bonds && p.bonds->links.erase(what.from)) apply_exit(p, what.from, what.reason);
      return;
    case signal::op::monitor: p.ties().watchers.insert({what.from, what.ref}); return;
    case signal::op::demonitor: p.ties().watchers.erase({what.from, what.ref}); return;
    case signal::op::down: return apply_down(p, what);
    case signal::op::idle_check: return check_idle(p);
    case signal::op::forget_reply: {
      if (auto* const own = p.business_if_any()) own->replies.erase(what.ref.id);
      return;
    }
    case signal::op::resume: p.is_suspended = false; return;
  }
}

void core::apply_down(process& p, signal& what) {
  auto* const own = p.business_if_any();
  if (own == nullptr) return;
  const auto row = own->monitoring.find(what.ref.id);
  if (row == own->monitoring.end()) return;  // demonitored
  down news{what.from, what.reason, what.ref, std::move(row->second.tag)};
  own->monitoring.erase(row);
  p.queue.push(std::make_unique<letter_of<down>>(std::move(news)));
}

void core::apply_kill(process& p, pid from) {
  if (p.is_stand_in) return apply_exit(p, from, exit_reason::killed);
  if (!p.is_ending) end_as_told(p, exit_reason::killed);
}

void core::apply_exit(process& p, pid from, const exit_reason& why) {
  if (p.is_ending) return;
  // Also to on_exit(), in which a supervisor waits for its children to end.
  if (p.traps_exits) return p.queue.push(std::make_unique<letter_of<exit_signal>>(exit_signal{from, why}));
  if (p.is_leaving) return;
  if (why.what() == exit_reason::kind::normal && from != p.id()) return;
  end_as_told(p, why);
}

void core::end_as_told(process& p, const exit_reason& why) {
  if (!p.must_exit) p.was_told = true;
  p.end_with(why);
}

// Answers --------------------------------------------------------------------------------------------------------

void core::answer(message_ptr what, const exit_reason* failure) noexcept {
  auto& call = static_cast<request&>(*what);
  call.answered = true;
  if (failure != nullptr) {
    call.failed = true;
    call.failure = *failure;
  }
  call.caller_core->deliver(call.caller, std::move(what), executor::urgency::handoff);
}

void core::bounce(pid to, message_ptr what, const exit_reason& why) noexcept {
  if (what->kind == message_kind::request && !static_cast<request&>(*what).answered) {
    return answer(std::move(what), &why);
  }
  if (what->kind != message_kind::signal) return;
  const auto& lost = static_cast<const signal&>(*what);
  if (lost.operation == signal::op::link) send_signal(lost.from, signal::op::link_exit, to, why);
  if (lost.operation == signal::op::monitor) send_signal(lost.from, signal::op::down, to, why, lost.ref);
}

}  // namespace kv::detail
