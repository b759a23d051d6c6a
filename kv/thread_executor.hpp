// The executor of the real runtime: scheduler threads, each with a few worker fibers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/intrusive/set.hpp>

#include <kv/detail/executor.hpp>

#include "alarm_clock.hpp"
#include "ready_list.hpp"
#include "worker_pool.hpp"
#include "worlds.hpp"

namespace kv::detail {

class thread_executor;

/// Where an OS thread sleeps until it is told otherwise. A wake-up that comes first is not lost.
class parker {
 public:
  /// The one thread. Looks `patience` times before it sleeps. Returns false when the deadline passed first.
  bool park_until(time_point deadline, unsigned patience);
  /// Any thread.
  void unpark() noexcept;

 private:
  enum state : int { awake, asleep, woken };

  std::atomic<state> state_{awake};  // asleep is set under mutex_, by the sleeper
  std::mutex mutex_;
  std::condition_variable condition_;
};

/// One OS thread that runs processes.
class scheduler_thread final : public worker_pool::source {
 public:
  scheduler_thread(thread_executor& owner, std::size_t index);

  void start();
  void join() { thread_.join(); }

  /// Any thread. Queues a process; one that is suspended here is continued here, others may be taken by idle threads.
  void push(process& p, executor::urgency how);
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
  thread_executor(core& c, unsigned threads, std::size_t stack_size, std::size_t max_stacks);
  ~thread_executor() override;

  void ready(process& p, urgency how) noexcept override;
  bool suspend(process& p, time_point deadline) override;
  void pause() noexcept override;
  void launch(process& p, std::unique_ptr<action> start) override;
  void wake_at(time_point when) override { alarm_.wake_at(when); }
  time_point now() noexcept override { return std::chrono::steady_clock::now(); }
  std::uint64_t random() noexcept override;
  unsigned turn_length() noexcept override { return 64; }
  unsigned patience() const noexcept override { return patience_; }
  void stop() noexcept override;

 private:
  friend class scheduler_thread;

  process* steal_for(std::size_t thief);
  bool anything_to_steal(std::size_t thief) const noexcept;
  bool anything_at_all(std::size_t index) noexcept;
  void wake_somebody() noexcept;

  core& core_;
  alarm_clock alarm_;
  stack_pool stacks_;
  const unsigned patience_;
  const unsigned forks_ = worlds::forks();  // when its threads were started: a child of a later one has them not
  std::vector<std::unique_ptr<scheduler_thread>> threads_;
  std::atomic<std::size_t> next_thread_{0};  // spreads what plain threads send; orders nothing
  std::atomic<unsigned> parked_count_{0};    // a hint that saves wake_somebody() the walk
  std::atomic<bool> stopping_{false};        // release in stop(); acquire in scheduler_thread::next()

  // Processes with a thread of their own. An ended thread is joined by whoever launches or stops next.
  std::mutex own_threads_mutex_;
  std::condition_variable own_thread_ended_;
  std::list<std::thread> own_threads_;    // under own_threads_mutex_
  std::list<std::thread> ended_threads_;  // the same
};

}  // namespace kv::detail
