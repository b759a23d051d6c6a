// The stacks that fibers run on.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include <boost/context/stack_context.hpp>

namespace kv::detail {

/// The stacks of one runtime: guarded, and bounded in number because a guard costs one of the kernel's 65,530 mappings,
/// as the stack does. Some are mapped at once and kept: the reserve, for those on whom everybody depends. They go on with
/// it when the others are taken, or when the system has none to give.
class stack_pool {
 public:
  /// A function whose variables go beyond the end of its stack by less than this meets the guard.
  static constexpr std::size_t guard_size = 1024 * 1024;

  enum class source : bool { common, reserve_too };

  struct allocated {
    boost::context::stack_context stack;
    bool of_reserve;
  };

  /// `max` without the reserve; the first `busy` of them are not for who waits, but for who runs. The reserve is mapped at
  /// once, or each of its stacks when it is first drawn: for a simulation, which the system never refuses any, and under a
  /// sanitizer, for which mapping them is slow. Throws out_of_stacks when the system refuses the reserve.
  stack_pool(std::size_t size, std::size_t max, std::size_t busy, std::size_t reserved, bool maps_reserve);
  stack_pool(const stack_pool&) = delete;
  stack_pool& operator=(const stack_pool&) = delete;
  ~stack_pool();

  /// Any thread. Throws out_of_stacks.
  allocated allocate(source from);
  /// Any thread. Fills the reserve before it gives anything back to the system.
  void deallocate(boost::context::stack_context& stack) noexcept;
  /// Any thread. How many stacks the reserve lacks. A hint for other threads.
  std::size_t owed() const noexcept { return owed_.load(std::memory_order_relaxed); }

 private:
  boost::context::stack_context map() const noexcept;
  boost::context::stack_context draw() noexcept;
  [[noreturn]] void refuse_reserve(std::size_t wanted);
  void give_up_reserve() noexcept;
  void unmap(const boost::context::stack_context& stack) const noexcept;
  bool count_one() noexcept;

  const std::size_t size_;   // whole pages
  const std::size_t guard_;  // the same, and together an odd number of them: see the constructor
  const std::size_t max_;
  const std::size_t busy_;
  const bool shares_spares_;          // with other simulations; a sanitizer remembers whose frames were on a stack
  std::atomic<std::size_t> used_{0};  // without the reserve; only counts, orders nothing
  std::mutex mutex_;
  std::vector<boost::context::stack_context>
      reserve_;                       // under mutex_; never grows beyond what it had room for at first
  std::size_t unmapped_ = 0;          // the same: stacks of the reserve that are mapped when they are drawn
  std::atomic<std::size_t> owed_{0};  // written under mutex_; read without it it orders nothing
};

}  // namespace kv::detail
