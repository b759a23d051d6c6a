// Processes that stay a while after another has ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include <kv/process.hpp>

namespace kv {

namespace detail {

/// Watches a process, and says when its grace period is over.
class afterlife {
 public:
  /// Throws std::invalid_argument for a grace period below 0.
  afterlife(pid target, std::chrono::nanoseconds grace);

  /// Watches another one from now on.
  void follow(pid target);
  pid target() const noexcept { return target_; }
  /// Why the target has ended; nothing while it lives.
  const std::optional<exit_reason>& end() const noexcept { return end_; }

  struct over {
    std::uint64_t number = 0;
  };
  void notice(const down& news);
  bool is_over(const over& news) const noexcept { return end_ && news.number == number_; }

 private:
  std::chrono::nanoseconds grace_;
  pid target_;
  monitor_ref watch_;
  std::optional<exit_reason> end_;
  std::uint64_t number_ = 0;  // of the period that runs
};

}  // namespace detail

/// A process that holds something of another, its target, and outlives it by a grace period: for a target that may come
/// back, as a caller whose line broke, and for who comes too late to ask the target itself. When the time is over it says
/// farewell and ends with `normal`. Mirrors `Immortal.Ghost`.
///
///     // In the process of a call:
///     ghost_ = kv::haunt(kv::self(), 1min, call{caller}, [](const call& c) { kv::send(billing, c); });
///     ghost_.cast(&kv::ghost<call>::set, call{caller, seconds});
///     // Somebody who takes the call up again within the minute:
///     ghost.call(&kv::ghost<call>::follow, kv::self());
///
/// A ghost can be a table's heir: then the table lasts as long as the ghost, and may be what it holds. It is tied to its
/// target by a monitor alone: whatever that dies of does not touch it, nor does its own end the target.
template <class State>
class ghost {
 public:
  using farewell = std::function<void(const State&)>;

  /// Of a target that is dead already the period begins at once. Throws std::invalid_argument for a period below 0.
  ghost(pid target, std::chrono::nanoseconds grace, State state, farewell at_end = {})
      : life_(target, grace), state_(std::move(state)), farewell_(std::move(at_end)) {}

  State get() const { return state_; }
  void set(State next) { state_ = std::move(next); }
  /// Replaces what it holds by `change(old)`, and returns that. Mirrors `Ghost.update/2`.
  State update(const std::function<State(State)>& change) {
    state_ = change(std::move(state_));
    return state_;
  }

  /// Stays with another process from now on; a period that had begun is over, without a farewell.
  void follow(pid target) { life_.follow(target); }
  pid target() const noexcept { return life_.target(); }
  /// Returns why the target has ended; nothing while it lives.
  std::optional<exit_reason> end_of_target() const { return life_.end(); }

  using messages = message_types<detail::afterlife::over>;
  void handle(const down& news) { life_.notice(news); }
  void handle(const detail::afterlife::over& news) {
    if (!life_.is_over(news)) return;
    if (farewell_) farewell_(state_);
    exit(exit_reason::normal);
  }

 private:
  detail::afterlife life_;
  State state_;
  farewell farewell_;
};

/// Starts a ghost of that process. Blocks until it is there. Mirrors `Ghost.start/3`.
template <class State>
ref<ghost<State>> haunt(pid target, std::chrono::nanoseconds grace, State state,
                        typename ghost<State>::farewell at_end = {}) {
  return spawn<ghost<State>>(target, grace, std::move(state), std::move(at_end));
}
template <class State>
ref<ghost<State>> haunt(runtime& home, pid target, std::chrono::nanoseconds grace, State state,
                        typename ghost<State>::farewell at_end = {}) {
  return home.spawn<ghost<State>>(target, grace, std::move(state), std::move(at_end));
}

}  // namespace kv
