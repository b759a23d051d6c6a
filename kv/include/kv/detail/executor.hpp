// The one seam between the processes and the machine: who runs next, what time it is, what is random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <kv/detail/process.hpp>
#include <kv/detail/step.hpp>

namespace kv::detail {

/// Runs the processes it is told of. The real one does so on threads and the steady clock; a deterministic one may do
/// so on a single thread, in virtual time and in an order of its own. Nothing else in the library asks the clock,
/// picks a random number or chooses who is next.
class executor {
 public:
  enum class urgency : std::uint8_t {
    soon,    // the sender goes on: somebody else had better run it
    handoff  // the sender is about to wait for it, or it was waiting for the sender
  };

  virtual ~executor() = default;

  /// Any thread. Takes over the claim of `p` and runs core::run(p) for it, or continues it where it is suspended.
  virtual void ready(process& p, urgency how) noexcept = 0;

  /// The current process, before something begins that it can only finish by waiting: the next suspend() will not throw
  /// out_of_stacks; this does. Holds until the process waits or pauses.
  virtual void prepare_wait(const process& p) = 0;

  /// The current process, which holds its own claim and has p.waiting set. Releases the claim and comes back with it
  /// when something was pushed or, with false, when the deadline has passed. Throws out_of_stacks.
  virtual bool suspend(process& p, time_point deadline) = 0;

  /// Any thread. Runs core::run_on_thread() where it may block in any way and hold up nobody else. Throws
  /// std::system_error when that cannot be had.
  virtual void launch(process& p, std::unique_ptr<action> start) = 0;

  /// Any thread; the caller holds no lock. Lets the processes run that wait for this thread, if it runs any. The current
  /// one keeps its claim.
  virtual void pause() noexcept = 0;

  /// Any thread. Calls core::ring() when that time has come, or an earlier one that it was told of.
  virtual void wake_at(time_point when) noexcept = 0;

  /// Tells whether the calling thread is one of the executor's, which stop() could not join.
  virtual bool is_own_thread() const noexcept = 0;

  virtual time_point now() noexcept = 0;
  /// Any thread. Evenly distributed.
  virtual std::uint64_t random() noexcept = 0;
  /// How many messages a process may handle before it goes to the end of the queue.
  virtual unsigned turn_length() noexcept = 0;
  /// How often a caller looks again for a leaf that another caller is running, before it queues up.
  virtual unsigned patience() const noexcept = 0;

  /// A plain thread, once every process is dead. Joins what runs.
  virtual void stop() noexcept = 0;

  // What only a simulation needs. It has a single thread, so it is told of every point where another thread might come
  // in between, and of every step for its trace.

  virtual bool is_simulation() const noexcept { return false; }
  /// The caller holds no lock. May run others before it returns; throws, if it may, only to end a run that has failed.
  virtual void interleave(bool /*may_throw*/) {}
  virtual void observe(step /*what*/) noexcept {}
  /// A function of the user's begins inside that process, and has ended: in between, allocations may be made to fail.
  virtual unsigned* begin_callback(process& /*p*/) noexcept { return nullptr; }
  virtual void end_callback(unsigned* /*what_begin_returned*/) noexcept {}
  /// The runtime begins to end.
  virtual void close() noexcept {}
  /// A plain thread that waits for the end of every process: lets those run that need its thread.
  virtual void run_until(const std::function<bool()>& /*is_over*/) noexcept {}
  /// Returns what the text of a failed expectation had better say of the run, or nothing.
  virtual std::string circumstances() const { return {}; }
};

}  // namespace kv::detail
