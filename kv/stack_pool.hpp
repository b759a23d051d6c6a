// The stacks that fibers run on.
#pragma once

#include <atomic>
#include <cstddef>

#include <boost/context/stack_context.hpp>

namespace kv::detail {

/// The stacks of one runtime: guarded, and bounded in number because a guard page costs two of the kernel's 65,530
/// mappings. Allocates for boost::fibers::fiber.
class stack_pool {
 public:
  stack_pool(std::size_t size, std::size_t max) : size_(size), max_(max) {}

  /// Any thread. Throws out_of_stacks.
  boost::context::stack_context allocate();
  void deallocate(boost::context::stack_context& stack) noexcept;

 private:
  const std::size_t size_;
  const std::size_t max_;
  std::atomic<std::size_t> used_{0};  // only counts; orders nothing
};

/// boost::fibers::fiber takes its stack allocator by value.
struct stack_source {
  stack_pool* pool;
  boost::context::stack_context allocate() { return pool->allocate(); }
  void deallocate(boost::context::stack_context& stack) noexcept { pool->deallocate(stack); }
};

}  // namespace kv::detail
