// Messages that are sent later.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

#include <kv/detail/receive.hpp>
#include <kv/detail/timer.hpp>
#include <kv/pid.hpp>

// Timers belong to the runtime of the calling process. A runtime has one queue of them, whose thread sleeps until the
// next one is due and looks at no clock in between; a timer costs O(log timers) to set, to cancel and when it goes off,
// and some 200 bytes. All of these may be called in any process, also in a leaf, and never block. A timer goes when the
// process that it is for ends.

namespace kv {

/// Names a timer of one runtime, as the reference that `erlang:send_after/3` returns. Any process of that runtime may use
/// it; in another runtime it names nothing, and never another timer.
struct timer_ref {
  std::uint64_t number = 0;
  friend auto operator<=>(const timer_ref&, const timer_ref&) = default;
};

/// Sends a message after that time, not before; at once when the time is not more than 0. To be cancelled until then.
/// Mirrors `Process.send_after/3`.
template <class M>
timer_ref send_after(std::chrono::nanoseconds delay, pid to, M message) {
  auto& home = *detail::this_process().home;
  return {home.mark(home.start_timer(to, delay, detail::once(std::move(message))))};
}

/// Sends a copy of a message every so often, the first after one `period`, until it is cancelled. Counted from the
/// start, so it does not drift; a time that was missed is left out. Throws std::invalid_argument when the period is not
/// more than 0. Mirrors `timer:send_interval/3`.
template <std::copy_constructible M>
timer_ref send_every(std::chrono::nanoseconds period, pid to, M message) {
  detail::check_period(period);
  auto& home = *detail::this_process().home;
  return {home.mark(home.start_timer(to, period, detail::repeatedly(std::move(message), period)))};
}

/// Takes a timer back. Returns how long it still had to go, and then its message is never sent (again); nothing when it
/// is gone: its message has been sent and may just be arriving, it was cancelled, or its receiver is dead; and when it is
/// one of another runtime. Mirrors `Process.cancel_timer/1`.
std::optional<std::chrono::nanoseconds> cancel(timer_ref timer);

/// Returns how long a timer has still to go; nothing when it is gone or one of another runtime. Mirrors
/// `Process.read_timer/1`.
std::optional<std::chrono::nanoseconds> time_left(timer_ref timer);

}  // namespace kv
