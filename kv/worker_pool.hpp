// The fibers of one thread.
#pragma once

#include <vector>

#include <boost/context/fiber.hpp>
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
  parker* sleeping_thread = nullptr;  // a stand-in's thread, or
  scheduler_thread* home = nullptr;   // the thread whose
  boost::context::fiber fiber;        // fiber it is
  time_point deadline;
  bool timed_out = false;
  bool on_reserve = false;  // the worker that goes on has a stack of the reserve

  friend bool operator<(const parked_process& a, const parked_process& b) noexcept { return a.deadline < b.deadline; }
};

/// Where a process is suspended, or null when it is not.
parked_process* parked_state(const process& p) noexcept;

/// Runs the processes of one thread on as many fibers as it takes: one runs, those of blocked processes are suspended,
/// a few spare ones wait. The thread's own stack runs none, so that every process has a stack of the pool. Touched by its
/// own thread only.
///
/// The fibers switch to each other. Boost.Fiber's scheduler would do that as well, but it is a thread_local object, and
/// where a process calls std::exit its destructor waits for the very fiber that destroys it.
class worker_pool {
 public:
  /// Where the work comes from.
  class source {
   public:
    virtual ~source() = default;
    /// Returns the next process to run; sleeps while there is none; null when all is over.
    virtual process* next() = 0;
  };

  worker_pool(core& c, source& work, stack_pool& stacks);
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  ~worker_pool();

  /// Whoever starts the thread. Gets the stack of the first worker, so that run() cannot fail. Throws out_of_stacks.
  void prepare();
  /// Lends the calling thread to the workers. Comes back when all is over.
  void run();
  /// Makes sure that another worker can take over when the current one is suspended, in this turn. Throws out_of_stacks.
  void prepare_successor(stack_pool::source from);
  /// Suspends the current worker; the prepared successor goes on. Comes back when some worker has switched to it, which
  /// is a prepared successor again for whoever comes back.
  void suspend(parked_process& here);

 private:
  static constexpr std::size_t max_spare = 64;

  /// boost::context::fiber takes its stack allocator by value. What it is given was allocated before.
  struct stack_of_worker {
    worker_pool* home;
    boost::context::stack_context allocate() { return home->stacks_.allocate(stack_pool::source::common).stack; }
    void deallocate(boost::context::stack_context& stack) noexcept { home->has_ended(stack); }
  };

  boost::context::fiber make_worker(const boost::context::stack_context& stack);
  boost::context::fiber work();
  boost::context::fiber take_spare() noexcept;
  void switch_to(boost::context::fiber next, boost::context::fiber& here);
  void arrive(boost::context::fiber from) noexcept;
  void has_ended(boost::context::stack_context& stack) noexcept;
  void give_back_drawn() noexcept;

  core& core_;
  source& source_;
  stack_pool& stacks_;
  boost::context::stack_context first_;       // of the first worker, until the thread runs
  boost::context::fiber thread_;              // the thread's own stack, while workers run
  std::vector<boost::context::fiber> spare_;  // workers with nothing to do; has room for all there may be
  boost::context::stack_context drawn_;  // of the reserve: for the next worker, if it takes over from who may use it
  bool keeps_stack_ = false;             // of the worker that ends now: as drawn_
  boost::context::fiber* departed_ = nullptr;  // where the worker that has just switched away wants to be kept
};

}  // namespace kv::detail
