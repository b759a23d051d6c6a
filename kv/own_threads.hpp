// The threads of processes that have one of their own.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Each thread is joined by the next one that ends, and the last one by join(): so those that have ended do not pile up.
/// None has ended before its thread_local objects are destroyed, and these are the user's: no lock is held meanwhile, and
/// only join() waits for them.
class own_threads {
 public:
  own_threads() = default;
  own_threads(const own_threads&) = delete;
  own_threads& operator=(const own_threads&) = delete;

  /// Any thread. See executor::launch.
  void launch(core& home, process& p, std::unique_ptr<action> start);
  /// Tells whether the calling thread is one of these.
  bool is_one() const noexcept;
  /// None of them, once every process is dead.
  void join() noexcept;

 private:
  struct member {
    explicit member(own_threads& of) noexcept : home(of) {}

    own_threads& home;
    std::list<member>::iterator place;
    std::thread thread;
  };
  /// The calling thread, which is that member's, ends.
  static void leave(void* who) noexcept;

  std::mutex mutex_;
  std::condition_variable one_ended_;
  std::list<member> running_;  // under mutex_
  std::thread last_ended_;     // the same
};

}  // namespace kv::detail
