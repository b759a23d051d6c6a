// Allocations that fail on purpose.
#pragma once

#include <new>
#include <utility>

namespace kv::detail {

/// How many more allocations of this thread succeed before one fails; null: all succeed.
[[gnu::visibility("default")]] inline constinit thread_local unsigned* allocations_left = nullptr;

/// No allocation of this thread succeeds.
inline constinit thread_local bool memory_is_exhausted = false;

/// Throws std::bad_alloc when this allocation is one that fails.
inline void fail_on_purpose() {
  if (memory_is_exhausted) throw std::bad_alloc();
  if (allocations_left == nullptr || --*allocations_left > 0) return;
  allocations_left = nullptr;
  throw std::bad_alloc();
}

/// For its scope, no allocation of this thread fails on purpose: for what exists in a simulation alone.
class reliable_memory {
 public:
  reliable_memory() noexcept
      : outside_(std::exchange(allocations_left, nullptr)), was_exhausted_(std::exchange(memory_is_exhausted, false)) {}
  reliable_memory(const reliable_memory&) = delete;
  reliable_memory& operator=(const reliable_memory&) = delete;
  ~reliable_memory() {
    allocations_left = outside_;
    memory_is_exhausted = was_exhausted_;
  }

 private:
  unsigned* outside_;
  bool was_exhausted_;
};

/// For its scope, every allocation of this thread fails, if so wanted.
class exhausted_memory {
 public:
  explicit exhausted_memory(bool on) noexcept : before_(std::exchange(memory_is_exhausted, on)) {}
  exhausted_memory(const exhausted_memory&) = delete;
  exhausted_memory& operator=(const exhausted_memory&) = delete;
  ~exhausted_memory() { memory_is_exhausted = before_; }

 private:
  bool before_;
};

}  // namespace kv::detail
