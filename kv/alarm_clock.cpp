#include "alarm_clock.hpp"

#include <algorithm>

#include <kv/detail/core.hpp>

namespace kv::detail {

void alarm_clock::start() {
  thread_ = std::thread([this] { run(); });
}

void alarm_clock::wake_at(time_point when) noexcept {
  const std::lock_guard lock(mutex_);
  next_ = std::min(next_, when);
  earlier_.notify_one();
}

void alarm_clock::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    earlier_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void alarm_clock::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (next_ == time_point::max()) {
      earlier_.wait(lock);
    } else if (core_.exec().now() < next_) {
      earlier_.wait_until(lock, next_);
    } else {
      next_ = time_point::max();  // an earlier one that is set meanwhile says so again
      lock.unlock();
      while (core_.ring()) {
      }
      lock.lock();
      next_ = std::min(next_, core_.next_alarm());
    }
  }
}

}  // namespace kv::detail
