#include <kv/restart_policy.hpp>

#include <ostream>
#include <stdexcept>
#include <utility>

namespace kv {

restart_window::restart_window(unsigned max_restarts, std::chrono::nanoseconds period)
    : max_(max_restarts), period_(period) {
  if (period.count() <= 0) throw std::invalid_argument("the period of restarts must be more than 0");
}

bool restart_window::add(time_point now) {
  while (!times_.empty() && now - times_.front() > period_) times_.pop_front();
  times_.push_back(now);
  return times_.size() <= max_;
}

void restart_history::add(restart_event event) {
  if (limit_ == 0) return;
  if (events_.size() == limit_) events_.pop_front();
  events_.push_back(std::move(event));
}

std::ostream& operator<<(std::ostream& out, const restart_event& event) {
  out << event.child << ": " << event.old_pid << " ended (" << event.reason << "), ";
  if (event.failure) return out << "and did not start again (" << *event.failure << ')';
  return out << "now " << event.new_pid;
}

}  // namespace kv
