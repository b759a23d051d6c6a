// A world of processes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <kv/introspection.hpp>
#include <kv/ref.hpp>
#include <kv/report.hpp>
#include <kv/spawn.hpp>

namespace kv {

namespace detail {
struct default_sink;
}

/// How a runtime is set up. The defaults suit a server; leave them alone until a measurement says otherwise.
struct runtime_options {
  /// Scheduler threads. At least 1; one per core by default.
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  /// Bytes of stack for every callback of a process that may block. At least min_stack_size. Only touched pages cost
  /// memory, so the default is generous: std::regex needs 1.5 MiB for a match over 2,000 characters. A leaf runs on the
  /// stack of its caller; a process of spawn_thread on its thread's, which has the size that the system gives threads.
  std::size_t stack_size = 2 * 1024 * 1024;
  /// How many processes can be blocked inside a callback at once. Each holds a stack and two kernel mappings, of
  /// which Linux grants 65,530; one more gets out_of_stacks. At least one for each thread.
  std::size_t max_stacks = 16'000;
  /// How many processes can live at once; a plain thread counts as one while it waits for the answer of a call. One more
  /// gets system_limit. Supervisors, the registry and what they start may be 1,024 more. At least 1.
  std::uint32_t max_processes = max_processes_limit;
  /// Stacks beside those, for supervisors, registries, event managers and table managers, and for the children that a
  /// supervisor is just starting: they go on when all others are taken, or the system has no more to give. A class of
  /// yours that many depend on asks for it with `static constexpr bool reserved_stack = true`. Mapped at the start and
  /// kept, so that they are there.
  std::size_t reserved_stacks = 32;
  /// When a process overflows its stack, says which one on standard error before the program ends with SIGSEGV. For
  /// that the runtime handles that signal while it lives; what handled it before is called afterwards.
  bool explain_stack_overflow = true;
  /// How long the destructor waits for each process that traps exits to end by itself, before it kills.
  std::chrono::nanoseconds shutdown_timeout = std::chrono::seconds(5);
  /// How long a killed process may go on, because its callback neither returns nor blocks, before a watchdog_report names
  /// it. More than 0; infinity for never.
  std::chrono::nanoseconds kill_timeout = std::chrono::seconds(5);
  /// Where reports go. Called from any thread. Empty: to standard error, at most 20 a second; of the others a line
  /// says how many of which kind were left out.
  report_sink on_report = {};

  static constexpr std::size_t min_stack_size = 16 * 1024;
  static constexpr std::uint32_t max_processes_limit = (1U << 24U) - 1024;
};

/// A world of processes: they find each other by pid and by name, and all end with it. Several can live in one
/// program, begin and end in any order, and know nothing of each other.
///
/// Every function may be called from any thread and from processes. The runtime must outlive every call made through
/// it, its handles and its tables; holding them longer is harmless. Who uses a handle or table after its end is told
/// noproc or no_table.
///
/// A process of one runtime may call those of another by their handles, and start some there. It waits in its own runtime,
/// whose thread runs others meanwhile; it can be killed then, and either runtime can end: the call fails, or the answer is
/// dropped. It must be no leaf. A simulation is not reached from other threads, and a process of one that calls another
/// runtime, or is called by it, holds up its thread.
///
/// After a fork() the child has none of the runtime's threads. There the destructor returns at once and destroys nothing,
/// so that the child can leave by return or exit(); no other use of the runtime is possible. A child of a fork() inside a
/// process must leave before its callback returns or waits: else it is ended with a message. A runtime that the child
/// makes is like any other.
///
/// A shared library that is linked with the library's archive has runtimes of its own kind: neither must be given pids,
/// handles or processes of the other. Link one copy for the program and let plugins find its symbols there. A plugin must
/// stay loaded while a process, message, handler or row of its types lives.
class runtime {
 public:
  /// Starts the scheduler threads. Throws std::invalid_argument when an option is out of its range; std::system_error
  /// when the system refuses a thread, with how many it gave; out_of_stacks when it refuses the stacks to begin with. Then
  /// nothing is left of it.
  explicit runtime(const runtime_options& options = {});
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;
  /// Asks the processes that no other process started to shut down, the youngest first; kills what is left; joins the
  /// threads. Blocks until every callback has returned, and the thread_local objects of the threads of spawn_thread are
  /// destroyed: C++ cannot stop running code. In a process of another runtime it holds up that thread. In a child of
  /// fork() it does nothing.
  ///
  /// On one of its own threads, or inside one of its processes, it ends nothing, for it would wait for itself: processes
  /// and threads go on until the program ends. So a process may call std::exit while a static object holds its runtime.
  ~runtime();

