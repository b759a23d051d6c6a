// A lock whose readers do not write to memory that other readers use.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

namespace kv::detail {

/// Where one OS thread says which lock it is reading under. A line of its own, so that two readers never share one.
struct alignas(64) reader_slot {
  std::atomic<const void*> reading{nullptr};
};

/// The slots of all threads, in all runtimes: a lock costs nothing but its own word, and a thread registers itself
/// when it first reads. Threads beyond the last slot, and reads within reads, take the writers' mutex instead.
class reader_slots {
 public:
  static constexpr std::size_t count = 256;

  /// Returns this thread's slot, or null when there is none left. The thread gives it back when it ends.
  static reader_slot* mine() noexcept { return mine_ != nullptr ? mine_ : take(); }
  /// Waits until no thread reads under that lock any more.
  static void await_none(const void* lock) noexcept;
  static void forget_mine() noexcept { mine_ = nullptr; }

 private:
  static reader_slot* take() noexcept;

  inline static constinit thread_local reader_slot* mine_ = nullptr;
};

/// Many readers, one writer. A reader announces itself in its own slot and looks at the writer's flag; a writer raises
/// its flag and looks at all slots. Both do so sequentially consistently, so at least one of them sees the other (a
/// store followed by a load of another word, on both sides), and it is always the reader who steps back.
/// Meant for reads of well under a microsecond: writers wait for readers without sleeping.
class reader_biased_lock {
 public:
  /// For the scope of a read.
  class reading {
   public:
    explicit reading(const reader_biased_lock& lock) noexcept : lock_(lock), slot_(reader_slots::mine()) {
      if (slot_ == nullptr || slot_->reading.load(std::memory_order_relaxed) != nullptr) {
        slot_ = nullptr;
      } else {
        slot_->reading.store(&lock, std::memory_order_seq_cst);
        if (!lock.writing_.load(std::memory_order_seq_cst)) return;
        leave();
      }
      lock.mutex_.lock();
    }
    reading(const reading&) = delete;
    reading& operator=(const reading&) = delete;
    ~reading() { slot_ != nullptr ? leave() : lock_.mutex_.unlock(); }

   private:
    void leave() noexcept {
      // Release: the writer that finds the slot empty comes after everything this reader has read.
      slot_->reading.store(nullptr, std::memory_order_release);
      slot_ = nullptr;
    }

    const reader_biased_lock& lock_;
    reader_slot* slot_;
  };

  /// For the scope of a write.
  class writing {
   public:
    explicit writing(const reader_biased_lock& lock) noexcept : lock_(lock) {
      lock.mutex_.lock();
      lock.writing_.store(true, std::memory_order_seq_cst);
      reader_slots::await_none(&lock);
    }
    writing(const writing&) = delete;
    writing& operator=(const writing&) = delete;
    ~writing() {
      // Release: a reader that sees the flag down sees what was written.
      lock_.writing_.store(false, std::memory_order_release);
      lock_.mutex_.unlock();
    }

   private:
    const reader_biased_lock& lock_;
  };

 private:
  mutable std::mutex mutex_;
  mutable std::atomic<bool> writing_{false};  // under mutex_; read by readers without it
};

}  // namespace kv::detail
