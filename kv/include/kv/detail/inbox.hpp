// The shared end of a mailbox: one word that says who may run the process and what has been sent to it.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <kv/detail/message.hpp>

namespace kv::detail {

/// One atomic word: which process of the slot it is for, what is closed, and one of three states.
///
///   idle    nobody runs the process and nothing waits for it
///   busy    somebody holds the claim (it is queued to run, running, or being set up); nothing waits
///   a list  somebody holds the claim, and messages wait, newest first
///
///             push               try_claim   take_all   try_release
///   idle      -> list, "wake"    -> busy     -          -
///   busy      -> list            fails       nothing    -> idle
///   list      -> list            fails       -> busy    fails
///
/// It is open to everything; then, while the process departs, to signals, requests and answers alone (shut); then closed
/// to all. Whoever pushes says for which generation: a node for an earlier process of the slot does not get in.
///
/// (I1) Exactly one party holds the claim of a process that is not idle: whoever moved it out of idle, or whom that
///      party handed it to through a run queue. Only the holder touches the process's own data.
/// (I2) Messages of one sender are taken in the order they were pushed.
/// (I3) A message that does not get in stays its sender's, who destroys it.
class inbox {
 public:
  enum class pushed : std::uint8_t { queued, wake, closed };

  /// Any thread. `wake` gives the claim to the caller, who must see to it that the process runs. When `closed`, the
  /// node stays the caller's.
  pushed push(message* node) noexcept {
    auto seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      if (((seen ^ tag_of(node->generation)) & (tag_bits | closed_bit)) != 0) return pushed::closed;
      if ((seen & shut_bit) != 0 && !gets_into_shut(*node)) return pushed::closed;
      node->next = to_node(seen);
      const auto wanted = (seen & (tag_bits | shut_bit)) | to_word(node);
      // Release: publishes the node to take_all. Acquire: a push that claims continues where the last holder's
      // try_release left the process.
      if (word_.compare_exchange_weak(seen, wanted, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return (seen & idle_bit) != 0 ? pushed::wake : pushed::queued;
      }
    }
  }

  /// Any thread. Takes the claim of an idle process. Acquire pairs with the last holder's try_release.
  bool try_claim() noexcept {
    auto seen = word_.load(std::memory_order_relaxed);
    return (seen & idle_bit) != 0 &&
           word_.compare_exchange_strong(seen, seen & ~idle_bit, std::memory_order_acquire, std::memory_order_relaxed);
  }
  /// The same, if it is idle and of that generation.
  bool try_claim(std::uint32_t generation) noexcept {
    auto expected = tag_of(generation) | idle_bit;
    return word_.compare_exchange_strong(expected, tag_of(generation), std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  /// Holder. Gives the claim back; fails when a message came in between, which the holder then has to look at.
  /// Release: what the holder did is seen by whoever claims next.
  bool try_release() noexcept {
    auto seen = word_.load(std::memory_order_relaxed);
    return !is_list(seen) &&
           word_.compare_exchange_strong(seen, seen | idle_bit, std::memory_order_release, std::memory_order_relaxed);
  }

  /// Holder. Takes what has come, oldest first. Acquire pairs with the senders' push.
  message* take_all() noexcept {
    const auto seen = word_.load(std::memory_order_relaxed);
    if (!is_list(seen)) return nullptr;
    return oldest_first(word_.exchange(seen & (tag_bits | shut_bit), std::memory_order_acquire));
  }

  /// Holder. Tells whether something waits; a stale "no" is put right by try_release, which then fails.
  bool has_messages() const noexcept { return is_list(word_.load(std::memory_order_relaxed)); }

  /// Any thread. A hint: true when nobody ran the process a moment ago.
  bool looks_idle() const noexcept { return (word_.load(std::memory_order_relaxed) & idle_bit) != 0; }

  /// Any thread. A hint: true when the process was not dead a moment ago.
  bool is_open() const noexcept { return (word_.load(std::memory_order_relaxed) & closed_bit) == 0; }

  /// Holder. From now on only signals, requests and answers get in. Acquire: take_all() then sees all that came before.
  void shut() noexcept { word_.fetch_or(shut_bit, std::memory_order_acq_rel); }

  /// Holder. Nothing gets in any more; returns what was still there, oldest first.
  message* close() noexcept { return oldest_first(word_.exchange(closed_bit, std::memory_order_acq_rel)); }

  /// The owner of a free slot, before the new process's pid is given to anybody. The claim is the caller's.
  void open(std::uint32_t generation) noexcept { word_.store(tag_of(generation), std::memory_order_release); }

 private:
  // The low bits of a node's address are 0, and so are the upper 16 of every address that the system gives a program
  // which asks for no other.
  using word = std::uint64_t;
  static constexpr word idle_bit = 1;
  static constexpr word shut_bit = 2;
  static constexpr word closed_bit = 4;
  static constexpr word tag_bits = word{0xffff} << 48U;
  static constexpr word node_bits = ~(tag_bits | idle_bit | shut_bit | closed_bit);
  static_assert(alignof(std::max_align_t) > (idle_bit | shut_bit | closed_bit));

  /// Of a generation, as much as there is room for: another process of the slot with the same tag is 65,536 deaths away.
  static word tag_of(std::uint32_t generation) noexcept { return word{generation} << 48U; }
  static bool is_list(word value) noexcept { return (value & node_bits) != 0; }
  static message* to_node(word value) noexcept { return reinterpret_cast<message*>(value & node_bits); }
  static word to_word(message* node) noexcept {
    const auto value = reinterpret_cast<word>(node);
    assert((value & ~node_bits) == 0);
    return value;
  }
  static bool gets_into_shut(const message& node) noexcept {
    return node.kind == message_kind::signal || node.kind == message_kind::request;
  }

  static message* oldest_first(word newest) noexcept {
    message* result = nullptr;
    for (auto* node = to_node(newest); node != nullptr;) {
      auto* const older = node->next;
      node->next = result;
      result = node;
      node = older;
    }
    return result;
  }

  std::atomic<word> word_{closed_bit};
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
