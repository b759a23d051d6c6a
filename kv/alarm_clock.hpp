// The thread that sends what timers send.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Sleeps until the next timer is due. A thread of its own, so that no callback that computes for long makes timers
/// late; there is none until the first timer is set.
class alarm_clock {
 public:
  explicit alarm_clock(core& c) noexcept : core_(c) {}

  /// Any thread. Throws std::system_error when the thread cannot be had.
  void wake_at(time_point when);
  /// Whoever stops the runtime.
  void stop() noexcept;

 private:
  void run();

  core& core_;
  std::mutex mutex_;
  std::condition_variable earlier_;
  time_point next_ = time_point::max();  // under mutex_
  bool stopping_ = false;                // the same
  std::thread thread_;                   // started under mutex_
};

}  // namespace kv::detail
