// Where control blocks live.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Slots for processes, in chunks that stay until the runtime goes. Free slots are used again in the order they became
/// free, so that a generation lasts as long as possible; a slot whose generations are used up is left out for good.
class slab {
 public:
  static constexpr std::uint32_t chunk_slots = 1024;
  static constexpr std::uint32_t max_chunks = 1U << 14U;
  static constexpr std::uint32_t max_slots = chunk_slots * max_chunks;
  /// More than the limit, for those that have the reserve: supervisors, the registry, and what they start.
  static constexpr std::uint32_t reserved_slots = 1024;

  /// Requires: limit + reserved_slots <= max_slots.
  slab(core& owner, std::uint32_t limit) noexcept : owner_(owner), limit_(limit) {}
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;
  ~slab() { clear(); }
  /// Frees the slots, once nobody looks for any. None can be taken then.
  void clear() noexcept;

  /// Any thread. Returns the slot, or null when it was never in use. O(1).
  process* at(std::uint32_t slot) const noexcept {
    const auto chunk = slot / chunk_slots;
    if (chunk >= max_chunks) return nullptr;
    // Acquire pairs with grow(): the chunk's slots are built before its address can be read.
    auto* const first = chunks_[chunk].load(std::memory_order_acquire);
    return first == nullptr ? nullptr : first + slot % chunk_slots;
  }

  /// Any thread. Returns a free slot whose generation no pid has had, with its mailbox open and the claim taken; null
  /// once the slab is shut. So whoever walks the slots after shut() meets every process there will ever be, and what it
  /// is: `type` is its class, null for a plain thread's stand-in. Throws system_limit when as many are in use as may be;
  /// std::bad_alloc.
  process* take(const std::type_info* type, bool with_reserve);
  void shut();
  /// The holder of the claim, once the process is closed and its generation bumped.
  void give_back(process& p);

  /// Any thread. Calls visit(process&) for every slot that was ever in use; only its atomics may be read.
  template <class Visitor>
  void for_each(Visitor visit) const {
    for (std::uint32_t slot = 0, n = used_.load(std::memory_order_acquire); slot < n; ++slot) visit(*at(slot));
  }

 private:
  process& grow();  // requires mutex_, and a slot that is left

  core& owner_;
  const std::uint32_t limit_;
  std::array<std::atomic<process*>, max_chunks> chunks_{};
  std::atomic<std::uint32_t> used_{0};  // slots ever handed out; release after the slot is ready
  std::mutex mutex_;                    // guards what follows, and the growth of chunks_
  std::uint32_t free_ = 0;
  process* first_free_ = nullptr;  // linked through next_ready
  process* last_free_ = nullptr;
  bool is_shut_ = false;
};

}  // namespace kv::detail
