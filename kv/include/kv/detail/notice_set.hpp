// The notices that wait for the death of a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include <kv/detail/message.hpp>

namespace kv::detail {

struct notice_hash {
  std::size_t operator()(pid who) const noexcept { return std::hash<pid>{}(who); }
  std::size_t operator()(const down_notice::key_type& key) const noexcept {
    return std::hash<pid>{}(key.who) ^ key.ref.id;
  }
};

/// A set of notices, one for each key. It links the notices themselves through message::next, so that nothing but room
/// for its chains is ever allocated; without memory for more chains they get longer, and nothing fails. Most processes
/// have one or two notices, a few have a million. Few are visited in the order in which they came.
template <class Notice>
class notice_set {
 public:
  using key_type = typename Notice::key_type;
  static constexpr std::size_t few = 16;

  notice_set() = default;
  notice_set(const notice_set&) = delete;
  notice_set& operator=(const notice_set&) = delete;
  ~notice_set() {
    while (pop()) {
    }
  }

  std::size_t size() const noexcept { return size_; }

  /// Takes the notice; false, and it is gone, when there is one of that key. O(1).
  bool insert(std::unique_ptr<Notice> notice) noexcept {
    auto* place = &chain_of(notice->key());
    for (; *place != nullptr; place = &(*place)->next) {
      if (at(*place).key() == notice->key()) return false;
    }
    notice->next = nullptr;
    *place = notice.release();
    next_to_pop_ = 0;
    if (++size_ > few && size_ > 2 * chains()) grow();
    return true;
  }

  /// Returns the notice of that key, or null. O(1).
  Notice* find(const key_type& key) noexcept {
    auto* const node = *place_of(key);
    return node == nullptr ? nullptr : &at(node);
  }

  /// Removes and returns the notice of that key; null when there is none. O(1).
  std::unique_ptr<Notice> take(const key_type& key) noexcept { return unlink(*place_of(key)); }

  /// Removes and returns some notice; null when there is none.
  std::unique_ptr<Notice> pop() noexcept {
    while (size_ > 0) {
      auto& chain = many_ ? many_[next_to_pop_] : first_;
      if (chain != nullptr) return unlink(chain);
      ++next_to_pop_;
    }
    return nullptr;
  }

  template <class Visitor>
  void for_each(Visitor visit) const {
    for (std::size_t i = 0; i < chains(); ++i) {
      for (auto* node = many_ ? many_[i] : first_; node != nullptr; node = node->next) visit(at(node));
    }
  }

 private:
  static Notice& at(message* node) noexcept { return static_cast<Notice&>(*node); }

  std::size_t chains() const noexcept { return std::size_t{mask_} + 1; }
  message*& chain_of(const key_type& key) noexcept { return many_ ? many_[notice_hash{}(key)&mask_] : first_; }

  /// Returns the place that leads to the notice of that key, or one that leads to nothing.
  message** place_of(const key_type& key) noexcept {
    auto* place = &chain_of(key);
    while (*place != nullptr && !(at(*place).key() == key)) place = &(*place)->next;
    return place;
  }

  std::unique_ptr<Notice> unlink(message*& place) noexcept {
    auto* const node = place;
    if (node == nullptr) return nullptr;
    place = std::exchange(node->next, nullptr);
    --size_;
    return std::unique_ptr<Notice>(&at(node));
  }

  void grow() noexcept {
    const auto wanted = 4 * chains() < few ? few : 4 * chains();
    std::unique_ptr<message*[]> more(new (std::nothrow) message*[wanted]());
    if (!more) return;
    const auto before = chains();
    const auto old = std::exchange(many_, std::move(more));
    mask_ = static_cast<std::uint32_t>(wanted - 1);
    next_to_pop_ = 0;
    for (std::size_t i = 0; i < before; ++i) {
      for (auto* node = old ? old[i] : std::exchange(first_, nullptr); node != nullptr;) {
        auto* const moved = std::exchange(node, node->next);
        auto& chain = chain_of(at(moved).key());
        moved->next = chain;
        chain = moved;
      }
    }
  }

  message* first_ = nullptr;          // the one chain, while many_ is null
  std::unique_ptr<message*[]> many_;  // as many chains as mask_ + 1, a power of two
  std::uint32_t size_ = 0;
  std::uint32_t mask_ = 0;
  std::uint32_t next_to_pop_ = 0;  // no chain before this one has anything, while the set is emptied
};

}  // namespace kv::detail
