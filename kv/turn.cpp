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
    if (p.must_exit()) return finish(p);
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
  return p.must_exit() || p.is_suspended ? nullptr : p.queue.front();
}

void core::run_on_thread(process& p, std::unique_ptr<action> start) noexcept {
  const run_as as(p);
  p.life.store(stage::running, std::memory_order_relaxed);
  p.handles(&start->type());
  std::exception_ptr failure;
  try {
    const callback here(*this, p);
    start->run(nullptr);
  } catch (const unwind&) {
  } catch (...) {
    failure = std::current_exception();
  }
  fail_with(p, failure);
  start.reset();  // while it can still send
  finish(p);
}

/// An exception, if there was one, ends the process; the first reason counts.
void core::fail_with(process& p, const std::exception_ptr& failure) noexcept {
  if (failure) p.end_with(exit_reason::error(failure), end_cause::crashed);
}

void core::settle(process& p) noexcept {
  if (p.must_exit()) {
    const run_as as(p);
    return finish(p);
  }
  if (p.queue.empty() && p.needs_settling) {
    note_idle(p);
    if (p.mailbox.try_release()) return;
  }
  executor_->ready(p, executor::urgency::soon);
}

bool core::claim_soon(process& p, std::uint32_t generation) noexcept {
  for (auto tries = executor_->patience(); tries > 0; --tries) {
    if (p.mailbox.looks_idle() && p.mailbox.try_claim(generation)) return true;
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
  if (p.is_disposer) [[unlikely]]
    return destroy(p, std::move(what));
  if (p.state != nullptr) taken(p, *what);  // else it is the start
  p.current = std::move(what);
  const auto* const outer = p.handles(&p.current->type());
  observe(p, p.is_starting() ? step::kind::constructs : step::kind::handles, &p.current->type());
  std::exception_ptr failure;
  bool has_returned = false;
  try {
    const callback here(*this, p);
    dispatch(p, *p.current);
    has_returned = true;
  } catch (const unwind&) {
    assert(p.must_exit());
  } catch (...) {
    failure = std::current_exception();
  }
  // Outside the catch block: telling others switches fibers, and the exception belongs to this one.
  fail_with(p, failure);
  if (has_returned && p.unwound == unwinding::thrown) report_swallowed(p);
  if (p.must_exit()) return;  // finish() answers the caller, once the process counts as dead
  p.handles(outer);
  if (p.is_starting()) p.life.store(stage::running, std::memory_order_relaxed);
  auto done = std::move(p.current);
  if (done && done->kind == message_kind::request) answer(std::move(done), nullptr);
}

/// The process destroys what it does not handle.
void core::destroy(process& p, message_ptr what) noexcept {
  const auto* const outer = p.handles(&what->type());
  const callback here(*this, p);
  what.reset();
  p.handles(outer);
}

void core::dispatch(process& p, message& what) {
  if (what.kind == message_kind::letter) return deliver_letter(p, static_cast<letter&>(what));
  if (!p.is_starting()) return static_cast<action&>(what).run(p.state);  // for a function, null
  static_cast<action&>(what).run(p.body.get());
  p.state = p.body->state();
}

/// Makes the content of a letter that is made late. False when that threw, which is no fault of the receiver's: then the
/// letter is to be dropped, and has been reported.
bool core::make_ready(process& p, letter& what) {
  if (!what.is_made_late) return true;
  try {
    what.body();
    return true;
  } catch (const unwind&) {
    throw;
  } catch (...) {
    const auto why = exit_reason::error(std::current_exception());
    report_if_possible([&] {
      return oddity_report{p.id(), "does not get " + type_name(what.type()) + ": copying it threw: " + to_string(why)};
    });
    return false;
  }
}

void core::deliver_letter(process& p, letter& what) {
  if (!make_ready(p, what)) return;
  const auto* const exit = what.as<exit_signal>();
  const bool is_handled = what.deliver(p.state) || p.body->handle(what);
  if (exit != nullptr && (exit->from == p.parent || exit->from == own_name())) {
    // As gen_server: whoever does not handle exits ends with its parent, and nobody outlives it. A plain thread, which
    // sends as nobody, is the parent of what no process started, and of nothing else; the runtime that ends, of all.
    if (!is_handled || (exit->from && find(exit->from) == nullptr)) return p.end_with(exit->reason);
  }
  if (is_handled) return;
  report_if_possible([&] { return unhandled_report{p.id(), type_name(p.body->type()), type_name(what.type())}; });
}

// Arrivals -------------------------------------------------------------------------------------------------------

void core::drain(process& p) noexcept {
  for (auto* node = p.mailbox.take_all(); node != nullptr;) {
    message_ptr what(std::exchange(node, node->next));
    accept(p, std::move(what));
  }
}

/// No user's code runs here, because more may come while it did: what nobody takes is discarded.
void core::accept(process& p, message_ptr what) noexcept {
  const auto id = p.id();
  if (what->generation != id.generation) {
    // It was meant for a process that lived here 65,536 deaths ago.
    const pid meant{id.slot, what->generation, id.node};
    return bounce(meant, std::move(what), exit_reason::noproc);
  }
  if (what->kind == message_kind::signal) {
    return obey(p, std::unique_ptr<signal>(static_cast<signal*>(what.release())));
  }
  if (p.is_disposer) return p.queue.push(std::move(what));
  if (what->kind == message_kind::request && static_cast<request&>(*what).answered) {
    return accept_reply(p, std::move(what));
  }
  if (what->is_addressed && !has_alias(p, static_cast<letter&>(*what).alias())) {
    has_left(p, *what);
    return discard(std::move(what));
  }
  p.queue.push(std::move(what));
}

/// A reply that is late, or that nobody wants any more, is discarded.
void core::accept_reply(process& p, message_ptr what) noexcept {
  const auto& reply = static_cast<request&>(*what);
  if (!reply.is_kept) {
    if (p.waiting != nullptr && p.waiting->awaited == reply.ref) {
      p.waiting->reply = std::move(what);
      return;
    }
  } else if (auto* const own = p.business_if_any()) {
    if (const auto row = own->replies.find(reply.ref); row != own->replies.end()) {
      row->second = std::move(what);
      return;
    }
  }
  discard(std::move(what));
}

bool core::has_alias(const process& p, std::uint64_t alias) noexcept {
  const auto* const own = p.business_if_any();
  return own != nullptr && own->aliases.contains(alias);
}

void core::obey(process& p, std::unique_ptr<signal> what) noexcept {
  if (is_simulated_) [[unlikely]] {
    executor_->observe({.who = p.id(),
                        .what = step::kind::obeys,
                        .other = what->from(),
                        .operation = what->operation,
                        .reason = what->reason()});
  }
  const bool ties = what->operation == signal::op::link || what->operation == signal::op::monitor;
  if (ties && !has_room_for_ties(p)) return bounce(p.id(), std::move(what), exit_reason::out_of_memory());
  apply(p, std::move(what));
}

/// Without memory for a tie, it is as if the process had died for whom it was to be tied to.
bool core::has_room_for_ties(process& p) noexcept {
  try {
    p.ties();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void core::apply(process& p, std::unique_ptr<signal> what) noexcept {
  const auto as_exit = [&] { return std::unique_ptr<exit_notice>(static_cast<exit_notice*>(what.release())); };
  const auto as_down = [&] { return std::unique_ptr<down_notice>(static_cast<down_notice*>(what.release())); };
  const auto number = [&] { return static_cast<const control_signal&>(*what).number; };
  switch (what->operation) {
    case signal::op::exit: return apply_exit(p, as_exit());
    case signal::op::link: return apply_link(p, as_exit());
    case signal::op::unlink: return apply_unlink(p, what->from(), static_cast<std::uint32_t>(number()));
    case signal::op::link_exit:
      // Whoever has unlinked in the meantime must not hear of it.
      if (p.bonds && p.bonds->links.take(what->from())) apply_exit(p, as_exit());
      return;
    case signal::op::monitor: p.bonds->watchers.insert(as_down()); return;
    case signal::op::demonitor:
      if (p.bonds) p.bonds->watchers.take({what->from(), monitor_ref{number()}});
      return;
    case signal::op::down: return apply_down(p, as_down());
    case signal::op::idle_check: return check_idle(p);
    case signal::op::forget_reply: return forget(p, number());
    case signal::op::resume: p.is_suspended = false; return;
  }
}

/// Two processes may link and unlink each other at once, so a signal that unlinks can come to a link that its sender did not
/// know of. Each request to link has a number, and who unlinks says which was the last that it had seen.
void core::apply_link(process& p, std::unique_ptr<exit_notice> what) noexcept {
  const auto number = std::exchange(what->asked, 0);
  const auto from = what->from();
  p.bonds->links.insert(std::move(what));  // unless there is one
  p.bonds->links.find(from)->seen = number;
}

/// Of the link that the sender knew: a request of this process that it had not seen yet makes a new one.
void core::apply_unlink(process& p, pid from, std::uint32_t seen) noexcept {
  const auto* const mine = p.bonds ? p.bonds->links.find(from) : nullptr;
  if (mine == nullptr || static_cast<std::int32_t>(mine->asked - seen) > 0) return;
  p.bonds->links.take(from);
}

/// The answer to that request is not wanted any more; it may have come.
void core::forget(process& p, std::uint64_t request) noexcept {
  auto* const own = p.business_if_any();
  if (own == nullptr) return;
  const auto row = own->replies.find(request);
  if (row == own->replies.end()) return;
  discard(std::move(row->second));
  own->replies.erase(row);
}

void core::apply_down(process& p, std::unique_ptr<down_notice> what) noexcept {
  auto* const own = p.business_if_any();
  if (own == nullptr || own->monitoring.erase(what->news.ref.id) == 0) return;  // demonitored
  what->present();
  p.queue.push(std::move(what));
}

void core::apply_exit(process& p, std::unique_ptr<exit_notice> what) noexcept {
  auto& [from, why] = what->news;
  if (p.is_ending()) return;
  // Only a signal that somebody sent can kill; a link that passes on the word `kill` cannot.
  if (what->operation == signal::op::exit && why.what() == exit_reason::kind::kill) {
    why = exit_reason::killed;
    if (!p.is_stand_in) return end_as_told(p, why);
  }
  // Also to on_exit(), in which a supervisor waits for its children to end.
  if (p.traps_exits) {
    what->present();
    return p.queue.push(std::move(what));
  }
  if (p.is_leaving()) return;
  if (why.what() == exit_reason::kind::normal && from != p.id()) return;
  end_as_told(p, why);
}

void core::end_as_told(process& p, const exit_reason& why) { p.end_with(why, end_cause::told); }

// Answers --------------------------------------------------------------------------------------------------------

/// Nobody can take the message: tells its sender, if that has to be told.
void core::bounce(pid to, message_ptr what, const exit_reason& why) noexcept {
  if (what->kind == message_kind::request && !static_cast<request&>(*what).answered) {
    return answer(std::move(what), &why);
  }
  if (what->kind != message_kind::signal) return discard(std::move(what));
  const auto operation = static_cast<const signal&>(*what).operation;
  if (operation == signal::op::link) {
    std::unique_ptr<exit_notice> tie(static_cast<exit_notice*>(what.release()));
    send_back(std::move(tie), signal::op::link_exit, to, why);
  } else if (operation == signal::op::monitor) {
    std::unique_ptr<down_notice> tie(static_cast<down_notice*>(what.release()));
    send_back(std::move(tie), signal::op::down, to, why);
  }
}

}  // namespace kv::detail