  /// Starts a server: constructs a `T` from `args` inside a new process and returns once that is done.
  ///
  /// The class needs nothing but a constructor and what you want to call. Optional members: `handle(const M&)` for
  /// messages; `on_exit(const exit_reason&)`, called before it is destroyed when it ends by ref::stop, kv::exit, an
  /// exception or with its parent, but, as `terminate/2`, not when an exit signal ends it that it does not trap;
  /// `static constexpr bool leaf = true` when no function of it ever blocks, which lets callers run it on their own
  /// stacks; `using messages = kv::message_types<A, B>` for those that senders who only know a pid may send.
  ///
  /// Blocks while the constructor of a server that is no leaf runs. Throws start_error with what the constructor
  /// threw. Mirrors `GenServer.start/3`.
  template <class T, class... Args>
  ref<T> spawn(Args&&... args) {
    return detail::spawn_server<T>(core(), {}, std::forward<Args>(args)...);
  }
  /// The same under a name. Throws name_taken.
  template <class T, class... Args>
  ref<T> spawn_named(std::string name, Args&&... args) {
    return detail::spawn_server<T>(core(), {.name = std::move(name)}, std::forward<Args>(args)...);
  }
  /// Starts a process that runs `function()` and ends. Returns at once. Mirrors `spawn/1`.
  template <std::invocable F>
  pid spawn(F function) {
    return detail::spawn_function(core(), {}, std::move(function));
  }

  /// Starts it with an OS thread of its own. See kv::spawn_thread.
  template <std::invocable F>
  pid spawn_thread(F function) {
    return detail::spawn_on_thread(core(), std::move(function));
  }

  /// Sends a message; nothing happens when the receiver is dead. A server has to list `M` among its `messages`, see spawn;
  /// what it does not list is reported and dropped. Returns at once, unless its mailbox is full and it wants senders to
  /// wait: see limit_mailbox.
  template <class M>
  void send(pid to, M message) {
    core().send(to, std::make_unique<detail::letter_of<M>>(std::move(message)));
  }
  /// Sends an exit signal: from the calling process, or from nobody. Where a process obeys its parent alone, a plain thread
  /// speaks as the parent of those that no process started, and of no others. See kv::exit.
  void exit(pid whom, const exit_reason& reason);

  /// Tells whether the process has not ended yet. It may end at any moment after. O(1), never blocks.
  bool alive(pid id) const noexcept;

  /// Returns the process of that pid as a `T`; nothing when it is dead or something else. O(1), never blocks.
  template <class T>
  std::optional<ref<T>> as(pid id) const noexcept {
    return core_->alive_as(id, typeid(T)) ? std::optional(ref<T>(*core_, id)) : std::nullopt;
  }

  /// Gives a process a name, until it dies or the name is unregistered. Tables that wait for this name are the process's
  /// when it returns. Throws name_taken with the holder, and call_error when the process is dead. Mirrors `register/2`.
  void register_name(std::string name, pid process);
  /// Frees a name; tells whether it was taken.
  bool unregister_name(std::string_view name);
  /// Returns the process of that name, if there is one and it is alive. Mirrors `whereis/1`.
  std::optional<pid> whereis(std::string_view name) const;
  /// Waits until some process has that name. See kv::await_name. A plain thread sleeps.
  std::optional<pid> await_name(std::string_view name, std::chrono::nanoseconds timeout = default_timeout) const;
  /// Returns it as a `T`; nothing when the process of that name is something else.
  template <class T>
  std::optional<ref<T>> whereis(std::string_view name) const {
    const auto found = whereis(name, typeid(T));
    return found ? std::optional(ref<T>(*core_, *found)) : std::nullopt;
  }

  /// Returns every name with its living process, by name. O(names log names). Mirrors `registered/0`.
  std::vector<std::pair<std::string, pid>> registered() const;

  /// Returns the time by which timeouts are counted: of the steady clock, or of a simulation.
  std::chrono::steady_clock::time_point now() const noexcept;

  /// Returns every living process. A snapshot: some may have ended, others been born. O(slots).
  std::vector<pid> processes() const;
  /// Returns how many processes live.
  std::size_t process_count() const noexcept;
  /// Returns what can be learned of a process without its help; nothing when it is dead. Never blocks. Costs nothing
  /// while nobody asks; whoever waits in a callback is woken for a moment. O(names).
  std::optional<process_info> info(pid id) const;
  /// Returns the same of every process as text, a line for each. O(slots).
  std::string dump() const;

  /// The inside, for the library's own templates.
  detail::core& core() const noexcept { return *core_; }

 protected:
  /// A runtime that something else than threads runs.
  runtime(const runtime_options& options, const detail::executor_factory& make);

 private:
  std::optional<pid> whereis(std::string_view name, std::type_index type) const;
  runtime_options with_sink(runtime_options options);

  std::unique_ptr<detail::default_sink> default_sink_;  // outlives the core, which may report to its end
  std::unique_ptr<detail::core, detail::core_end> core_;
  const std::int64_t born_in_;  // the process of the operating system
};

}  // namespace kv
