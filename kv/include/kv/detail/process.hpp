// The control block of a process.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <kv/detail/inbox.hpp>
#include <kv/detail/mailbox_bound.hpp>
#include <kv/detail/message.hpp>
#include <kv/detail/notice_set.hpp>

namespace kv::detail {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::nanoseconds;

/// A wait that never ends by itself. Not duration::max(), which overflows when it is added to a time.
inline constexpr duration infinity = std::chrono::hours(24 * 365 * 100);

/// The user's part of a process: its state, and how a letter reaches it.
class behaviour {
 public:
  behaviour() = default;
  behaviour(const behaviour&) = delete;
  behaviour& operator=(const behaviour&) = delete;
  virtual ~behaviour() = default;

  virtual void* state() noexcept = 0;
  virtual const std::type_info& type() const noexcept = 0;
  /// The name of that type, for who may not allocate anything.
  virtual std::string_view class_name() const noexcept { return {}; }
  /// Hands the letter to the state's handle(); false when there is none for it.
  virtual bool handle(letter& message) = 0;
  /// The process ends, and not by an exit signal: the state's on_exit(), if it has one.
  virtual bool has_last_words() const noexcept { return false; }
  virtual void on_exit(const exit_reason& /*reason*/) {}
};

/// Thrown to unwind a process that has to end while it is blocked in a callback, unless that would end the program: see
/// can_unwind_from_here(). Not a std::exception, so that user code does not catch it by accident; where `catch (...)`
/// swallows it, the next blocking call throws it again.
struct unwind {};

/// The processes that a process has started while it ran the start function of a child: the first few of those that are
/// linked to it.
struct newborns {
  std::array<pid, 4> all{};
  std::size_t count = 0;

  void note(pid who) noexcept {
    if (count < all.size()) all[count++] = who;
  }
};

/// What a process waits for without being blocked. Most processes have none of it.
struct errands {
  struct idleness {
    duration timeout{};
    time_point since{};         // the end of its last message
    std::uint64_t handled = 0;  // how many it had handled by then
    std::uint64_t timer = 0;    // which asks; made with this, so that asking needs no memory
    bool is_armed = false;      // it will
  };

  boost::unordered_flat_map<std::uint64_t, pid> monitoring;       // the watched, by monitor_ref
  boost::unordered_flat_map<std::uint64_t, message_ptr> replies;  // to requests; null until they come
  boost::unordered_flat_set<std::uint64_t> aliases;
  std::unique_ptr<idleness> idle;
  std::uint32_t next_restarts = 0;  // of the child that it is about to start
  newborns* births = nullptr;       // while it runs the start function of a child
};

/// Whom a process is tied to, as the notices that its death sends them. A process without has no such block.
struct relations {
  notice_set<exit_notice> links;
  notice_set<down_notice> watchers;
  std::unique_ptr<errands> own;
};

struct suspension;

/// Where a process stands in its life. The holder of the claim moves it, or its creator, and only forward:
///
///   stage      | from                       | in it
///   ---------- | -------------------------- | ---------------------------------------------------------------
///   vacant     | departing: core::finish    | nobody lives in the slot; its generation is of nobody yet
///   starting   | vacant: slab::take         | its constructor has not returned; what fails is a failed start
///   running    | starting: its start is over| it handles messages
///   leaving    | running: core::finish      | on_exit() runs; exit signals no longer matter, only a kill does
///   ending     | any of these: core::finish | its state and what was sent to it are destroyed; no exit matters
///   departing  | ending: core::finish       | it is given nothing any more: no message of a user's, table, timer
///
/// (L1) A user's code that runs as a process runs before that process's generation moves on: until then the process is
///      alive for everyone. From `departing` on nothing of a user's gets in, so what is destroyed there is finite.
/// (L2) After the generation has moved on, signals and requests are all that is left of it. What nobody takes back
///      goes to the dead letters (core::discard), a process of the runtime's own.
enum class stage : std::uint8_t { vacant, starting, running, leaving, ending, departing };

/// Why a process has to end; from then on it handles nothing more. The holder of the claim moves it, from `none` and only
/// once: the first reason counts. on_exit() begins with `none` again, because a kill and an exception still matter there.
///
///   cause   | moved by                          | in it
///   ------- | --------------------------------- | -----------------------------------------------
///   none    | slab::take, core::say_last_words  | it goes on
///   itself  | process::end_with                 | on_exit() runs
///   told    | core::end_as_told: an exit signal | on_exit() does not run, as after Elixir's terminate/2 without trapping
///   crashed | core::fail_with: an exception     | it is reported, and on_exit() runs
enum class end_cause : std::uint8_t { none, itself, told, crashed };

/// How far a process that has to end in the middle of a callback has come. Moves forward only, until it ends anew.
///
///   unwinding | moved by                  | in it
///   --------- | ------------------------- | -----------------------------------------------------------------
///   none      | process::end_with         | it has not come to a wait
///   held_up   | core::waits_on            | it waits where it cannot be unwound, which was reported
///   thrown    | core::throw_unwind        | the exception that ends it is under way
///   swallowed | core::report_swallowed    | it was caught, which was reported; the next wait throws it again
enum class unwinding : std::uint8_t { none, held_up, thrown, swallowed };

/// A process: a slot of a slab that is never given back, so that a stale pid reads a generation and never freed memory.
/// What a call to an idle leaf looks at fills the first cache line and is in no other.
struct alignas(64) process {
  // Any thread.
  inbox mailbox;
  std::atomic<std::uint32_t> generation{1};  // moves on at death, before anybody is told; release/acquire with find()
  // Never blocks, so it may run on its caller's stack. A hint for who has not claimed it yet.
  std::atomic<bool> is_leaf{false};
  std::atomic<bool> is_bounded{false};  // `bound` holds; written before the pid is given away, or by the holder

