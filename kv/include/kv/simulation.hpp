// A runtime that a test holds in its hand: one thread, virtual time, and a seed that decides who goes next.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include <kv/runtime.hpp>

namespace kv {

namespace detail {
class simulator;
}

/// A simulated run cannot go on. what() lists every process with what it waits for and since when.
class simulation_error : public std::runtime_error {
 public:
  enum class code : std::uint8_t {
    deadlock,   ///< somebody waits, nobody can run, and no timer is set
    step_limit  ///< it took more than simulation_options::max_steps
  };
  simulation_error(code why, const std::string& what) : std::runtime_error(what), why_(why) {}
  code why() const noexcept { return why_; }

 private:
  code why_;
};

/// A place in a run where it left the plain order: its number, counted from the start, and what was done.
using deviation = std::uint64_t;

/// Somebody to kill: whoever it is at the moment of the kill.
class victim {
 public:
  /// The process of that registered name.
  victim(std::string registered_name);
  victim(const char* registered_name) : victim(std::string(registered_name)) {}
  /// Any process whose state is a `T`: the one in the lowest slot.
  template <class T>
  static victim any(std::string label) {
    return victim(std::move(label), typeid(T));
  }

  const std::string& name() const noexcept { return name_; }
  std::optional<pid> find(const detail::core& home) const;

 private:
  victim(std::string label, const std::type_info& type) : name_(std::move(label)), type_(&type) {}

  std::string name_;
  const std::type_info* type_ = nullptr;
};

/// Kill it at that turn boundary; nothing happens when there is nobody.
struct planned_kill {
  std::uint64_t boundary = 0;
  victim whom;
};

/// What a seed may do to a run besides choosing who goes next.
struct fault_options {
  std::vector<victim> victims = {};  ///< may be killed at any turn boundary
  unsigned max_kills = 0;            ///< how many kills at most
  unsigned max_refusals = 0;         ///< how many allocations at most fail inside callbacks; see refuse_allocation
};

/// How a simulation is set up.
struct simulation_options {
  /// 0 is the plain order: who is ready first goes first, is not interrupted, and nothing fails. Any other number
  /// deviates from it now and then, always in the same places.
  std::uint64_t seed = 0;
  /// Deviate in these places only, of those that the seed would choose. What is left out: in all of them.
  std::optional<std::vector<deviation>> only = {};
  fault_options faults = {};
  std::vector<planned_kill> kills = {};
  /// Turns, and points where others might have had one, until the run counts as endless.
  std::uint64_t max_steps = 10'000'000;
  /// Of these, the number of threads means nothing here.
  runtime_options runtime = {};
};

/// A runtime without threads: every process runs on the thread that made the simulation, and only while that thread
/// waits for something or asks for it by one of the verbs below. The clock is virtual: it stands while anybody can run,
/// and jumps to the next timer when everybody waits. Where a runtime has races a simulation has choices, made by the
/// seed: the same seed gives the same run, message by message, with every compiler and in every build.
///
///     kv::simulation world(17);
///     const auto tree = kv::start_tree(world);
///     const auto shopping = tree.registry.create("shopping");
///     world.exit(shopping, kv::exit_reason::kill);
///     world.run_until_idle();
///     CHECK(tree.registry.size() == 0);
///
/// Another process may take its turn between any two steps that could be told apart: between two messages, before and
/// after a call to a leaf, a send, a link, a look into a table. What a process does between two such points is
/// undivided. So hold no lock of your own across a call into kv.
///
/// To be used by the thread that made it, and by no other; processes of spawn_thread run on it as well. The verbs are for
/// code that is no process. In the spirit of the C++ Actor Framework's deterministic fixture.
class simulation : public runtime {
 public:
  explicit simulation(std::uint64_t seed = 0) : simulation(simulation_options{.seed = seed}) {}
  explicit simulation(const simulation_options& options);

  // Run --------------------------------------------------------------------------------------------------------------

  /// Runs one turn: a process starts, handles one message, or goes on where it waited. False when nobody can run.
  bool step();
  /// Runs one turn of that process. Throws expectation_failed when it has nothing to do.
  void step(pid who, std::source_location where = std::source_location::current());
  /// Runs one turn of that process, which must be the handling of an `M`, the next in its mailbox. Throws
  /// expectation_failed when it is something else, and then nothing has run.
  template <class M>
  void expect(pid who, std::source_location where = std::source_location::current()) {
    expect_type(who, typeid(M), where);
  }
  /// Runs until nobody can run any more; time stands. Returns the number of turns.
  std::size_t run_until_idle();

  // Time -------------------------------------------------------------------------------------------------------------

  /// Lets time pass: whatever can run runs, then each timer that falls into it goes off in its turn.
  void advance(std::chrono::nanoseconds time);
  /// Lets time pass until the next timer, which makes its process ready to run. Returns how long that was; nothing when
  /// no timer is set.
  std::optional<std::chrono::nanoseconds> fire_next_timer();

  // Disturb ----------------------------------------------------------------------------------------------------------
  // runtime::exit injects an exit.

  /// From now on the process gets no turn, whatever it is in the middle of. Its mailbox stays open.
  void suspend(pid who);
  /// Takes that back.
  void resume(pid who);
  /// Lets an allocation fail with std::bad_alloc: the `nth` from now that is made in callbacks of that process. Every one
  /// counts in a program that links kv::faults, which replaces its operators new and delete. In others, and where a program
  /// has operators of its own, only rows and nodes of tables count; under a sanitizer nothing does.
  void refuse_allocation(pid who, unsigned nth = 1);

  /// From now on every allocation fails that is made by processes in their turns, or by timers that go off; or no more. The
  /// test's own code is not concerned. What is said of refuse_allocation holds here, too.
  void exhaust_memory(bool on);

  /// Runs a function while nothing deviates from the plain order: nobody is killed or interrupted, and turn boundaries do
  /// not count. For the checks of a scenario that is explored or swept.
  template <class F>
  void calmly(F function) {
    const calm undisturbed(inside_);
    function();
  }

  // Look -------------------------------------------------------------------------------------------------------------

  std::uint64_t seed() const noexcept;
  /// Returns how many turn boundaries there were so far: points at which somebody else could go next.
  std::uint64_t boundaries() const noexcept;
  /// Returns how many kills, of those planned and of the seed's, have met somebody alive so far.
  unsigned kills() const noexcept;
  /// Returns where the run has left the plain order so far.
  const std::vector<deviation>& deviations() const noexcept;
  /// Returns what happened, a line for each step; of a long run the last 10,000.
  std::vector<std::string> trace() const;
  /// Returns every process with what it waits for and since when.
  std::string processes_and_waits() const;

 private:
  class calm {
   public:
    explicit calm(detail::simulator& world);
    calm(const calm&) = delete;
    calm& operator=(const calm&) = delete;
    ~calm();

   private:
    detail::simulator& world_;
    bool before_;
  };

  void expect_type(pid who, const std::type_info& message, std::source_location where);

  detail::simulator& inside_;
};

namespace testing {

/// For its scope, every kv::runtime that this thread makes is a simulation of that seed: a test suite that was written
/// for a runtime runs on both. Such a test must not start threads of its own that use the runtime.
class simulate_runtimes {
 public:
  explicit simulate_runtimes(std::uint64_t seed);
  simulate_runtimes(const simulate_runtimes&) = delete;
  simulate_runtimes& operator=(const simulate_runtimes&) = delete;
  ~simulate_runtimes();

 private:
  detail::executor_factory make_;
  const detail::executor_factory* outer_;
};

}  // namespace testing
}  // namespace kv
