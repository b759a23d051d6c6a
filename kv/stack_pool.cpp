#include "stack_pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include <kv/errors.hpp>

#include "sanitized.hpp"

namespace kv::detail {

namespace {

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::size_t whole_pages(std::size_t bytes) noexcept { return (bytes + page_size() - 1) / page_size() * page_size(); }

/// Stacks of simulations that have ended, for those that follow: to map one takes a good part of the time of a short one.
/// Who finds the lock taken does without, also in the child of a fork().
class spare_stacks {
 public:
  boost::context::stack_context take(std::size_t size) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return {};
    const auto end = spare_.begin() + count_;
    const auto found = std::find_if(spare_.begin(), end, [size](const auto& spare) { return spare.size == size; });
    if (found == end) return {};
    std::swap(*found, spare_[--count_]);
    return spare_[count_];
  }

  bool keep(const boost::context::stack_context& stack) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || count_ == spare_.size()) return false;
    spare_[count_++] = stack;
    return true;
  }

 private:
  std::mutex mutex_;  // guards what follows; no thread waits for it
  std::array<boost::context::stack_context, 16> spare_{};
  std::size_t count_ = 0;
};

constinit spare_stacks spares;

}  // namespace

/// With an even number of pages for each, the tops of all stacks, where the work is done, would compete for the same few
/// lines of the cache.
stack_pool::stack_pool(std::size_t size, std::size_t max, std::size_t busy, std::size_t reserved, bool maps_reserve)
    : size_(whole_pages(size)),
      guard_(whole_pages(guard_size) + ((size_ + whole_pages(guard_size)) / page_size() % 2 == 0 ? page_size() : 0)),
      max_(max),
      busy_(busy),
      shares_spares_(!maps_reserve && !is_sanitized) {
  reserve_.reserve(reserved);
  if (!maps_reserve || is_sanitized) {
    unmapped_ = reserved;
    return;
  }
  while (reserve_.size() < reserved) {
    const auto stack = map();
    if (stack.sp == nullptr) refuse_reserve(reserved);
    reserve_.push_back(stack);
  }
}

void stack_pool::refuse_reserve(std::size_t wanted) {
  const auto got = reserve_.size();
  give_up_reserve();
  throw out_of_stacks("the system has memory and mappings for " + std::to_string(got) + " of " +
                      std::to_string(wanted) + " reserved stacks (runtime_options::reserved_stacks)");
}

void stack_pool::give_up_reserve() noexcept {
  for (const auto& stack : reserve_) unmap(stack);
}

stack_pool::~stack_pool() { give_up_reserve(); }

stack_pool::allocated stack_pool::allocate(source from) {
  const bool is_counted = count_one();
  if (is_counted) {
    const auto stack = map();
    if (stack.sp != nullptr) return {stack, false};
    used_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (from == source::reserve_too) {
    const auto stack = draw();
    if (stack.sp != nullptr) return {stack, true};
  }
  if (is_counted) throw out_of_stacks("the system has no memory or no mapping left for another stack");
  throw out_of_stacks("all " + std::to_string(max_) +
                      " stacks are held by blocked processes (runtime_options::max_stacks)");
}

/// Takes a stack of the reserve, without asking for any memory; none when there is none.
boost::context::stack_context stack_pool::draw() noexcept {
  const std::lock_guard lock(mutex_);
  boost::context::stack_context stack;
  if (!reserve_.empty()) {
    stack = reserve_.back();
    reserve_.pop_back();
  } else if (unmapped_ > 0) {
    stack = map();
    if (stack.sp != nullptr) --unmapped_;
  }
  if (stack.sp == nullptr) return {};
  owed_.fetch_add(1, std::memory_order_relaxed);
  return stack;
}

bool stack_pool::count_one() noexcept {
  if (used_.fetch_add(1, std::memory_order_relaxed) < max_ + busy_) return true;
  used_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void stack_pool::deallocate(boost::context::stack_context& stack) noexcept {
  if (owed() > 0) {
    const std::lock_guard lock(mutex_);
    if (owed() > 0) {
      reserve_.push_back(stack);
      owed_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
  }
  unmap(stack);
  used_.fetch_sub(1, std::memory_order_relaxed);
}

/// Returns none when the system refuses it.
boost::context::stack_context stack_pool::map() const noexcept {
  if (shares_spares_) {
    if (const auto spare = spares.take(size_); spare.sp != nullptr) return spare;
  }
  const auto total = guard_ + size_;
  // What is never touched costs no memory, and is not counted as if it did.
  void* const begin = ::mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  auto* const bottom = static_cast<char*>(begin) + guard_;
  if (begin == MAP_FAILED || ::mprotect(bottom, size_, PROT_READ | PROT_WRITE) != 0) {
    if (begin != MAP_FAILED) ::munmap(begin, total);
    return {};
  }
  ::madvise(bottom, size_, MADV_NOHUGEPAGE);  // a page of 2 MiB for a few hundred bytes; refused where there are none
  boost::context::stack_context stack;
  stack.size = size_;
  stack.sp = bottom + size_;
  return stack;
}

void stack_pool::unmap(const boost::context::stack_context& stack) const noexcept {
  if (shares_spares_ && spares.keep(stack)) return;
  ::munmap(static_cast<char*>(stack.sp) - size_ - guard_, guard_ + size_);
}

}  // namespace kv::detail