  // The holder of the claim (I1).
  bool is_suspended : 1 = false;         // by the testing kit: handles no message
  end_cause ends : 2 = end_cause::none;  // and its `reason`
  unwinding unwound : 2 = unwinding::none;
  bool needs_settling : 1 = false;  // there is more to do than to give the claim back

  // Written by the holder or the creator. Others read it together with the generation: see living() and takes_gifts().
  std::atomic<stage> life{stage::vacant};

  void* state = nullptr;  // body->state(), at hand
  message_queue queue;

  // Any thread. The class of its state: written before the pid is given away, read by who found the pid somewhere.
  std::atomic<const std::type_info*> type{nullptr};

  // Written by the holder, read by who asks what it does; orders nothing.
  std::atomic<const std::type_info*> running{nullptr};  // the message that it handles
  std::atomic<std::uint64_t> handled{0};                // how many it has handled, its start not counted

  // ---- second cache line ----

  // Fixed while the process lives; written by its creator before the pid is given away.
  core* home = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t node = 0;

  // Some name may be its, or some table, or timer. Set before its life is checked; read after its generation has moved on
  // (names), or after it is departing (tables, timers); all of it sequentially consistent. So either the giver sees that
  // it dies, or the dying sees the gift.
  std::atomic<bool> has_names{false};
  std::atomic<bool> has_tables{false};
  std::atomic<bool> has_timers{false};

  // The holder of the claim, or its creator.
  bool has_thread : 1 = false;   // runs on a thread of its own, which sleeps when it waits
  bool is_stand_in : 1 = false;  // for a plain thread, which cannot be killed
  bool is_disposer : 1 = false;  // destroys what it is sent, whatever that is: see core::discard
  bool traps_exits : 1 = false;
  // May wait on a stack of the reserve: it serves many, or is being started by one that does. Set by its creator.
  bool has_reserve : 1 = false;
  bool starts_on_reserve : 1 = false;
  std::uint8_t times_swallowed = 0;  // since it has to end
  pid parent;
  std::uint32_t restarts = 0;  // how often its supervisor had restarted it when this one was born
  std::unique_ptr<behaviour> body;
  std::unique_ptr<relations> bonds;
  message_ptr current;            // what it is handling now
  suspension* waiting = nullptr;  // set while a callback waits
  exit_reason reason;
  std::uint64_t refs_given = 0;  // of monitors and calls

