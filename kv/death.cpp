// The death of a process.
//
// The order is what others rely on:
//   1. the crash is reported and the state destroyed, with what waits for it, while the process can still send;
//   2. the generation moves on: from here everybody who asks is told noproc, and nothing new can be given to it;
//   3. its names are free and its tables moved or dropped, before anybody learns of the death;
//   4. the mailbox is closed and the slot free for somebody else: before anybody learns of the death, too, so that what
//      he starts then has the same pid on every run;
//   5. links are told, then monitors: after everything it sent, because that is what their owners may rely on;
//   6. whoever waits for an answer gets the reason. Last, so that he who learns of the death by his call can ask a
//      watcher, whose `down` stands before his question.
#include <new>

#include <kv/detail/allocation.hpp>
#include <kv/detail/core.hpp>
#include <kv/detail/table_directory.hpp>

#include "names.hpp"
#include "timer_queue.hpp"

namespace kv::detail {

void core::finish(process& p) noexcept {
  const reliable_memory here;  // of whoever made the call in which it ended
  const auto id = p.id();
  if (p.crashed && !p.is_starting) report_crash(p);
  if (!p.was_told && !p.is_starting && p.body && p.body->has_last_words()) say_last_words(p);
  const auto why = p.reason;
  p.is_ending = true;
  if (is_simulated_) [[unlikely]]
    executor_->observe({.who = id, .what = step::kind::ends, .reason = why});
  p.body.reset();
  drain(p);
  drop_all_but_requests(p);
  const auto bonds = std::move(p.bonds);
  // A failed start is told by start_error alone.
  if (bonds && p.is_starting) {
    bonds->links.erase(p.parent);
    bonds->watchers.erase_if([&](const watcher& w) { return w.who == p.parent; });
  }

  // Release pairs with the acquire in find(); sequentially consistent because of has_names and has_tables.
  p.generation.store(id.generation + 1);
  if (p.has_names.load()) names_->forget(id);
  if (p.has_tables.load()) tables_->owner_died(id);
  if (p.has_timers.load()) timers_->forget(id);

  message_queue unanswered;
  if (p.current) unanswered.push(std::move(p.current));
  while (auto waiting = p.queue.pop()) unanswered.push(std::move(waiting));
  for (auto* node = p.mailbox.close(); node != nullptr;) {
    message_ptr what(std::exchange(node, node->next));
    unanswered.push(std::move(what));
  }
  auto* const senders = p.is_bounded.load(std::memory_order_relaxed) ? p.bound->close() : nullptr;
  const bool counted = !p.is_stand_in;
  clear(p);

  if (bonds) tell_the_bereaved(id, *bonds, why);
  while (auto waiting = unanswered.pop()) bounce(id, std::move(waiting), why);
  answer_all(senders);
  if (!counted) return;
  // Under the lock, so that shut_down cannot see zero, return and destroy the condition variable before notify_all.
  const std::lock_guard lock(idle_mutex_);
  if (live_.fetch_sub(1, std::memory_order_relaxed) == 1) last_ended_.notify_all();
}

/// The state's on_exit() may wait like any other callback. Only a kill, or an exception of its own, can change the
/// reason any more.
void core::say_last_words(process& p) noexcept {
  const auto reason = std::exchange(p.reason, {});
  p.must_exit = p.crashed = p.is_unwinding = false;
  p.is_leaving = true;
  std::exception_ptr failure;
  try {
    const callback here(*this, p);
    p.body->on_exit(reason);
  } catch (const unwind&) {
  } catch (...) {
    failure = std::current_exception();
  }
  fail_with(p, failure);
  if (p.crashed) report_crash(p);
  p.end_with(reason);
}

/// What a function has captured and what was sent is destroyed with the state, and may send, too.
void core::drop_all_but_requests(process& p) noexcept {
  const auto is_request = [](const message& m) { return m.kind == message_kind::request; };
  if (p.current && !is_request(*p.current)) p.current.reset();
  message_queue requests;
  while (auto what = p.queue.pop()) {
    if (is_request(*what)) requests.push(std::move(what));
  }
  while (auto what = requests.pop()) p.queue.push(std::move(what));
}

void core::report_crash(const process& p) const noexcept {
  const auto* const message = p.running.load(std::memory_order_relaxed);
  try {
    report_now(crash_report{.who = p.id(),
                            .name = p.has_names.load() ? name_of(p.id()) : "",
                            .type = type_name(p.body->type()),
                            .last_message = message != nullptr ? type_name(*message) : "",
                            .reason = p.reason});
  } catch (const std::bad_alloc&) {
    // It may have ended for want of memory, and then there is none to say so.
  }
}

void core::tell_the_bereaved(pid who, const relations& bonds, const exit_reason& why) noexcept {
  bonds.links.for_each([&](pid peer) { send_signal(peer, signal::op::link_exit, who, why); });
  bonds.watchers.for_each([&](const watcher& w) { send_signal(w.who, signal::op::down, who, why, w.ref); });
  if (!bonds.own) return;
  for (const auto& [ref, watched] : bonds.own->monitoring) {
    tie(watched.target, std::make_unique<signal>(signal::op::demonitor, who, exit_reason{}, monitor_ref{ref}));
  }
}

void core::clear(process& p) noexcept {
  p.is_leaf.store(false, std::memory_order_relaxed);
  p.is_bounded.store(false, std::memory_order_relaxed);
  p.has_thread = p.is_stand_in = p.must_exit = p.needs_settling = p.traps_exits = p.is_suspended = false;
  p.is_starting = p.is_leaving = p.is_ending = p.crashed = p.was_told = p.is_unwinding = p.has_swallowed = false;
  p.state = nullptr;
  p.running.store(nullptr, std::memory_order_relaxed);
  p.handled.store(0, std::memory_order_relaxed);
  p.restarts = 0;
  p.reason = {};
  p.parent = {};
  p.refs_given = 0;
  p.root_serial.store(0, std::memory_order_relaxed);
  p.has_names.store(false, std::memory_order_relaxed);
  p.has_tables.store(false, std::memory_order_relaxed);
  p.has_timers.store(false, std::memory_order_relaxed);
  slots_.give_back(p);
}

}  // namespace kv::detail
