// The executor of a simulation: one thread, virtual time, and a fate that decides who goes next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/context/fiber.hpp>

#include <kv/detail/allocation.hpp>
#include <kv/detail/core.hpp>
#include <kv/simulation.hpp>

#include "fate.hpp"
#include "stack_overflow.hpp"
#include "stack_pool.hpp"
#include "trace.hpp"

namespace kv::detail {

/// A fiber that runs one process after another; a process that waits in a callback keeps it.
struct sim_worker {
  boost::context::fiber other_side;  // while it runs: whoever resumed it; else: itself
  process* job = nullptr;            // null tells it to end
};

/// A process that waits, or the thread of the test that does. Lives on the stack that waits.
struct sim_wait {
  process* who;
  sim_worker* at;  // null for the test's thread
  time_point deadline;
  std::uint64_t number;  // orders the waits
  time_point since;
  bool is_over = false;  // the claim has come back
  bool timed_out = false;
  bool on_reserve = false;  // its stack counts as one of the reserve
};

/// Where a process waits, or null when it does not.
sim_wait* wait_of(const process& p) noexcept;

/// Everything happens on one thread. Whoever is not a process drives: it picks the next turn, switches to the fiber
/// that runs it, and is switched back to when the turn is over. A turn ends when the process has handled one message,
/// waits, or is interrupted. Drivers nest: a process that waits as a thread would (a probe does) drives in turn.
class simulator final : public executor {
 public:
  simulator(core& c, const simulation_options& options);
  ~simulator() override;

  void ready(process& p, urgency how) noexcept override;
  void prepare_wait(const process& p) override;
  bool suspend(process& p, time_point deadline) override;
  void launch(process& p, std::unique_ptr<action> start) override;
  void wake_at(time_point /*when*/) noexcept override {}  // it asks the queue of timers itself
  bool is_own_thread() const noexcept override { return false; }
  time_point now() noexcept override { return now_; }
  std::uint64_t random() noexcept override { return fate_.random(); }
  unsigned turn_length() noexcept override { return 1; }
  unsigned patience() const noexcept override { return 0; }
  void close() noexcept override { is_closing_ = true; }
  void stop() noexcept override;

  bool is_simulation() const noexcept override { return true; }
  void interleave(bool may_throw) override;
  void pause() noexcept override { interleave(false); }
  void observe(step what) noexcept override;
  unsigned* begin_callback(process& p) noexcept override;
  void end_callback(unsigned* outer) noexcept override { allocations_left = outer; }
  void run_until(const std::function<bool()>& is_over) noexcept override;
  std::string circumstances() const override;

  // For the verbs of kv::simulation.

  /// Runs the next turn; false when nobody can run. Throws simulation_error{step_limit}.
  bool turn();
  /// Runs the next turn of that process; false when it has nothing to do.
  bool turn_of(pid who);
  /// Tells what that process would handle in its next turn; null when it would not handle a message.
  const std::type_info* next_message(pid who) const;
  /// Lets time pass until the next timer and ends that wait; false when there is none.
  bool fire_next_timer();
  std::optional<time_point> next_timer() const;
  time_point next_wait() const noexcept;
  void set_clock(time_point to) noexcept { now_ = std::max(now_, to); }
  void hold(pid who) { held_.push_back(who); }
  void let_go(pid who) { std::erase(held_, who); }
  void refuse_allocation(pid who, unsigned nth) { refusals_.push_back({who, nth}); }

  void exhaust_memory(bool on) noexcept { is_exhausted_ = on; }

  /// While calm, nothing deviates from the plain order. Returns what was set before.
  bool set_calm(bool on) noexcept { return std::exchange(is_calm_, on); }

  std::uint64_t boundaries() const noexcept { return boundary_; }
  unsigned kills() const noexcept { return kills_; }
  const fate& chances() const noexcept { return fate_; }
  const trace& history() const noexcept { return trace_; }
  std::string list() const;

 private:
  /// Somebody who can go on: a process that begins a turn, or a fiber in the middle of one.
  struct candidate {
    process* who;
    sim_worker* at;  // null for one that begins
  };

  void check_thread() const noexcept;

  // Turns.
  bool try_turn();
  void run(std::deque<candidate>::iterator chosen);
  std::deque<candidate>::iterator choose();
  std::deque<candidate>::iterator next_able(std::deque<candidate>::iterator from);
  bool may_run(const candidate& c) const;
  bool is_held(pid who) const;
  bool deviates(fate::kind how);
  bool strike();
  bool kill(const victim& whom);
  void drive(const sim_wait& until);
  bool is_endless() const noexcept { return moments_ > options_.max_steps; }
  [[noreturn]] void give_up(simulation_error::code why) const;
  bool has_successor();
  void let_others_run();
  void leave(bool may_throw);
  [[noreturn]] void abandon_run() const;

  // Fibers.
  void ensure_idle_worker(stack_pool::source from);
  void add_worker(stack_pool::source from);
  std::size_t idle_for_reserve() const noexcept { return stacks_.owed() - reserved_waits_; }

  /// boost::context::fiber takes its stack allocator by value. What it is given was allocated before.
  struct stack_of_worker {
    stack_pool* pool;
    boost::context::stack_context allocate() { return pool->allocate(stack_pool::source::common).stack; }
    void deallocate(boost::context::stack_context& stack) noexcept { pool->deallocate(stack); }
  };
  void work(sim_worker& me);
  void resume(sim_worker& w);
  void switch_to_driver();

  std::string describe(const process& p) const;
  std::string state_of(const process& p) const;
  void note(const process& p, step::kind what, pid other = {}) noexcept;

  core& core_;
  const simulation_options options_;
  const std::thread::id thread_ = std::this_thread::get_id();
  fate fate_;
  trace trace_;
  const overflow_watch overflows_;
  const alternate_stack for_signals_;
  stack_pool stacks_;
  std::vector<std::unique_ptr<sim_worker>> workers_;
  std::vector<sim_worker*> idle_;
  std::size_t reserved_waits_ = 0;
  sim_worker* running_ = nullptr;  // null while the outermost driver runs

  std::deque<candidate> runnable_;  // in the plain order; holds the claims
  std::vector<pid> held_;           // by the test
  struct refusal {
    pid who;
    unsigned left;  // until it is refused
  };
  std::deque<refusal> refusals_;  // stay where they are: allocations_left points to one
  struct sooner {
    bool operator()(const sim_wait* a, const sim_wait* b) const noexcept {
      return a->deadline != b->deadline ? a->deadline < b->deadline : a->number < b->number;
    }
  };
  std::set<sim_wait*, sooner> timers_;

  time_point now_{};
  std::uint64_t steps_ = 0;     // turns and interruptions
  std::uint64_t moments_ = 0;   // turns, and points where others might have had one
  std::uint64_t boundary_ = 0;  // points at which somebody else could go next
  std::uint64_t waits_ = 0;
  unsigned kills_ = 0;         // that met somebody
  unsigned chance_kills_ = 0;  // that the seed wanted
  unsigned chance_refusals_ = 0;
  bool is_calm_ = false;
  bool is_exhausted_ = false;  // the memory of processes and timers
  bool is_striking_ = false;   // sends a kill, which is one step with the boundary that it is for
  bool is_closing_ = false;
};

}  // namespace kv::detail
