// The fibers of one thread.
#pragma once

#include <vector>

#include <boost/fiber/context.hpp>
#include <boost/intrusive/set_hook.hpp>

#include <kv/detail/process.hpp>

#include "stack_pool.hpp"

namespace kv::detail {

class core;
class parker;
class scheduler_thread;

/// A process that is suspended inside a callback, or the plain thread of a stand-in that sleeps. Lives on the stack
/// that is suspended; the process's suspension points to it. Ordered by deadline.
struct parked_process : boost::intrusive::set_base_hook<> {
  process* who = nullptr;
  parker* sleeping_thread = nullptr;        // a stand-in's thread, or
  scheduler_thread* home = nullptr;         // the thread whose
  boost::fibers::context* fiber = nullptr;  // fiber it is
  time_point deadline;
  bool timed_out = false;

  friend bool operator<(const parked_process& a, const parked_process& b) noexcept { return a.deadline < b.deadline; }
};

/// Where a process is suspended, or null when it is not.
parked_process* parked_state(const process& p) noexcept;

/// Runs the processes of one thread on as many fibers as it takes: one runs, those of blocked processes are suspended,
/// a few spare ones wait. Touched by its own thread only.
class worker_pool {
 public:
  /// Where the work comes from.
  class source {
   public:
    virtual ~source() = default;
    /// Returns the next process to run; sleeps while there is none; null when all is over.
    virtual process* next() = 0;
  };

  worker_pool(core& c, source& work, stack_pool& stacks) : core_(c), source_(work), stacks_(stacks) {}

  /// Turns the calling thread into the first worker. Comes back when all is over.
  void run();
  /// Makes sure that another worker can take over when the current one is suspended. Throws out_of_stacks.
  void prepare_successor();
  /// Suspends the current worker; the prepared successor goes on. Comes back when some worker has switched to it.
  void suspend();

 private:
  static constexpr std::size_t max_spare = 64;

  void work(bool may_retire);
  static void switch_away();
  boost::fibers::context* take_spare() noexcept;

  core& core_;
  source& source_;
  stack_pool& stacks_;
  std::vector<boost::fibers::context*> spare_;  // workers with nothing to do
};

}  // namespace kv::detail
