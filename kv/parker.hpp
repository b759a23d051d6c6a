// How an OS thread sleeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Lets the processor know that the thread only looks again.
inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Where an OS thread sleeps until it is told otherwise. A wake-up that comes first is not lost. May live on the stack of
/// the thread: who wakes it does not touch it any more once the thread goes on.
class parker {
 public:
  /// The one thread. Looks `patience` times before it sleeps. Returns false when the deadline passed first.
  bool park_until(time_point deadline, unsigned patience);
  /// Any thread.
  void unpark() noexcept;

 private:
  // Who wakes a sleeper makes it `waking` first, and `woken` under mutex_, when it will not look at the condition any
  // more; until then the sleeper stays, whatever time it is.
  enum state : int { awake, asleep, waking, woken };

  std::atomic<state> state_{awake};  // asleep is set under mutex_, by the sleeper
  std::mutex mutex_;
  std::condition_variable condition_;
};

}  // namespace kv::detail