  // When it was started, if no process started it and it may block; else 0. Read by shut_down.
  std::atomic<std::uint64_t> root_serial{0};

  // The executor that the claim was handed to.
  process* next_ready = nullptr;

  // Made when a process of this slot first asks for it, and kept with the slot: senders may look at it at any time.
  std::unique_ptr<mailbox_bound> bound;

  pid id() const noexcept { return {slot, generation.load(std::memory_order_relaxed), node}; }
  /// Any thread. Returns the process that lives here; nobody when none does, or it has just died or been born.
  pid living() const noexcept {
    // Acquire, in turn: core::finish writes `vacant` before the next generation, slab::take `starting` after it.
    const auto before = generation.load(std::memory_order_acquire);
    const bool is_alive = life.load(std::memory_order_acquire) != stage::vacant;
    const auto after = generation.load(std::memory_order_relaxed);
    return is_alive && before == after ? pid{slot, before, node} : pid{};
  }
  /// Any thread, after it has said that it may have given something to this process of that generation. Sequentially
  /// consistent, as what it has said; see has_tables.
  bool takes_gifts(std::uint32_t of) const noexcept {
    return life.load() != stage::departing && generation.load() == of && life.load() != stage::departing;
  }
  bool is_starting() const noexcept { return in(stage::starting); }
  bool is_leaving() const noexcept { return in(stage::leaving); }
  /// Holder. Tells whether its state is being destroyed, or was.
  bool is_ending() const noexcept { return in(stage::ending) || in(stage::departing); }
  bool in(stage s) const noexcept { return life.load(std::memory_order_relaxed) == s; }
  relations& ties() {
    if (!bonds) bonds = std::make_unique<relations>();
    return *bonds;
  }
  errands& business() {
    auto& own = ties().own;
    if (!own) own = std::make_unique<errands>();
    return *own;
  }
  /// Returns its errands, or null when it has none.
  errands* business_if_any() const noexcept { return bonds ? bonds->own.get() : nullptr; }
  /// Holder. Tells whether a caller may run it on his own stack now: nothing queued before him, nobody froze it.
  bool runs_inline() const noexcept {
    return is_leaf.load(std::memory_order_relaxed) && !is_suspended && queue.empty();
  }
  /// Holder. Tells whether it may wait on a stack of the reserve now.
  bool may_use_reserve() const noexcept { return has_reserve || (is_starting() && starts_on_reserve); }
  bool must_exit() const noexcept { return ends != end_cause::none; }
  /// Holder. From now on the process has to end; the first reason counts.
  void end_with(const exit_reason& why, end_cause cause = end_cause::itself) {
    if (must_exit()) return;
    ends = cause;
    unwound = unwinding::none;
    needs_settling = true;
    times_swallowed = 0;
    reason = why;
  }
  /// Holder. Says what it handles from now on, null for nothing; returns what it handled.
  const std::type_info* handles(const std::type_info* message) noexcept {
    const auto* const before = running.load(std::memory_order_relaxed);
    running.store(message, std::memory_order_relaxed);
    return before;
  }
  /// Holder. Counts one more message.
  void counts_one() noexcept { handled.store(handled.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
};

static_assert(sizeof(process) == 192);

/// The process that runs on this thread right now; null on a plain thread. Fibers never leave their thread, and
/// whoever switches a fiber in sets this again. One for the whole program: a shared library that hides its symbols must
/// not get one of its own.
[[gnu::visibility("default")]] inline constinit thread_local process* current_process = nullptr;

/// Makes `p` the current process of this thread for a scope.
class run_as {
 public:
  explicit run_as(process& p) noexcept : previous_(std::exchange(current_process, &p)) {}
  run_as(const run_as&) = delete;
  run_as& operator=(const run_as&) = delete;
  ~run_as() { current_process = previous_; }

 private:
  process* previous_;
};

}  // namespace kv::detail
