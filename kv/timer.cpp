#include <kv/timer.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <kv/detail/core.hpp>
#include <kv/spawn.hpp>

#include "timer_queue.hpp"

namespace kv {

namespace detail {

void check_period(duration period) {
  if (period.count() > 0) return;
  throw std::invalid_argument("send_every: the period is " + std::to_string(period.count()) +
                              " ns; it must be more than 0");
}

std::uint64_t core::start_timer(pid to, duration delay, timed_message what) {
  interleave();
  if (delay.count() <= 0) {
    deliver(to, std::move(what.next));
    return 0;
  }
  return set_timer(to, delay, std::move(what));
}

std::uint64_t core::set_timer(pid to, duration delay, timed_message what) {
  auto* const p = find(to);
  if (p == nullptr) return 0;
  p->has_timers.store(true);
  const auto [number, is_next] = timers_->add(deadline_after(delay), to, std::move(what));
  // It may have departed before it had a timer to forget; sequentially consistent with depart(), as with tables.
  if (!p->takes_gifts(to.generation)) timers_->cancel(number);
  if (is_next) executor_->wake_at(timers_->next());
  return number;
}

std::optional<duration> core::cancel_timer(std::uint64_t number) {
  interleave();
  return stop_timer(number);
}

std::optional<duration> core::stop_timer(std::uint64_t number) {
  const auto due = timers_->cancel(number);
  return due ? std::optional(std::max(duration{0}, *due - executor_->now())) : std::nullopt;
}

std::optional<duration> core::time_left(std::uint64_t number) {
  interleave();
  const auto due = timers_->find(number);
  return due ? std::optional(std::max(duration{0}, *due - executor_->now())) : std::nullopt;
}

void core::move_timer(std::uint64_t number, time_point due) noexcept {
  timers_->move(number, due);
  executor_->wake_at(timers_->next());
}

time_point core::next_alarm() const noexcept { return timers_->next(); }

bool core::ring() noexcept {
  auto due = timers_->take_due(executor_->now());
  if (!due) return false;
  if (!due->what) {
    report_killed(due->to);
    return true;
  }
  const auto result = try_deliver(due->to, due->what, executor::urgency::soon);
  if (result == delivery::full) drop(due->to);
  if (result != delivery::done) discard(std::move(due->what));  // not on the thread that others' timers wait for
  return true;
}

// What the runtime itself waits for ----------------------------------------------------------------------------------

/// A kill takes effect when a callback returns or waits. One that does neither is reported.
void core::watch_killed(pid who) noexcept {
  auto* const p = find(who);
  // An idle leaf ends as soon as it has its turn, and there may be a hundred thousand of them.
  const bool is_idle_leaf = p == nullptr || (p->is_leaf.load(std::memory_order_relaxed) &&
                                             p->running.load(std::memory_order_relaxed) == nullptr);
  if (is_idle_leaf || kill_timeout_ >= infinity) return;
  try {
    start_timer(who, kill_timeout_, {});
  } catch (...) {
    // Without memory or a thread it goes unreported.
  }
}

/// On a thread of its own: a sink must not make timers late, and no other thread may be free.
void core::report_killed(pid who) noexcept {
  try {
    spawn_on_thread(*this, [this, who] { report_stubborn(who, exit_reason::kill, kill_timeout_); });
  } catch (...) {
    // As above.
  }
}

void core::report_stubborn(pid who, const exit_reason& told, duration since) noexcept {
  constexpr std::size_t shown = 100;
  if (find(who) == nullptr) return;
  report_if_possible([&] {
    const auto found = info(who).value_or(process_info{});
    return watchdog_report{.who = who,
                           .name = found.names.empty() ? "" : found.names.front(),
                           .type = found.type,
                           .told = told,
                           .since = since,
                           .doing = found.doing,
                           .others = told == exit_reason::shutdown ? dump(shown) : ""};
  });
}

}  // namespace detail

std::optional<std::chrono::nanoseconds> cancel(timer_ref timer) {
  auto& home = *detail::this_process().home;
  const auto number = home.unmark(timer.number);
  return number ? home.cancel_timer(*number) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> time_left(timer_ref timer) {
  auto& home = *detail::this_process().home;
  const auto number = home.unmark(timer.number);
  return number ? home.time_left(*number) : std::nullopt;
}

}  // namespace kv
