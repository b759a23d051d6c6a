// Allocations that fail on purpose.
#pragma once

#include <new>
#include <utility>

namespace kv::detail {

/// How many more allocations of this thread succeed before one fails; null: all succeed.
inline constinit thread_local unsigned* allocations_left = nullptr;

/// Throws std::bad_alloc when this allocation is the one that fails.
inline void fail_on_purpose() {
  if (allocations_left == nullptr || --*allocations_left > 0) return;
  allocations_left = nullptr;
  throw std::bad_alloc();
}

/// For its scope, no allocation of this thread fails on purpose.
class reliable_memory {
 public:
  reliable_memory() noexcept : outside_(std::exchange(allocations_left, nullptr)) {}
  reliable_memory(const reliable_memory&) = delete;
  reliable_memory& operator=(const reliable_memory&) = delete;
  ~reliable_memory() { allocations_left = outside_; }

 private:
  unsigned* outside_;
};

}  // namespace kv::detail
