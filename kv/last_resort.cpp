#include "last_resort.hpp"

#include <new>

namespace kv::detail {

std::unique_ptr<signal> last_resort::take() noexcept {
  is_free_.store(false, std::memory_order_relaxed);
  return std::unique_ptr<signal>(::new (static_cast<void*>(room_)) kill(*this));
}

void last_resort::is_free_now() noexcept {
  const std::lock_guard lock(lock_);
  is_free_.store(true, std::memory_order_release);
  changed_.notify_all();
}

}  // namespace kv::detail
