// The testing kit: event-driven tests of processes, without a sleep.
#pragma once

#include <chrono>
#include <concepts>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <kv/process.hpp>
#include <kv/runtime.hpp>
#include <kv/simulation.hpp>

namespace kv::testing {

/// How long the kit waits for what should come. Only a failure ever reaches it.
inline constexpr std::chrono::nanoseconds patience = std::chrono::seconds(30);

/// What was expected did not come. Says what, where in the test, and what came instead.
class expectation_failed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A process whose turn is the test's own thread: it has a pid, receives messages, can monitor, link and own tables.
/// It traps exits, and cannot be killed: an exit signal is just another message to expect.
///
///     kv::testing::probe probe(runtime);
///     events.forward_to(probe);
///     registry.create("shopping");
///     CHECK(probe.expect<kv::created>().name == "shopping");
///
/// Used by one thread. Must end before its runtime.
class probe {
 public:
  explicit probe(runtime& home);
  probe(const probe&) = delete;
  probe& operator=(const probe&) = delete;
  /// The process ends with `normal`: its links, monitors and tables go with it.
  ~probe();

  pid id() const noexcept { return self_.id(); }
  operator pid() const noexcept { return id(); }

  /// Waits for a message of that type and returns it; messages of other types stay for later. Throws
  /// expectation_failed when none comes.
  template <class M>
  M expect(std::source_location where = std::source_location::current()) {
    return expect_if<M>([](const M&) { return true; }, where);
  }
  /// The same for the first one of which `wanted(message)` is true.
  template <class M, std::predicate<const M&> Predicate>
  M expect_if(Predicate wanted, std::source_location where = std::source_location::current()) {
    auto found = run([&] { return receive_if<M>(wanted, patience); });
    if (!found) fail(typeid(M), where);
    return std::move(*found);
  }
  /// Waits for the `down` of that process. Requires: it is monitored.
  down expect_down(pid who, std::source_location where = std::source_location::current()) {
    return expect_if<down>([who](const down& d) { return d.from == who; }, where);
  }
  /// Tells whether a message of that type has arrived, without waiting; takes it. That nothing came proves something
  /// only after a barrier: an answered call to whoever would have sent it.
  template <class M>
  bool has() {
    return run([] { return receive_for<M>(std::chrono::nanoseconds(0)).has_value(); });
  }
  /// Monitors a process, with a tag for the `down`.
  monitor_ref monitor(pid who, std::string tag = {}) {
    return run([&] { return kv::monitor(who, std::move(tag)); });
  }
  /// Runs a function as this process, on this thread: `probe.run([&] { kv::link(pid); })`.
  template <std::invocable F>
  std::invoke_result_t<F> run(F&& function) {
    const detail::run_as as(self_);
    return std::forward<F>(function)();
  }

 private:
  [[noreturn]] void fail(const std::type_info& wanted, std::source_location where);

  detail::process& self_;
};

/// Sends an exit signal, in the runtime's name so that supervisors obey it, and waits until the process is dead; returns
/// the reason it ended with. Throws expectation_failed when it lives on.
exit_reason exit_and_await(runtime& home, pid whom, const exit_reason& reason,
                           std::source_location where = std::source_location::current());
/// Kills a process and waits until it is dead.
exit_reason kill_and_await(runtime& home, pid whom, std::source_location where = std::source_location::current());

/// Holds a race window open: for its scope the process handles no message. What is sent to it waits; signals are
/// obeyed, so it can be killed.
///
///     kv::testing::suspended frozen(runtime, registry_pid);
///     kill_and_await(runtime, bucket);        // the registry cannot have noticed
///     CHECK_FALSE(registry.lookup("shopping"));
///
/// The constructor returns once the process is between two callbacks, and throws call_error when it is dead or stays in
/// one. Must end before its runtime. Not for processes that are functions: they take their messages themselves.
class suspended {
 public:
  suspended(runtime& home, pid whom);
  suspended(const suspended&) = delete;
  suspended& operator=(const suspended&) = delete;
  ~suspended();

 private:
  runtime& home_;
  pid whom_;
  std::unique_ptr<detail::signal> resume_;
};

/// Ends the program, naming the test, when its scope lasts too long: a test that hangs says which it is.
class watchdog {
 public:
  explicit watchdog(std::string test, std::chrono::nanoseconds limit = 2 * patience);
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog();

 private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

}  // namespace kv::testing
