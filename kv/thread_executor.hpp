// The executor of the real runtime: scheduler threads, each with a few worker fibers.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/intrusive/set.hpp>

#include <kv/detail/executor.hpp>

#include "alarm_clock.hpp"
#include "own_threads.hpp"
#include "parker.hpp"
#include "ready_list.hpp"
#include "stack_overflow.hpp"
#include "worker_pool.hpp"
#include "worlds.hpp"

namespace kv {
struct runtime_options;
}

namespace kv::detail {

class thread_executor;

/// One OS thread that runs processes.
class scheduler_thread final : public worker_pool::source {
 public:
  scheduler_thread(thread_executor& owner, std::size_t index);

  /// Throws out_of_stacks, and std::system_error when the thread cannot be had.
  void start();
  void join() {
    if (thread_.joinable()) thread_.join();  // else it was refused
  }

  /// Any thread. Queues a process; one that is suspended here is continued here, others may be taken by idle threads.
  void push(process& p, executor::urgency how);
  /// The current process of this thread. See executor::prepare_wait.
  void prepare_wait(const process& p);
  /// The current process of this thread. See executor::suspend.
  bool suspend(process& p, time_point deadline);
  /// The current process of this thread. See executor::pause.
  void pause(process& p) noexcept;

  /// Any other thread. Takes a process that may run anywhere; null when there is none.
  process* steal();
  /// Any thread. A hint: true when steal() would have found something a moment ago.
  bool looks_stealable() const noexcept { return has_shared_.load(std::memory_order_relaxed); }
  /// Any thread. Tells for certain whether the thread of that index can take something here.
  bool has_work_for(std::size_t index) noexcept;
  /// Any thread. Wakes this thread if it sleeps; tells whether it did.
  bool wake_if_parked() noexcept;
  void wake() noexcept { parker_.unpark(); }
  bool belongs_to(const thread_executor& owner) const noexcept { return &owner_ == &owner; }

  /// worker_pool::source: the next process to run, or null when the runtime ends. Sleeps in between.
  process* next() override;

 private:
  struct shared_queues {
    ready_list runnable;   // for whoever comes first
    ready_list resumable;  // suspended on this thread
  };

  process* next_ready_process();
  process* take_shared();
  void expire_deadlines();
  void sleep();

  thread_executor& owner_;
  const std::size_t index_;
  std::thread thread_;

  // This thread only.
  process* handoff_ = nullptr;  // runs next; the sender waits for it, so nobody else had better take it
  ready_list resumable_;        // suspended here and woken from here
  ready_list paused_;           // would go on, but lets others run: every second turn is theirs
  worker_pool workers_;
  boost::intrusive::multiset<parked_process, boost::intrusive::constant_time_size<false>> deadlines_;
  unsigned ticks_ = 0;

  // Any thread.
  std::mutex mutex_;
  shared_queues shared_;                 // under mutex_
  std::atomic<bool> has_shared_{false};  // something may be in shared_: saves others the lock; written under mutex_
  // True from before the last look at the queues until woken. A sender pushes under mutex_ and then looks here; the
  // sleeper sets it and then looks under mutex_. So one of the two sees the other.
  std::atomic<bool> parked_{false};
  parker parker_;
};

class thread_executor final : public executor {
 public:
  /// Throws std::system_error, which says how many, when it cannot have that many threads, and out_of_stacks; then
  /// those that were there are joined.
  thread_executor(core& c, const runtime_options& options);
  ~thread_executor() override;

  void ready(process& p, urgency how) noexcept override;
  void prepare_wait(const process& p) override;
  bool suspend(process& p, time_point deadline) override;
  void pause() noexcept override;
  void launch(process& p, std::unique_ptr<action> start) override;
  void wake_at(time_point when) noexcept override { alarm_.wake_at(when); }
  bool is_own_thread() const noexcept override;
  time_point now() noexcept override { return std::chrono::steady_clock::now(); }
  std::uint64_t random() noexcept override;
  unsigned turn_length() noexcept override { return 64; }
  unsigned patience() const noexcept override { return patience_; }
  void stop() noexcept override;

 private:
  friend class scheduler_thread;

  bool waits_on_fiber(const process& p) const noexcept;

  void start_threads();
  void stop_threads() noexcept;
  process* steal_for(std::size_t thief);
  bool anything_to_steal(std::size_t thief) const noexcept;
  bool anything_at_all(std::size_t index) noexcept;
  void wake_somebody() noexcept;

  core& core_;
  const overflow_watch overflows_;
  alarm_clock alarm_;
  stack_pool stacks_;
  const unsigned patience_;
  const unsigned forks_ = worlds::forks();  // when its threads were started: a child of a later one has them not
  std::vector<std::unique_ptr<scheduler_thread>> threads_;
  std::atomic<std::size_t> next_thread_{0};  // spreads what plain threads send; orders nothing
  std::atomic<unsigned> parked_count_{0};    // a hint that saves wake_somebody() the walk
  std::atomic<bool> stopping_{false};        // release in stop(); acquire in scheduler_thread::next()
  own_threads own_threads_;
};

}  // namespace kv::detail
