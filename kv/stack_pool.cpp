#include "stack_pool.hpp"

#include <string>

#include <boost/context/protected_fixedsize_stack.hpp>

#include <kv/errors.hpp>

namespace kv::detail {

boost::context::stack_context stack_pool::allocate() {
  if (used_.fetch_add(1, std::memory_order_relaxed) >= max_) {
    used_.fetch_sub(1, std::memory_order_relaxed);
    throw out_of_stacks("all " + std::to_string(max_) +
                        " stacks are held by blocked processes (runtime_options::max_stacks)");
  }
  try {
    return boost::context::protected_fixedsize_stack(size_).allocate();
  } catch (...) {
    used_.fetch_sub(1, std::memory_order_relaxed);
    throw out_of_stacks("the system has no memory or no mapping left for another stack");
  }
}

void stack_pool::deallocate(boost::context::stack_context& stack) noexcept {
  boost::context::protected_fixedsize_stack(size_).deallocate(stack);
  used_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace kv::detail
