// How many messages may wait in a mailbox.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include <kv/detail/inbox.hpp>

namespace kv {

/// What becomes of a message that is sent to a mailbox at its limit. A call is refused in either case.
enum class when_full : std::uint8_t {
  drop,  ///< it is dropped, and counted
  block  ///< its sender waits until there is room; what timers and event managers send is dropped. See limit_mailbox
};

namespace detail {

/// The messages that wait in one bounded mailbox, counted by the senders and by the holder. It belongs to a slot and
/// serves one process after another, so the count carries the generation of the process that it is of: what a late
/// sender does to the count of a dead process, it cannot do to the next one's.
///
/// The count orders nothing but itself, with one exception: a sender that waits sets has_waiting_ and then looks at the
/// count; the holder lowers the count and then looks at has_waiting_. Both are sequentially consistent, so one of the
/// two sees the other and no sender waits beside an empty mailbox.
class mailbox_bound {
 public:
  enum class entry : std::uint8_t { counted, full, dead };

  /// The holder, or the creator before the pid is given away. The mailbox counts as empty.
  void open(std::uint32_t generation, std::uint32_t limit, when_full how) noexcept;
  /// The holder, at the end. Nobody gets in any more; returns the senders that wait.
  message* close() noexcept;

  /// Any thread, before it pushes a message.
  entry enter(std::uint32_t generation) noexcept;
  /// Whoever takes a counted message out, or could not push it. Returns a sender that has waited for this, or null; all
  /// of them when the mailbox is empty now: one that is woken may have died, and its place must not stay free for ever.
  message* leave(std::uint32_t generation) noexcept;
  /// Any thread, which then waits for the answer. Gives it back when there may be room, or the process is dead.
  message_ptr wait(std::uint32_t generation, message_ptr sender) noexcept;

  /// Any thread. Counts a message that was dropped; true when it is the first since the mailbox was last half empty.
  bool drop() noexcept;

  std::uint32_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  when_full how() const noexcept { return how_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> load_{0};  // generation and count
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint32_t> limit_{0};
  std::atomic<when_full> how_{when_full::drop};
  std::atomic<bool> is_reported_{false};
  std::atomic<bool> has_waiting_{false};  // written under mutex_
  std::mutex mutex_;
  message_queue waiting_;  // under mutex_
};

}  // namespace detail
}  // namespace kv
