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
#include <kv/detail/mailbox_bound.hpp>
#include <kv/detail/receive.hpp>
#include <kv/exit_reason.hpp>
#include <kv/messages.hpp>
#include <kv/pid.hpp>
#include <kv/ref.hpp>
#include <kv/runtime.hpp>
#include <kv/spawn.hpp>
#include <kv/timer.hpp>

// Threads and blocking. All of these work on the calling process, and throw std::logic_error outside one. Only
// receive() and spawning a server that is no leaf can block, and sending to a full mailbox whose owner wants that; a leaf
// that tries gets leaf_blocked. An exit signal takes effect when the current callback returns or blocks, because C++
// cannot stop running code: a process that computes for a minute can be killed after that minute. A process that has to
// end while it is blocked is unwound by an exception that is no std::exception; a `catch (...)` that swallows it only puts
// it off until the next blocking call. One that swallows it time and again sleeps before each next time, up to a second.
//
// Destructors. A process that has to end while a destructor of its own waits, or any other `noexcept` function, cannot be
// unwound: std::terminate would follow. So that wait ends at once in the ordinary way, and the process ends afterwards,
// at its next wait outside the destructor or when its callback returns:
//   - a call throws call_error{interrupted}, as does spawning; it was sent, and may be done;
//   - a wait with a timeout, await() or wait_any() says that nothing came; what had come already is still found;
//   - what is sent to a full mailbox is dropped;
//   - receive() without a timeout has no such end, and goes on: it is reported, and the process lives until it is over.
// So in a destructor catch what a call throws, and wait with a timeout. While the exception is under way, and in the
// destructor of a server's state, waits go on as ever: no further exit signal ends them. A leaf may wait there, too; it
// holds up the caller in whose call it ends. What the destructor of a state throws is reported, and nothing else.
//
// Pids of other runtimes. A process calls, casts to and sends to one of another runtime by a typed handle (kv::ref) or by
// that runtime's object, and waits as in its own: nothing else stands still meanwhile. Messages of one sender arrive in
// order there, too. For what takes a pid here, a process of another runtime is dead: send and exit do nothing, a name,
// table or alias cannot be its. Only link and monitor say so by an exception while that runtime lives, because its end
// would never be told.

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

/// Starts a server or function that the caller monitors from before its first instruction: its `down` comes even if it
/// ends at once. A constructor that throws is told by start_error alone. Mirrors `spawn_monitor/1`.
template <class T, class... Args>
std::pair<ref<T>, monitor_ref> spawn_monitor(Args&&... args) {
  monitor_ref watch;
  auto process = detail::spawn_server<T>(*detail::this_process().home, {.monitor = &watch, .name = {}},
                                         std::forward<Args>(args)...);
  return {process, watch};
}
template <std::invocable F>
std::pair<pid, monitor_ref> spawn_monitor(F function) {
  monitor_ref watch;
  const auto process =
      detail::spawn_function(*detail::this_process().home, {.monitor = &watch, .name = {}}, std::move(function));
  return {process, watch};
}

// Talk -------------------------------------------------------------------------------------------------------------

/// Sends a message; nothing happens when the receiver is dead. Messages and signals from one process to another arrive
/// in the order they were sent. Returns at once, unless the receiver's mailbox is full and it wants senders to wait: then
/// it can block, and throws leaf_blocked in a leaf, call_error{overloaded} where that is the calling process itself. See
/// limit_mailbox.
template <class M>
void send(pid to, M message) {
  detail::this_process().home->send(to, std::make_unique<detail::letter_of<M>>(std::move(message)));
}

/// An address of a process that it can take back: what is sent to it later, or under way then, is dropped. Give it to those
/// from whom an answer may come too late. A small value, to be copied freely.
struct alias {
  pid who;
  std::uint64_t number = 0;
  friend auto operator<=>(const alias&, const alias&) = default;
};
/// Returns a new address of the calling process. Mirrors `erlang:alias/0`.
alias make_alias();
/// Takes it back; tells whether it was one of the calling process. Mirrors `erlang:unalias/1`.
bool unalias(alias address);
/// Sends a message to a process by that address.
template <class M>
void send(alias to, M message) {
  detail::this_process().home->send(to.who, std::make_unique<detail::aliased_letter<M>>(std::move(message), to.number));
}

/// Takes the first message that one of the handlers accepts, in the order of arrival; the others stay for later. Waits
/// for one to come. A handler is a function of one argument, `const M&`. O(messages that wait). Mirrors `receive`.
template <class... Handlers>
  requires(sizeof...(Handlers) > 0)
void receive(Handlers&&... handlers) {
  detail::receive_any(detail::this_process(), {}, handlers...);
}
/// The same with a deadline; false when nothing came in time. A deadline of zero looks and does not wait.
template <class... Handlers>
[[nodiscard]] bool receive_for(std::chrono::nanoseconds timeout, Handlers&&... handlers) {
  auto& p = detail::this_process();
  return detail::receive_any(p, {p.home->deadline_after(timeout), true}, handlers...);
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
      detail::take_letter(p, {p.home->deadline_after(timeout), true}, detail::types_of<M>, [&](detail::letter& m) {
        const auto* const body = m.as<M>();
        return body != nullptr && wanted(*body);
      });
  return found ? std::optional<M>(std::move(*static_cast<detail::letter&>(*found).as<M>())) : std::nullopt;
}

