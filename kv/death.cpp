// The death of a process.
//
// The order is what others rely on:
//   1. the crash is reported and the state destroyed, with what was sent to it, while the process can still send;
//   2. it departs: nothing of a user's gets in any more. Its timers and tables are moved or destroyed, by itself;
//   3. the generation moves on: from here everybody who asks is told noproc, and no user's code runs as it (L1);
//   4. its names are free, before anybody learns of the death;
//   5. the mailbox is closed and the slot free for somebody else: before anybody learns of the death, too, so that what
//      is started in response gets the same pid on every run;
//   6. links are told, then monitors, by the notices that were made with the ties: after everything it sent, because that
//      is what their owners may rely on;
//   7. who waits for an answer gets the reason. Last, so that a caller that learns of the death by its call can ask a
//      watcher, whose `down` stands before the question.
// None of it allocates, but for what a user's code does in 1 and 2.
#include <cassert>
#include <new>

#include <kv/detail/core.hpp>
#include <kv/detail/table_directory.hpp>

#include "names.hpp"
#include "timer_queue.hpp"

namespace kv::detail {

void core::finish(process& p) noexcept {
  const auto id = p.id();
  const bool failed_start = p.is_starting();
  if (p.ends == end_cause::crashed && !failed_start) report_crash(p);
  if (p.ends != end_cause::told && !failed_start && p.body && p.body->has_last_words()) say_last_words(p);
  const auto why = p.reason;
  p.life.store(stage::ending, std::memory_order_relaxed);
  if (is_simulated_) [[unlikely]]
    executor_->observe({.who = id, .what = step::kind::ends, .reason = why});
  destroy_state(p);
  depart(p);

  const auto bonds = std::move(p.bonds);
  // A failed start is told by start_error alone.
  if (bonds && failed_start) forget_parent(p, *bonds);
  // Nobody may act in the name of what is gone.
  auto* const outside = std::exchange(current_process, nullptr);
  p.life.store(stage::vacant, std::memory_order_release);
  // Release pairs with the acquire in find(); sequentially consistent because of has_names.
  p.generation.store(id.generation + 1);
  if (p.has_names.load()) names_->forget(id);

  message_queue unanswered;
  take_unanswered(p, unanswered);
  auto* const senders = p.is_bounded.load(std::memory_order_relaxed) ? p.bound->close() : nullptr;
  const bool is_counted = !p.is_stand_in && !p.is_disposer;
  const bool is_disposer = p.is_disposer;
  clear(p);

  if (bonds) notify_links_and_monitors(id, *bonds, why);
  while (auto waiting = unanswered.pop()) bounce(id, std::move(waiting), why);
  answer_all(senders);
  current_process = outside == &p ? nullptr : outside;
  count_out(is_counted, is_disposer);
}

void core::destroy_state(process& p) noexcept {
  p.body.reset();
  drain(p);
  drop_all_but_requests(p);
}

/// After this nothing of a user's is left in the process, and nothing gets in (L1).
void core::depart(process& p) noexcept {
  const auto id = p.id();
  p.life.store(stage::departing);  // sequentially consistent because of has_tables and has_timers
  p.mailbox.shut();
  if (p.has_timers.load()) timers_->forget(id);
  if (p.has_tables.load()) tables_->owner_died(id);
  drain(p);
  drop_all_but_requests(p);
}

void core::forget_parent(const process& p, relations& bonds) noexcept {
  bonds.links.take(p.parent);
  notice_set<down_notice> others;
  while (auto notice = bonds.watchers.pop()) {
    if (notice->news.from != p.parent) others.insert(std::move(notice));
  }
  while (auto notice = others.pop()) bonds.watchers.insert(std::move(notice));
}

/// The signals and requests that are left: what it was handling, what waited, what has just come.
void core::take_unanswered(process& p, message_queue& result) noexcept {
  if (p.current) result.push(std::move(p.current));
  while (auto waiting = p.queue.pop()) result.push(std::move(waiting));
  for (auto* node = p.mailbox.close(); node != nullptr;) {
    message_ptr what(std::exchange(node, node->next));
    assert((what->kind == message_kind::signal || what->kind == message_kind::request) && "L2");
    result.push(std::move(what));
  }
}

void core::count_out(bool is_counted, bool is_disposer) noexcept {
  if (!is_counted && !is_disposer) return;
  // Under the lock, so that shut_down cannot see the last one gone, return and destroy the condition variable before
  // notify_all.
  const std::lock_guard lock(idle_mutex_);
  if (is_disposer) {
    disposer_has_ended_ = true;
  } else {
    live_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (shutting_down_) ended_.notify_all();
}

/// The state's on_exit() may wait like any other callback. Only a kill, or an exception of its own, can change the
/// reason any more.
void core::say_last_words(process& p) noexcept {
  const auto reason = std::exchange(p.reason, {});
  p.ends = end_cause::none;
  p.life.store(stage::leaving, std::memory_order_relaxed);
  std::exception_ptr failure;
  try {
    const callback here(*this, p);
    p.body->on_exit(reason);
  } catch (const unwind&) {
  } catch (...) {
    failure = std::current_exception();
  }
  fail_with(p, failure);
  if (p.ends == end_cause::crashed) report_crash(p);
  p.end_with(reason);
}

/// What a function has captured and what was sent is destroyed with the state, and may send, too. The disposer's requests
/// are nobody's any more.
void core::drop_all_but_requests(process& p) noexcept {
  const auto stays = [&p](const message& m) { return m.kind == message_kind::request && !p.is_disposer; };
  message_queue requests;
  if (p.current && !stays(*p.current)) destroy(p, std::move(p.current));
  while (auto what = p.queue.pop()) {
    stays(*what) ? requests.push(std::move(what)) : destroy(p, std::move(what));
  }
  while (auto what = requests.pop()) p.queue.push(std::move(what));
}

void core::report_crash(const process& p) const noexcept {
  const auto* const message = p.running.load(std::memory_order_relaxed);
  report_if_possible([&] {
    return crash_report{.who = p.id(),
                        .name = p.has_names.load() ? name_of(p.id()) : "",
                        .type = type_name(p.body->type()),
                        .last_message = message != nullptr ? type_name(*message) : "",
                        .reason = p.reason};
  });
}

void core::notify_links_and_monitors(pid who, relations& bonds, const exit_reason& why) noexcept {
  while (auto notice = bonds.links.pop()) send_back(std::move(notice), signal::op::link_exit, who, why);
  while (auto notice = bonds.watchers.pop()) send_back(std::move(notice), signal::op::down, who, why);
  if (!bonds.own) return;
  for (const auto& [ref, target] : bonds.own->monitoring) forget_watcher(target, who, monitor_ref{ref});
}

void core::clear(process& p) noexcept {
  p.is_leaf.store(false, std::memory_order_relaxed);
  p.is_bounded.store(false, std::memory_order_relaxed);
  p.has_thread = p.is_stand_in = p.needs_settling = p.traps_exits = p.is_suspended = false;
  p.ends = end_cause::none;
  p.unwound = unwinding::none;
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
  if (!p.is_disposer) slots_.give_back(p);
}

}  // namespace kv::detail
