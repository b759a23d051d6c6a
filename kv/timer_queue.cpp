#include "timer_queue.hpp"

#include <new>
#include <utility>

namespace kv::detail {

std::pair<std::uint64_t, bool> timer_queue::add(time_point due, pid to, timed_message what) {
  const std::lock_guard lock(mutex_);
  auto& queue = timers_.get<by_time>();
  // Behind those of the same time: they go off in the order they were set.
  const auto place = queue.emplace_hint(queue.upper_bound(due), timer{due, ++last_number_, to, std::move(what)});
  return {last_number_, place == queue.begin()};
}

std::optional<time_point> timer_queue::cancel(std::uint64_t number) {
  timed_message dropped;  // outside the lock: it is the user's
  const std::lock_guard lock(mutex_);
  auto& numbers = timers_.get<by_number>();
  const auto found = numbers.find(number);
  if (found == numbers.end()) return std::nullopt;
  const auto due = found->due;
  dropped = std::move(found->what);
  numbers.erase(found);
  return due;
}

std::optional<time_point> timer_queue::find(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto& numbers = timers_.get<by_number>();
  const auto found = numbers.find(number);
  return found == numbers.end() ? std::nullopt : std::optional(found->due);
}

void timer_queue::move(std::uint64_t number, time_point due) noexcept {
  const std::lock_guard lock(mutex_);
  auto& numbers = timers_.get<by_number>();
  const auto found = numbers.find(number);
  if (found != numbers.end()) numbers.modify(found, [due](timer& t) { t.due = due; });
}

void timer_queue::forget(pid who) noexcept {
  for (;;) {
    timed_message dropped;  // outside the lock: it is the user's
    const std::lock_guard lock(mutex_);
    auto& receivers = timers_.get<by_receiver>();
    const auto one = receivers.find(who);
    if (one == receivers.end()) return;
    dropped = std::move(one->what);
    receivers.erase(one);
  }
}

std::optional<timer_queue::mail> timer_queue::take_due(time_point now) noexcept {
  for (;;) {
    const std::lock_guard lock(mutex_);
    auto& queue = timers_.get<by_time>();
    const auto first = queue.begin();
    if (first == queue.end() || first->due > now) return std::nullopt;
    auto& what = first->what;
    mail result{.to = first->to, .what = std::move(what.next)};
    if (what.period.count() == 0) {
      queue.erase(first);
      return result;
    }
    const auto missed = (now - first->due) / what.period;
    queue.modify(first, [&](timer& t) { t.due += (missed + 1) * t.what.period; });
    prepare(what, result.what);
    if (result.what) return result;
  }
}

/// For the next time, and for this one where it failed the last time.
void timer_queue::prepare(timed_message& what, message_ptr& due) noexcept {
  try {
    if (!due) due = what.pattern->again();
    what.next = what.pattern->again();
  } catch (const std::bad_alloc&) {
    // There may be memory the next time.
  }
}

time_point timer_queue::next() const {
  const std::lock_guard lock(mutex_);
  return timers_.empty() ? time_point::max() : timers_.get<by_time>().begin()->due;
}

}  // namespace kv::detail
