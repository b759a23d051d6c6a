// How a process waits, and how it ends meanwhile.
#include <algorithm>
#include <exception>
#include <stdexcept>

#include <kv/detail/caller.hpp>
#include <kv/detail/table_guard.hpp>
#include <kv/detail/visit.hpp>

#include "unwind_path.hpp"

namespace kv::detail {

namespace {

/// Stands on the stack while its process waits.
class waits_for {
 public:
  waits_for(process& p, suspension& how) noexcept : process_(p), outer_(std::exchange(p.waiting, &how)) {}
  waits_for(const waits_for&) = delete;
  waits_for& operator=(const waits_for&) = delete;
  ~waits_for() { process_.waiting = outer_; }

 private:
  process& process_;
  suspension* outer_;
};

/// Tells whether a wait of a process that has to end was given up for that: it could not be unwound.
bool is_interrupted(const process& self) noexcept {
  return self.must_exit() && !self.is_ending() && std::uncaught_exceptions() == 0;
}

}  // namespace

std::unique_ptr<request> core::transact(pid to, std::unique_ptr<request> what, duration timeout) {
  if (to.node != node_) throw call_error(call_error::code::noproc, to);
  if (current_process != nullptr && current_process->id() == to) throw call_error(call_error::code::calling_self, to);
  const caller who(waits_at("call another process"));
  auto& self = who.self();
  self.home->executor_->prepare_wait(self);  // else the callee would do what the caller was told could not be done
  const auto* const function = &what->type();
  const auto now = self.home->executor_->now();
  const auto deadline = deadline_after(timeout, now);
  suspension waiting{.awaited = ++self.refs_given, .since = now, .callee = to, .wanted = {&function, 1}};
  what->caller = self.id();
  what->ref = waiting.awaited;
  message_ptr node = std::move(what);
  {
    const crossing there(to);  // and away before it waits
    const auto result = there.is_open() ? try_deliver(to, node, executor::urgency::handoff) : delivery::dead;
    if (result == delivery::dead) throw call_error(call_error::code::noproc, to);
    if (result == delivery::full) {
      drop(to);
      throw call_error(call_error::code::overloaded, to);
    }
  }
  while (!waiting.reply) {
    if (!self.home->wait(self, waiting, deadline) && !waiting.reply) throw call_error(why_none_came(self), to);
  }
  return std::unique_ptr<request>(static_cast<request*>(waiting.reply.release()));
}

call_error::code core::why_none_came(const process& self) noexcept {
  return is_interrupted(self) ? call_error::code::interrupted : call_error::code::timeout;
}

void core::refuse_to_block(const process& self, const char* verb) {
  // Not `self`, which is a stand-in where a process of another runtime calls: a leaf of that would block its caller, too.
  const auto& runs = current_process == nullptr ? self : *current_process;
  // One that is being destroyed may wait, because its destructors may not throw.
  if (!runs.is_leaf.load(std::memory_order_relaxed) || runs.is_ending()) return;
  throw leaf_blocked("leaf process " + to_string(runs.id()) + " tried to " + verb);
}

bool core::wait(process& self, suspension& how, time_point deadline) {
  if (deadline == time_point::min()) return false;
  refuse_to_block(self, "wait");
  table_guard::assert_none();
  const waits_for here(self, how);
  bool in_time = true;
  if (!self.mailbox.has_messages()) {
    if (throw_if_ending(self) && !waits_on(self, how)) return false;
    if (how.since == time_point{}) how.since = executor_->now();
    in_time = executor_->suspend(self, deadline);
  }
  drain(self);
  if (throw_if_ending(self) && !waits_on(self, how)) return false;
  return in_time;
}

bool core::throw_if_ending(process& self) {
  // What is destroyed on the way out may still call: another exception would end the program.
  if (!self.must_exit() || self.is_ending() || std::uncaught_exceptions() > 0) return false;
  if (!can_unwind_from_here()) return true;
  throw_unwind(self);
}

void core::throw_unwind(process& self) {
  if (self.unwound >= unwinding::thrown) {
    report_swallowed(self);
    rest(self);
  } else {
    self.unwound = unwinding::thrown;
  }
  throw unwind{};
}

/// A wait of a process that has to end and cannot be unwound ends as if nothing came; but not one that has no such end.
bool core::waits_on(process& self, const suspension& how) const noexcept {
  if (how.gives_up) return false;
  if (self.unwound >= unwinding::held_up) return true;
  self.unwound = unwinding::held_up;
  report_if_possible([&] {
    return oddity_report{self.id(), class_name(self) +
                                        " has to end, and waits without a timeout in a destructor or another noexcept "
                                        "function: it ends when that wait is over"};
  });
  return true;
}

void core::report_swallowed(process& p) noexcept {
  if (p.unwound == unwinding::swallowed) return;
  p.unwound = unwinding::swallowed;
  report_if_possible([&] {
    return oddity_report{p.id(),
                         "a catch (...) of " + class_name(p) +
                             " has swallowed the exception that ends it; it must rethrow what it does not know"};
  });
}

/// A loop that swallows the exception time and again would take a processor for itself: so the second time and later,
/// each twice as long as before up to a second, its process sleeps before the exception is thrown again.
void core::rest(process& self) {
  constexpr duration longest = std::chrono::seconds(1);
  constexpr duration shortest = std::chrono::milliseconds(1);
  constexpr std::uint8_t most_doublings = 10;
  const auto times = self.times_swallowed;
  self.times_swallowed = std::min<std::uint8_t>(times + 1, most_doublings + 1);
  if (times == 0 || self.is_leaf.load(std::memory_order_relaxed)) return;
  table_guard::assert_none();
  const auto until = deadline_after(std::min(longest, shortest * (1U << (times - 1U))));
  suspension nothing;
  const waits_for here(self, nothing);
  try {
    do {
      drain(self);  // what comes meanwhile changes nothing
    } while (executor_->suspend(self, until));
  } catch (const out_of_stacks&) {
    executor_->pause();
  }
}

}  // namespace kv::detail
