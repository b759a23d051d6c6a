// The thread that sends what timers send.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Sleeps until the next timer is due. A thread of its own, so that no callback that computes for long makes timers
/// late. It is there from the start, so that a timer never fails for want of a thread.
class alarm_clock {
 public:
  explicit alarm_clock(core& c) noexcept : core_(c) {}

  /// Whoever starts the runtime, before the first timer. Throws std::system_error when the thread cannot be had.
  void start();
  /// Any thread.
  void wake_at(time_point when) noexcept;
  /// Whoever stops the runtime; also one whose start failed.
  void stop() noexcept;
  bool is_this_thread() const noexcept { return thread_.get_id() == std::this_thread::get_id(); }

 private:
  void run();

  core& core_;
  std::mutex mutex_;
  std::condition_variable earlier_;
  time_point next_ = time_point::max();  // under mutex_
  bool stopping_ = false;                // the same
  std::thread thread_;
};

}  // namespace kv::detail
