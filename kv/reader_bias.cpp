#include <kv/detail/reader_bias.hpp>

#include <thread>

namespace kv::detail {

namespace {

struct slot_directory {
  std::array<reader_slot, reader_slots::count> slots;
  std::array<std::atomic<bool>, reader_slots::count> taken{};
  // How many slots were ever taken: a writer need not look further. Grows before the slot is first used, and is read
  // after the writer's flag is up, both sequentially consistent: a reader that a writer overlooks sees the flag.
  std::atomic<std::size_t> used{0};
};

constinit slot_directory directory{};

/// Holds a thread's slot until the thread ends.
class slot_lease {
 public:
  slot_lease() noexcept {
    for (std::size_t i = 0; i < reader_slots::count; ++i) {
      bool expected = false;
      // Acquire pairs with the release of the thread that had the slot before.
      if (!directory.taken[i].compare_exchange_strong(expected, true, std::memory_order_acquire)) continue;
      slot = &directory.slots[i];
      for (auto seen = directory.used.load(); seen <= i && !directory.used.compare_exchange_weak(seen, i + 1);) {
      }
      return;
    }
  }
  slot_lease(const slot_lease&) = delete;
  slot_lease& operator=(const slot_lease&) = delete;
  ~slot_lease() {
    if (slot == nullptr) return;
    const auto index = static_cast<std::size_t>(slot - directory.slots.data());
    slot = nullptr;  // what this thread still reads on its way out takes the mutex
    reader_slots::forget_mine();
    directory.taken[index].store(false, std::memory_order_release);
  }

  reader_slot* slot = nullptr;
};

}  // namespace

reader_slot* reader_slots::take() noexcept {
  static thread_local const slot_lease lease;
  return mine_ = lease.slot;
}

void reader_slots::await_none(const void* lock) noexcept {
  const auto used = directory.used.load(std::memory_order_seq_cst);
  for (std::size_t i = 0; i < used; ++i) {
    for (unsigned tries = 0; directory.slots[i].reading.load(std::memory_order_seq_cst) == lock; ++tries) {
      if (tries > 100) std::this_thread::yield();  // the reader was preempted
    }
  }
}

}  // namespace kv::detail
