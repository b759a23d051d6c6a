#include <kv/restart_policy.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace kv {

restart_window::restart_window(unsigned max_restarts, std::chrono::nanoseconds period)
    : max_(max_restarts), period_(period) {
  if (period.count() <= 0) throw std::invalid_argument("the period of restarts must be more than 0");
}

bool restart_window::add(time_point when) {
  times_.push_back(when);
  const auto added = std::prev(times_.end());
  std::rotate(std::upper_bound(times_.begin(), added, when), added, times_.end());
  while (times_.back() - times_.front() > period_) times_.pop_front();
  return times_.size() <= max_;
}

std::chrono::nanoseconds delay_before(unsigned attempt, const restart_delay& how, std::uint64_t random) noexcept {
  if (how.first.count() == 0 || attempt == 0) return {};
  const auto grown = static_cast<double>(how.first.count()) * std::pow(how.factor, attempt - 1);
  const auto delay = std::min(grown, static_cast<double>(how.most.count()));  // also when it has grown to infinity
  const auto chance = static_cast<double>(random >> 11U) * 0x1p-53;           // from 0 to less than 1
  return std::chrono::nanoseconds(std::llround(delay * (1 - how.jitter * chance)));
}

std::chrono::nanoseconds restart_attempts::after_end(const restart_delay& how, time_point now,
                                                     std::uint64_t random) noexcept {
  if (now - started_ >= how.stable_after) count_ = 0;
  return after_failure(how, random);
}

std::chrono::nanoseconds restart_attempts::after_failure(const restart_delay& how, std::uint64_t random) noexcept {
  if (count_ < std::numeric_limits<unsigned>::max()) ++count_;
  return delay_before(count_, how, random);
}

void restart_history::add(restart_event event) {
  if (limit_ == 0) return;
  events_.push_back(std::move(event));
  if (events_.size() > limit_) events_.pop_front();
}

std::ostream& operator<<(std::ostream& out, const restart_event& event) {
  out << event.child << ": " << event.old_pid << " ended (" << event.reason << "), ";
  if (event.failure) return out << "and did not start again (" << *event.failure << ')';
  return out << "now " << event.new_pid;
}

}  // namespace kv
