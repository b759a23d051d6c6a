// The shared end of a mailbox: one word that says who may run the process and what has been sent to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <kv/detail/message.hpp>

namespace kv::detail {

/// One atomic word, in one of four states:
///
///   idle    nobody runs the process and nothing waits for it
///   busy    somebody holds the claim (it is queued to run, running, or being set up); nothing waits
///   a list  somebody holds the claim, and messages wait, newest first
///   closed  the process is dead
///
///             push               try_claim   take_all   try_release   close
///   idle      -> list, "wake"    -> busy     -          -             -> closed
///   busy      -> list            fails       nothing    -> idle       -> closed
///   list      -> list            fails       -> busy    fails         -> closed
///   closed    fails              fails       -          -             -
///
/// (I1) Exactly one party holds the claim of a process that is not idle: whoever moved it out of idle, or whom that
///      party handed it to through a run queue. Only the holder touches the process's own data.
/// (I2) Messages of one sender are taken in the order they were pushed.
class inbox {
 public:
  enum class pushed : std::uint8_t { queued, wake, closed };

  /// Any thread. `wake` gives the claim to the caller, who must see to it that the process runs. When `closed`, the
  /// node stays the caller's.
  pushed push(message* node) noexcept {
    auto seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      if (seen == closed_word) return pushed::closed;
      node->next = is_list(seen) ? to_node(seen) : nullptr;
      // Release: publishes the node to take_all. Acquire: a push that claims continues where the last holder's
      // try_release left the process.
      if (word_.compare_exchange_weak(seen, to_word(node), std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return seen == idle_word ? pushed::wake : pushed::queued;
      }
    }
  }

  /// Any thread. Takes the claim of an idle process. Acquire pairs with the last holder's try_release.
  bool try_claim() noexcept {
    auto expected = idle_word;
    return word_.compare_exchange_strong(expected, busy_word, std::memory_order_acquire, std::memory_order_relaxed);
  }

  /// Holder. Gives the claim back; fails when a message came in between, which the holder then has to look at.
  /// Release: what the holder did is seen by whoever claims next.
  bool try_release() noexcept {
    auto expected = busy_word;
    return word_.compare_exchange_strong(expected, idle_word, std::memory_order_release, std::memory_order_relaxed);
  }

  /// Holder. Takes what has come, oldest first. Acquire pairs with the senders' push.
  message* take_all() noexcept {
    return is_list(word_.load(std::memory_order_relaxed))
               ? oldest_first(word_.exchange(busy_word, std::memory_order_acquire))
               : nullptr;
  }

  /// Holder. Tells whether something waits; a stale "no" is put right by try_release, which then fails.
  bool has_messages() const noexcept { return is_list(word_.load(std::memory_order_relaxed)); }

  /// Any thread. A hint: true when nobody ran the process a moment ago.
  bool looks_idle() const noexcept { return word_.load(std::memory_order_relaxed) == idle_word; }

  /// Any thread. A hint: true when the process was not dead a moment ago.
  bool is_open() const noexcept { return word_.load(std::memory_order_relaxed) != closed_word; }

  /// Holder. Nothing gets in any more; returns what was still there, oldest first.
  message* close() noexcept { return oldest_first(word_.exchange(closed_word, std::memory_order_acq_rel)); }

  /// The owner of a free slot, before the new process's pid is given to anybody. The claim is the caller's.
  void open() noexcept { word_.store(busy_word, std::memory_order_release); }

 private:
  using word = std::uintptr_t;
  static constexpr word busy_word = 0;
  static constexpr word idle_word = 1;
  static constexpr word closed_word = 2;

  static bool is_list(word value) noexcept { return value > closed_word; }
  static message* to_node(word value) noexcept { return reinterpret_cast<message*>(value); }
  static word to_word(message* node) noexcept { return reinterpret_cast<word>(node); }

  static message* oldest_first(word newest) noexcept {
    message* result = nullptr;
    for (auto* node = is_list(newest) ? to_node(newest) : nullptr; node != nullptr;) {
      auto* const older = node->next;
      node->next = result;
      result = node;
      node = older;
    }
    return result;
  }

  std::atomic<word> word_{closed_word};
};

/// The private end of a mailbox: a first-in first-out list that only the holder of the claim touches.
class message_queue {
 public:
  message_queue() = default;
  message_queue(const message_queue&) = delete;
  message_queue& operator=(const message_queue&) = delete;
  ~message_queue() {
    while (pop()) {
    }
  }

  bool empty() const noexcept { return first_ == nullptr; }
  const message* front() const noexcept { return first_; }

  void push(message_ptr node) noexcept {
    auto* const raw = node.release();
    raw->next = nullptr;
    *(first_ == nullptr ? &first_ : &last_->next) = raw;
    last_ = raw;
  }

  /// Puts a message before all others.
  void push_front(message_ptr node) noexcept {
    auto* const raw = node.release();
    raw->next = first_;
    if (first_ == nullptr) last_ = raw;
    first_ = raw;
  }

  message_ptr pop() noexcept {
    auto* const node = first_;
    if (node != nullptr) first_ = node->next;
    return message_ptr(node);
  }

  /// Removes all; returns the first, which leads to the others.
  message* take_all() noexcept { return std::exchange(first_, nullptr); }

  /// Returns how many there are. O(messages).
  std::size_t size() const noexcept {
    std::size_t result = 0;
    for (const auto* node = first_; node != nullptr; node = node->next) ++result;
    return result;
  }

  /// Removes and returns the first message that `wanted(message&)` accepts; null when there is none. O(messages).
  template <class Predicate>
  message_ptr take_first(Predicate wanted) {
    message* before = nullptr;
    for (auto* node = first_; node != nullptr; before = node, node = node->next) {
      if (!wanted(*node)) continue;
      (before == nullptr ? first_ : before->next) = node->next;
      if (last_ == node) last_ = before;
      return message_ptr(node);
    }
    return nullptr;
  }

 private:
  message* first_ = nullptr;
  message* last_ = nullptr;  // meaningless while first_ is null
};

}  // namespace kv::detail
