#include "parker.hpp"

namespace kv::detail {

bool parker::park_until(time_point deadline, unsigned patience) {
  for (; patience > 0; --patience) {
    if (state_.load(std::memory_order_relaxed) == woken) break;
    relax();
  }
  std::unique_lock lock(mutex_);
  // Acquire pairs with the release in unpark(): what was done before the wake-up is seen.
  auto before = awake;
  if (state_.compare_exchange_strong(before, asleep, std::memory_order_acq_rel)) {
    const auto is_woken = [this] { return state_.load(std::memory_order_acquire) == woken; };
    if (deadline == time_point::max()) {
      condition_.wait(lock, is_woken);
    } else if (!condition_.wait_until(lock, deadline, is_woken)) {
      auto still = asleep;
      if (state_.compare_exchange_strong(still, awake, std::memory_order_acq_rel)) return false;
      condition_.wait(lock, is_woken);  // somebody is about to wake it
    }
  }
  return state_.exchange(awake, std::memory_order_acq_rel) == woken;
}

void parker::unpark() noexcept {
  // Release pairs with the acquire in park_until(). Only who sleeps, or is about to, needs the system's help.
  auto before = state_.load(std::memory_order_relaxed);
  const auto next = [](state s) { return s == awake ? woken : s == asleep ? waking : s; };
  while (!state_.compare_exchange_weak(before, next(before), std::memory_order_acq_rel)) {
  }
  if (before != asleep) return;
  const std::lock_guard lock(mutex_);
  state_.exchange(woken, std::memory_order_acq_rel);  // with what another has said meanwhile
  condition_.notify_one();
}

}  // namespace kv::detail