// Watch ------------------------------------------------------------------------------------------------------------

/// Watches a process: a `down` with this tag comes when it ends, and at once, with `noproc`, when it is dead. The tag
/// is the owner's: with it he needs no map from references to meanings. A process whose runtime has ended is dead; one of
/// another runtime that lives cannot be watched: std::invalid_argument. Mirrors `monitor/2` with the tag option.
monitor_ref monitor(pid target, std::string tag = {});
/// The same for whoever has that name now; `noproc` from nobody comes at once when there is none. The tag is the name.
monitor_ref monitor(std::string_view name);
/// Takes the monitor back: no `down` of it comes any more. Nothing happens when it is not one of the caller. With `flush`,
/// one that has come already is removed, too.
void demonitor(monitor_ref ref, bool flush = false);
/// Waits for the `down` of that monitor; nothing when it does not come in time.
[[nodiscard]] std::optional<down> await(monitor_ref ref, std::chrono::nanoseconds timeout = infinity);
/// Ties the caller to a process: when one of them ends, the other gets an exit signal. Once is enough, in either
/// direction. A dead process answers with the exit signal `noproc`, as does one whose runtime has ended; one of another
/// runtime that lives cannot be linked: std::invalid_argument. When both link and unlink each other at once, they end up
/// linked, both of them, if one linked after the other's last unlink or without knowing of it. Mirrors `link/1`.
void link(pid peer);
/// Unties them. Once it has returned, no exit signal of that link comes any more.
void unlink(pid peer);

// End --------------------------------------------------------------------------------------------------------------

/// Ends the calling process with this reason, by unwinding the callback it is in. In a destructor or another `noexcept`
/// function, out of which it cannot be unwound, throws std::logic_error instead, and the process ends with that reason when
/// its callback returns or waits outside: there say rather `kv::exit(kv::self(), reason)`. Mirrors `exit/1`.
[[noreturn]] void exit(const exit_reason& reason);
/// Sends an exit signal. `normal` is ignored unless the receiver traps exits or is the sender; `kill` cannot be
/// trapped. It takes effect when the receiver's current callback returns or blocks. Nothing happens when the receiver is
/// dead or one of another runtime. Mirrors `exit/2`.
void exit(pid whom, const exit_reason& reason);
/// From now on exit signals come as exit_signal messages instead of ending the process; `kill` still ends it. A server
/// without `handle(const exit_signal&)` then still ends when its parent asks it to; one that has it must end itself then
/// (kv::exit with the reason), and else its supervisor kills it. No server outlives its parent. Returns what was set
/// before.
bool trap_exit(bool on);

// Load and leisure ---------------------------------------------------------------------------------------------------

/// From now on at most so many messages wait in the mailbox of the calling process. One more is refused if it is a call
/// (call_error{overloaded}), and otherwise dropped and counted, or, if so wanted, its sender waits until there is room.
/// Signals, a `down`, an exit_signal and answers always get in. Usually called in a constructor. A call to an idle leaf
/// does not go through the mailbox. Throws std::invalid_argument for 0.
///
/// With when_full::block, a process that sends to itself, in whatever way, when its own mailbox is full would wait for
/// itself: it gets call_error{overloaded} at once, or, in a destructor or when it has to end, the message is dropped. Two
/// processes that fill each other's mailboxes and wait for room do wait for ever, as two that call each other would without
/// a timeout: let one of them drop, or call.
void limit_mailbox(std::uint32_t limit, when_full how = when_full::drop);

/// From now on, whenever nothing has come for that long since the last message was handled, the calling server is sent
/// `idle`, once: handle(const idle&). It holds until it is set again; infinity turns it off. Mirrors the timeout of a
/// `GenServer`, which each callback has to set anew.
/// Throws std::invalid_argument when the time is not more than 0.
void idle_after(std::chrono::nanoseconds time);

/// Runs a function next in the calling server, when the current callback has returned and before any message that waits:
/// in a constructor, the rest of a start for which nobody need wait. Mirrors `handle_continue/2`.
template <std::invocable F>
void continue_with(F function) {
  auto run = [function = std::move(function)](void*) mutable { function(); };
  detail::continue_with(std::make_unique<detail::action_of<decltype(run)>>(std::move(run)));
}

// Time and chance --------------------------------------------------------------------------------------------------

/// Returns the time of the caller's runtime: of the steady clock, or of a simulation, where it stands still while
/// anybody has something to do. What a process does by the clock had better use this one.
std::chrono::steady_clock::time_point now();
/// Returns a random number, evenly distributed; in a simulation, the next one of its seed. Not for secrets.
std::uint64_t random();

// Names ------------------------------------------------------------------------------------------------------------

/// Returns the process of that name in the caller's runtime. See runtime::whereis.
std::optional<pid> whereis(std::string_view name);
/// Waits until some process has that name and returns it, at once if one has; nothing when none has come in time. As any
/// lookup, it may tell of a process that has just died. Can block; throws leaf_blocked in a leaf that would have to wait.
std::optional<pid> await_name(std::string_view name, std::chrono::nanoseconds timeout = default_timeout);
/// Gives a process a name. See runtime::register_name.
void register_name(std::string name, pid process);
/// Frees a name; tells whether it was taken.
bool unregister_name(std::string_view name);

}  // namespace kv
