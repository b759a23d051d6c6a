// Who sees to it that things run short.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "soak/killer.hpp"

namespace kv::soak {

/// Processes that do nothing but hold a stack. Used by one thread.
class hogs {
 public:
  explicit hogs(runtime& home) : home_(home) {}

  /// Starts so many more. Those that get no stack end.
  void add(unsigned count);
  /// Waits until one has got no stack.
  void await_refusal();
  /// Ends them, and returns when they are through.
  void release();

 private:
  struct let_go {};
  void hold();
  void ended(bool for_want_of_a_stack);

  runtime& home_;
  std::vector<pid> all_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t living_ = 0;   // under mutex_
  bool is_refused_ = false;  // under mutex_
};

/// Lets stacks, memory or threads run out for a while, and kills parts of the tree meanwhile. Looks at what must hold of
/// each, and leaves everything as it was.
class starver {
 public:
  starver(const killer::surroundings& where, std::uint64_t seed) : in_(where), random_(seed), hogs_(where.home) {}

  void run_short_of_each();
  void run_short_of_one();

 private:
  void run_short_of(part what);
  void run_short_of_stacks();
  void run_short_of_memory();
  void run_short_of_threads();

  void await_whole_tree();
  void refuse_handler();
  void check_hearing();
  unsigned pick(unsigned count) { return std::uniform_int_distribution(0U, count - 1)(random_); }

  killer::surroundings in_;
  std::mt19937_64 random_;
  hogs hogs_;
};

}  // namespace kv::soak
