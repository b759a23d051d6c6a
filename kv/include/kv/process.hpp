// What a process can do: the functions of the process that runs right now.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <kv/detail/call.hpp>
#include <kv/detail/receive.hpp>
#include <kv/exit_reason.hpp>
#include <kv/messages.hpp>
#include <kv/pid.hpp>
#include <kv/ref.hpp>
#include <kv/runtime.hpp>
#include <kv/spawn.hpp>

// Threads and blocking. All of these work on the calling process, and throw std::logic_error outside one. Only
// receive() and spawning a server that is no leaf can block; a leaf that tries gets leaf_blocked. An exit signal takes
// effect when the current callback returns or blocks, because C++ cannot stop running code: a process that computes
// for a minute can be killed after that minute. A process that has to end while it is blocked is unwound by an
// exception that is no std::exception; a `catch (...)` that swallows it only puts it off until the next blocking call.

namespace kv {

/// Returns the pid of the calling process.
pid self();
/// Returns the pid of the calling process; nothing on a plain thread.
std::optional<pid> self_if_any() noexcept;

// Start ------------------------------------------------------------------------------------------------------------

/// Starts a server. See runtime::spawn.
template <class T, class... Args>
ref<T> spawn(Args&&... args) {
  return detail::spawn_server<T>(*detail::this_process().home, {}, std::forward<Args>(args)...);
}
template <std::invocable F>
pid spawn(F function) {
  return detail::spawn_function(*detail::this_process().home, {}, std::move(function));
}
/// Starts a function as a process that has an OS thread of its own, where it may also block in ways that the runtime
/// does not know: in a system call, on a std::mutex. Costs a thread; messages cost waking it.
template <std::invocable F>
pid spawn_thread(F function) {
  return detail::spawn_on_thread(*detail::this_process().home, std::move(function));
}
/// Starts a server or function that is linked to the caller from before its first instruction. A constructor that
/// throws is told by start_error alone; the link is gone then. Mirrors `GenServer.start_link/3`, `spawn_link/1`.
template <class T, class... Args>
ref<T> spawn_link(Args&&... args) {
  return detail::spawn_server<T>(*detail::this_process().home, {.link = true, .name = {}}, std::forward<Args>(args)...);
}
template <std::invocable F>
pid spawn_link(F function) {
  return detail::spawn_function(*detail::this_process().home, {.link = true, .name = {}}, std::move(function));
}
/// The same under a name. Throws name_taken.
template <class T, class... Args>
ref<T> spawn_link_named(std::string name, Args&&... args) {
  return detail::spawn_server<T>(*detail::this_process().home, {.link = true, .name = std::move(name)},
                                 std::forward<Args>(args)...);
}

// Talk -------------------------------------------------------------------------------------------------------------

/// Sends a message; nothing happens when the receiver is dead. Messages and signals from one process to another arrive
/// in the order they were sent.
template <class M>
void send(pid to, M message) {
  detail::this_process().home->send(to, std::make_unique<detail::letter_of<M>>(std::move(message)));
}

/// Takes the first message that one of the handlers accepts, in the order of arrival; the others stay for later. Waits
/// for one to come. A handler is a function of one argument, `const M&`. O(messages that wait). Mirrors `receive`.
template <class... Handlers>
  requires(sizeof...(Handlers) > 0)
void receive(Handlers&&... handlers) {
  detail::receive_until(detail::this_process(), detail::time_point::max(), handlers...);
}
/// The same with a deadline; false when nothing came in time. A deadline of zero looks and does not wait.
template <class... Handlers>
[[nodiscard]] bool receive_for(std::chrono::nanoseconds timeout, Handlers&&... handlers) {
  auto& p = detail::this_process();
  return detail::receive_until(p, p.home->deadline_after(timeout), handlers...);
}
/// Waits for a message of that type and returns it.
template <class M>
M receive() {
  std::optional<M> result;
  receive([&](M& message) { result.emplace(std::move(message)); });
  return std::move(*result);
}
template <class M>
[[nodiscard]] std::optional<M> receive_for(std::chrono::nanoseconds timeout) {
  std::optional<M> result;
  static_cast<void>(receive_for(timeout, [&](M& message) { result.emplace(std::move(message)); }));
  return result;
}

/// Waits for a message of that type of which `wanted(message)` is true; the others stay for later. Nothing when none
/// came in time.
template <class M, std::predicate<const M&> Predicate>
[[nodiscard]] std::optional<M> receive_if(Predicate wanted, std::chrono::nanoseconds timeout = infinity) {
  auto& p = detail::this_process();
  const auto found =
      detail::take_letter(p, p.home->deadline_after(timeout), detail::types_of<M>, [&](detail::letter& m) {
        const auto* const body = m.as<M>();
        return body != nullptr && wanted(*body);
      });
  return found ? std::optional<M>(std::move(*static_cast<detail::letter&>(*found).as<M>())) : std::nullopt;
}

// Watch ------------------------------------------------------------------------------------------------------------

/// Watches a process: a `down` with this tag comes when it ends, and at once, with `noproc`, when it is dead. The tag
/// is the owner's: with it he needs no map from references to meanings. Mirrors `monitor/2` with the tag option.
monitor_ref monitor(pid target, std::string tag = {});
/// Takes the monitor back: no `down` of it comes any more. With `flush`, one that has come already is removed, too.
void demonitor(monitor_ref ref, bool flush = false);
/// Waits for the `down` of that monitor; nothing when it does not come in time.
[[nodiscard]] std::optional<down> await(monitor_ref ref, std::chrono::nanoseconds timeout = infinity);
/// Ties the caller to a process: when one of them ends, the other gets an exit signal. Once is enough, in either
/// direction. A dead process answers with the exit signal `noproc`. Mirrors `link/1`.
void link(pid peer);
/// Unties them. Once it has returned, no exit signal of that link comes any more.
void unlink(pid peer);

// End --------------------------------------------------------------------------------------------------------------

/// Ends the calling process with this reason, by unwinding the callback it is in. Mirrors `exit/1`.
[[noreturn]] void exit(const exit_reason& reason);
/// Sends an exit signal. `normal` is ignored unless the receiver traps exits or is the sender; `kill` cannot be
/// trapped. It takes effect when the receiver's current callback returns or blocks. Mirrors `exit/2`.
void exit(pid whom, const exit_reason& reason);
/// From now on exit signals come as exit_signal messages instead of ending the process; `kill` still ends it. A server
/// without `handle(const exit_signal&)` then still ends with its parent. Returns what was set before.
bool trap_exit(bool on);

// Time and chance --------------------------------------------------------------------------------------------------

/// Returns the time of the caller's runtime: of the steady clock, or of a simulation, where it stands still while
/// anybody has something to do. What a process does by the clock had better use this one.
std::chrono::steady_clock::time_point now();
/// Returns a random number, evenly distributed; in a simulation, the next one of its seed. Not for secrets.
std::uint64_t random();

// Names ------------------------------------------------------------------------------------------------------------

/// Returns the process of that name in the caller's runtime. See runtime::whereis.
std::optional<pid> whereis(std::string_view name);

}  // namespace kv
