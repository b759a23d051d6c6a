// How a process is talked to.
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <utility>

#include <kv/detail/call.hpp>
#include <kv/detail/core.hpp>
#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>

namespace kv {

/// A process whose state is a `T`. A small value, to be copied freely and kept beyond the process's death: every use
/// then says noproc. Convertible to its pid. Every function may be called from any thread and any process.
template <class T>
class ref {
 public:
  ref() = default;
  ref(detail::core& home, pid id) noexcept : home_(&home), id_(id) {}

  pid id() const noexcept { return id_; }
  operator pid() const noexcept { return id_; }
  explicit operator bool() const noexcept { return static_cast<bool>(id_); }
  /// Tells whether the process has not ended yet. It may end at any moment after.
  bool alive() const noexcept {
    const detail::crossing there(id_);
    return home_ != nullptr && there.is_open() && home_->alive(id_);
  }

  /// Runs a function or member of `T` on the state, inside the process, and returns its result by value.
  ///
  ///     bucket.call(&kv::bucket::put, "milk", "3");
  ///     bucket.call([](kv::bucket& b) { return b.size(); });
  ///
  /// An idle leaf runs it at once on the caller's stack; otherwise the caller waits its turn, at most `default_timeout`.
  /// Throws call_error when the process is dead, ends before it answers (an exception of the function's ends it), does
  /// not answer in time, has no room in its mailbox, or is the caller itself, and when the caller has to end and waits in a
  /// destructor; leaf_blocked when the caller is a leaf.
  ///
  /// A call that timed out may still run: a function that is passed in must own what it uses. Arguments are copied
  /// (text as std::string) unless the call runs at once, and converted to the parameters' types, both by the caller: what
  /// throws there comes out of call() and ends no process. Of a function that is a template or overloaded the parameters
  /// are not known, and it converts by itself. A function that takes a `from<R>` first answers when it likes,
  /// and the result is that `R`. Mirrors `GenServer.call/2`.
  template <class F, class... Args>
  auto call(F&& function, Args&&... args) const {
    return call_for(default_timeout, std::forward<F>(function), std::forward<Args>(args)...);
  }
  /// The same with a deadline of its own.
  template <class F, class... Args>
  auto call_for(std::chrono::nanoseconds timeout, F&& function, Args&&... args) const {
    return detail::call<T>(home_, id_, timeout, std::forward<F>(function), std::forward<Args>(args)...);
  }

  /// Asks for the same and returns at once: the answer is looked for later, by the process that calls this. That the
  /// process is dead is told by the answer. Throws call_error when its mailbox is full, when the caller is the process
  /// itself and when this handle is nobody's; std::logic_error on a plain thread, and in a simulation for a process of a
  /// runtime with threads. Never blocks. Mirrors
  /// `gen_server:send_request/2`.
  template <class F, class... Args>
  auto send_request(F&& function, Args&&... args) const {
    return detail::send_request<T>(home_, id_, std::forward<F>(function), std::forward<Args>(args)...);
  }

  /// Runs it some time, and returns at once, unless the mailbox is full and its owner wants senders to wait: see
  /// limit_mailbox. Nothing happens when the process is dead; an exception ends it.
  /// Mirrors `GenServer.cast/2`.
  template <class F, class... Args>
  void cast(F&& function, Args&&... args) const {
    if (home_ == nullptr) return;
    detail::send_across(*home_, id_, detail::make_cast<T>(std::forward<F>(function), std::forward<Args>(args)...));
  }

  /// Sends a message to the state's `handle(const M&)`, which must exist. Otherwise as kv::send.
  template <class M>
    requires requires(T& state, const M& message) { state.handle(message); }
  void send(M message) const {
    if (home_ == nullptr) return;
    detail::send_across(*home_, id_, std::make_unique<detail::addressed_letter<T, M>>(std::move(message)));
  }

  /// Ends the process once it has handled what was sent before, and waits for that. Throws call_error when it is dead
  /// already, ends with another reason or does not end in time. Mirrors `GenServer.stop/3`, which waits for ever if not
  /// told otherwise; a supervisor, which has children to stop, had better be given more time than the default.
  void stop(const exit_reason& reason = exit_reason::normal, std::chrono::nanoseconds timeout = default_timeout) const {
    detail::stop(home_, id_, reason, timeout);
  }

  friend bool operator==(const ref& a, const ref& b) noexcept { return a.id_ == b.id_; }
  friend std::ostream& operator<<(std::ostream& out, const ref& r) { return out << r.id_; }

 private:
  detail::core* home_ = nullptr;
  pid id_;
};

}  // namespace kv

template <class T>
struct std::hash<kv::ref<T>> {
  std::size_t operator()(const kv::ref<T>& r) const noexcept { return std::hash<kv::pid>{}(r.id()); }
};
