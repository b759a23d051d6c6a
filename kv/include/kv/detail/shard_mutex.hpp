// The lock of those who write to one shard.
#pragma once

#include <atomic>
#include <cstdint>

namespace kv::detail {

/// A mutex of one word. Held for a few dozen nanoseconds at every write, so its price counts: where a table is in the
/// cache, std::mutex with its kinds and owners is a tenth of what a write costs. After "mutex2" in Drepper, "Futexes Are
/// Tricky" (2011). Who waits sleeps; nobody is told to be next, and who does not wait may come first.
class shard_mutex {
 public:
  shard_mutex() = default;
  shard_mutex(const shard_mutex&) = delete;
  shard_mutex& operator=(const shard_mutex&) = delete;

  void lock() noexcept {
    auto seen = state::free;
    // Acquire pairs with the release of unlock(): who has the lock sees what was done by who had it before.
    if (!state_.compare_exchange_strong(seen, state::taken, std::memory_order_acquire)) [[unlikely]]
      wait();
  }
  /// Wakes one of those who wait after the lock is free already: so whoever destroys it comes after all who unlock it.
  void unlock() noexcept {
    if (state_.exchange(state::free, std::memory_order_release) == state::awaited) [[unlikely]]
      state_.notify_one();
  }

 private:
  enum class state : std::int32_t { free, taken, awaited };  // as large as what the system can wait for

  /// Takes it as awaited, although perhaps nobody else waits any more: then one unlock() wakes nobody. Taken without
  /// that, it would be given back silently to others who still sleep. Acquire as in lock().
  [[gnu::noinline]] void wait() noexcept {
    while (state_.exchange(state::awaited, std::memory_order_acquire) != state::free) state_.wait(state::awaited);
  }

  std::atomic<state> state_{state::free};
};

}  // namespace kv::detail
