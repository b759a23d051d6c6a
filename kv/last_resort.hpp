// How a process is killed when there is no memory for that.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include <kv/detail/message.hpp>

namespace kv::detail {

/// Room for one kill, used again and again: it is free when the process that was killed has obeyed, or was dead. So with
/// it any number of processes can be ended, one after the other, and nothing is allocated.
class last_resort {
 public:
  /// The thread that waits for the room waits for `changed`, under the lock.
  last_resort(std::mutex& lock, std::condition_variable& changed) noexcept : lock_(lock), changed_(changed) {}
  last_resort(const last_resort&) = delete;
  last_resort& operator=(const last_resort&) = delete;

  bool is_free() const noexcept { return is_free_.load(std::memory_order_acquire); }
  /// Requires: is_free(), and that no other thread takes it.
  std::unique_ptr<signal> take() noexcept;

 private:
  class kill final : public exit_notice {
   public:
    explicit kill(last_resort& of) noexcept : exit_notice(op::exit, pid{}, exit_reason::kill), of_(of) {}
    ~kill() override { destroyed_ = &of_; }
    /// Gives the room back: no memory was allocated for it.
    static void operator delete(void* /*room*/) noexcept { destroyed_->is_free_now(); }

   private:
    // From the destructor to the operator that the language calls right after it, on the same thread.
    static inline thread_local last_resort* destroyed_ = nullptr;

    last_resort& of_;
  };
  void is_free_now() noexcept;

  std::mutex& lock_;
  std::condition_variable& changed_;
  // Release and acquire: who takes the room again sees that the signal in it is destroyed.
  std::atomic<bool> is_free_{true};
  alignas(kill) std::byte room_[sizeof(kill)];
};

}  // namespace kv::detail
