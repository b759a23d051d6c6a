// As whom the filters of an event manager's clients run.
#pragma once

#include <optional>

#include <kv/detail/core.hpp>

namespace kv::detail {

/// A process that is there while the filters look at one event, on the manager's stack. It is a leaf, so what waits is
/// refused by leaf_blocked; and what a filter does to the process it runs in (ends it, takes its messages, limits its
/// mailbox) it does to this one, and not to the manager. Made when the first filter needs it.
class event_guest {
 public:
  explicit event_guest(core& home) noexcept : home_(home) {}
  event_guest(const event_guest&) = delete;
  event_guest& operator=(const event_guest&) = delete;
  ~event_guest() { leave(); }

  /// Makes it, if it is not there yet. Throws std::runtime_error when there can be no more processes.
  void enter() {
    if (self_ != nullptr) return;
    self_ = &home_.open_external();
    // The claim is held as long as it lives, so no caller gets to run it.
    self_->is_leaf.store(true, std::memory_order_relaxed);
  }
  /// Runs the function as the guest. Throws what it throws. Requires: it has entered.
  template <class F>
  auto run(F&& function) {
    const run_as as(*self_);
    return function();
  }
  /// A filter has asked for its end, or may have: the next one finds another.
  void leave() noexcept {
    if (auto* const p = std::exchange(self_, nullptr)) home_.close_external(*p);
  }
  /// Tells whether it was ended by what it ran, and how.
  std::optional<exit_reason> ended() const {
    return self_ != nullptr && self_->must_exit() ? std::optional(self_->reason) : std::nullopt;
  }

 private:
  core& home_;
  process* self_ = nullptr;
};

}  // namespace kv::detail
