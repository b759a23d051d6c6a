// State that is shared, and nothing else: what a server is for that has no behaviour of its own.
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <kv/process.hpp>
#include <kv/ref.hpp>
#include <kv/runtime.hpp>

namespace kv {

namespace detail {

/// The process behind an agent.
template <class T>
struct agent_server {
  static constexpr bool leaf = true;

  template <std::invocable Init>
  explicit agent_server(Init init) : state(init()) {}

  T state;
};

}  // namespace detail

/// A process that holds a `T` and runs the functions that it is given, one after the other. A small value, to be copied
/// freely and kept beyond the process's death: every use then says noproc.
///
///     const auto counter = kv::agent<int>::start(runtime, [] { return 0; });
///     counter.update([](int& n) { ++n; });
///     const int now = counter.get([](int n) { return n; });
///
/// The functions run inside the process, which is a leaf: on the caller's stack while it is idle, and they must not block.
/// So keep long work out of them: others wait. One that throws ends the agent. They take what std::invoke can call with
/// the state, members of `T` as well. One whose call has timed out may still run, so it must own what it uses.
///
/// get, update, get_and_update and stop throw call_error as ref::call does: when the agent is dead, ends meanwhile or does
/// not answer in time. Every function may be called from any thread and from any process that is no leaf. Mirrors
/// `Agent`.
template <class T>
class agent {
  using server = detail::agent_server<T>;

 public:
  agent() = default;

  // Start ----------------------------------------------------------------------------------------------------------

  /// Starts an agent with what `init()` returns, which runs inside the new process. Returns when that is done; throws
  /// start_error with what it threw. Mirrors `Agent.start/2`.
  template <std::invocable Init>
  static agent start(runtime& home, Init init) {
    return agent(home.spawn<server>(std::move(init)));
  }
  /// The same in the runtime of the calling process.
  template <std::invocable Init>
  static agent start(Init init) {
    return agent(kv::spawn<server>(std::move(init)));
  }
  /// The same under a name. Throws name_taken.
  template <std::invocable Init>
  static agent start_named(runtime& home, std::string name, Init init) {
    return agent(home.spawn_named<server>(std::move(name), std::move(init)));
  }
  /// Starts an agent that is linked to the calling process, as a supervisor wants it. Mirrors `Agent.start_link/2`.
  template <std::invocable Init>
  static agent start_link(Init init) {
    return agent(kv::spawn_link<server>(std::move(init)));
  }
  template <std::invocable Init>
  static agent start_link_named(std::string name, Init init) {
    return agent(kv::spawn_link_named<server>(std::move(name), std::move(init)));
  }
  /// Returns the agent of that name, if there is one, it is alive and it holds a `T`.
  static std::optional<agent> find(const runtime& home, std::string_view name) {
    const auto found = home.whereis<server>(name);
    return found ? std::optional(agent(*found)) : std::nullopt;
  }

  // Use ------------------------------------------------------------------------------------------------------------

  /// Returns `function(const T&)`, by value. Mirrors `Agent.get/3`.
  template <std::invocable<const T&> F>
  auto get(F function, std::chrono::nanoseconds timeout = default_timeout) const {
    return server_.call_for(timeout, [function = std::move(function)](server& s) mutable {
      return std::invoke(function, std::as_const(s.state));
    });
  }
  /// Runs `function(T&)`, which changes the state in place, and returns when that is done. What it returns is dropped.
  /// Mirrors `Agent.update/3`.
  template <std::invocable<T&> F>
  void update(F function, std::chrono::nanoseconds timeout = default_timeout) const {
    server_.call_for(timeout, [function = std::move(function)](server& s) mutable {
      static_cast<void>(std::invoke(function, s.state));
    });
  }
  /// Runs `function(T&)`, which changes the state in place, and returns what it returns, by value. Mirrors
  /// `Agent.get_and_update/3`.
  template <std::invocable<T&> F>
  auto get_and_update(F function, std::chrono::nanoseconds timeout = default_timeout) const {
    return server_.call_for(
        timeout, [function = std::move(function)](server& s) mutable { return std::invoke(function, s.state); });
  }
  /// Runs `function(T&)` some time, and returns at once; nothing happens when the agent is dead. Mirrors `Agent.cast/2`.
  template <std::invocable<T&> F>
  void cast(F function) const {
    server_.cast(
        [function = std::move(function)](server& s) mutable { static_cast<void>(std::invoke(function, s.state)); });
  }
  /// Ends the agent once it has done what it was told before, and waits for that. See ref::stop. Mirrors `Agent.stop/3`.
  void stop(const exit_reason& reason = exit_reason::normal, std::chrono::nanoseconds timeout = default_timeout) const {
    server_.stop(reason, timeout);
  }

  // Look -----------------------------------------------------------------------------------------------------------

  pid id() const noexcept { return server_.id(); }
  operator pid() const noexcept { return id(); }
  explicit operator bool() const noexcept { return static_cast<bool>(server_); }
  /// Tells whether the agent has not ended yet. It may end at any moment after.
  bool alive() const noexcept { return server_.alive(); }

  friend bool operator==(const agent& a, const agent& b) noexcept { return a.server_ == b.server_; }
  friend std::ostream& operator<<(std::ostream& out, const agent& a) { return out << a.id(); }

 private:
  explicit agent(ref<server> process) noexcept : server_(process) {}

  ref<server> server_;
};

}  // namespace kv
