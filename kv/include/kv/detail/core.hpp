// The inside of a runtime: signals, mailboxes, births and deaths. What templates need of it is here.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include <kv/detail/executor.hpp>
#include <kv/detail/process.hpp>
#include <kv/detail/slab.hpp>
#include <kv/detail/suspension.hpp>
#include <kv/detail/timer.hpp>
#include <kv/errors.hpp>
#include <kv/introspection.hpp>
#include <kv/report.hpp>

namespace kv {
struct runtime_options;
}

namespace kv::detail {

class last_resort;
class table_directory;
class name_directory;
class timer_queue;

/// Makes what runs the processes of a runtime.
using executor_factory = std::function<std::unique_ptr<executor>(core&, const runtime_options&)>;

class core {
 public:
  explicit core(const runtime_options& options);
  core(const core&) = delete;
  core& operator=(const core&) = delete;
  ~core();
  /// The runtime has ended, and nothing runs. What may still be asked, through handles that are kept too long, says so.
  void retire() noexcept;

  void start(std::unique_ptr<executor> how);
  /// A plain thread. Ends every process in order and stops the executor.
  void shut_down() noexcept;

  // Lookup -----------------------------------------------------------------------------------------------------

  std::uint32_t node() const noexcept { return node_; }
  /// In whose name the runtime tells processes to end: nobody, as a plain thread is, but of this runtime.
  pid own_name() const noexcept { return {.slot = 0, .generation = 0, .node = node_}; }
  /// Any thread. Returns the living process of that pid, or null. It may die at any moment after.
  process* find(pid id) const noexcept {
    if (id.node != node_) return nullptr;
    auto* const p = slots_.at(id.slot);
    if (p == nullptr) [[unlikely]]
      return id.slot == disposer_slot && id.generation == first_generation ? disposer_.get() : nullptr;
    // Acquire pairs with the release in finish(): who sees the new generation sees what happened before.
    return p->generation.load(std::memory_order_acquire) == id.generation ? p : nullptr;
  }
  bool alive(pid id) const noexcept {
    interleave_quietly();
    const auto* const p = find(id);
    return p != nullptr && p->living() == id;  // else a pid that nobody has had yet would do
  }
  /// Any thread. Tells whether it is alive and its state is of that type.
  bool alive_as(pid id, const std::type_info& type) const noexcept {
    interleave_quietly();
    if (id.node != node_) return false;
    const auto* const p = slots_.at(id.slot);
    // The type is read before the generation: it is that process's, or the generation has moved on meanwhile.
    const auto* const its = p == nullptr ? nullptr : p->type.load(std::memory_order_acquire);
    return its != nullptr && is_same(*its, type) && p->living() == id;
  }
  /// Any thread, under the table directory's lock, before a table is given to that process. False when it is dead or
  /// departing; when true, it will give up its tables at its death.
  bool prepare_gift(pid owner) noexcept {
    auto* const p = find(owner);
    if (p == nullptr) return false;
    p->has_tables.store(true);
    return p->takes_gifts(owner.generation);
  }
  /// Returns the living process of that class in the lowest slot, if there is one. O(slots).
  std::optional<pid> first_of(const std::type_info& type) const;
  /// Returns a name of that process, or an empty one. O(names).
  std::string name_of(pid id) const;
  /// A signal handler. Calls use(with, name) with a name of that process, if one can be read without waiting. O(names).
  void read_name(pid who, void (*use)(void* with, std::string_view name), void* with) const noexcept;
  std::size_t live_count() const noexcept { return live_.load(std::memory_order_relaxed); }
  std::vector<pid> processes() const;

  // Messages ---------------------------------------------------------------------------------------------------

  enum class delivery : std::uint8_t { done, dead, full };

  /// Any thread. What users send: others may run before. Waits when the mailbox is full and its owner wants that; then it
  /// throws leaf_blocked for a leaf, unwind.
  void send(pid to, message_ptr what) {
    interleave();
    if (try_deliver(to, what, executor::urgency::soon) == delivery::full) [[unlikely]]
      send_to_full(to, std::move(what));
  }
  /// The same for a process of another runtime, which this one need not outlive.
  void send_from_elsewhere(pid to, message_ptr what);
  /// Any thread. Puts the message into the mailbox; false, and it is gone, when the receiver is dead or has no room. The
  /// caller's process, if it has one, is who destroys it then.
  bool deliver(pid to, message_ptr what, executor::urgency how = executor::urgency::soon) noexcept;
  /// Any thread. The same for something whose failure has to be answered: takes it only when it is done.
  delivery try_deliver(pid to, message_ptr& what, executor::urgency how) noexcept;
  /// The same for who may hold a lock: nobody runs in between. What is not taken stays in `what`.
  void deliver_now(pid to, message_ptr& what) noexcept;
  /// Any thread. Has a process of the runtime's own destroy what nobody takes: because it is the user's, it may do
  /// anything, and must not do it on the thread, or in the name, of whoever happens to hold it.
  void discard(message_ptr what) noexcept;
  /// Holder. A message was taken out of the mailbox to be handled.
  void taken(process& p, const message& what) noexcept {
    p.counts_one();
    has_left(p, what);
  }
  /// Holder. A message is not in the mailbox any more.
  void has_left(process& p, const message& what) noexcept {
    if (what.is_counted) [[unlikely]]
      make_room(p);
  }
  /// The current process, before it looks into a letter that it may want.
  bool make_ready(process& p, letter& what);
  /// Holder. See kv::limit_mailbox.
  void limit_mailbox(process& p, std::uint32_t limit, when_full how);
  /// Where whoever runs on this thread waits for something of this runtime: a process in its own, where its fiber goes to
  /// sleep and its thread does not; a plain thread here, by a stand-in. Where one of the two is a simulation, here, too:
  /// the thread is its, and has to run it meanwhile. Throws leaf_blocked.
  core& waits_at(const char* verb);
  /// A process, or a plain thread, which then waits as a process of its own. Returns the request with its result.
  /// Throws call_error.
  std::unique_ptr<request> transact(pid to, std::unique_ptr<request> what, duration timeout);
  /// The current process. Expects an answer to that request, to be looked for later; returns its number.
  std::uint64_t expect_reply(process& self, request& what);
  /// The current process. Sends such a request; that nobody is there is an answer, too. Throws call_error{overloaded}.
  void send_request(pid to, std::unique_ptr<request> what);
  /// The current process. Waits until one of these requests is answered or the deadline has passed; returns which.
  std::optional<std::size_t> wait_for_reply(process& self, std::span<const std::uint64_t> requests,
                                            time_point deadline);
  /// The current process. Takes an answer that has come. Throws std::logic_error when it was taken before.
  std::unique_ptr<request> take_reply(process& self, std::uint64_t request);
  /// Any thread. Answers a request, with its result or with the reason why there is none.
  void answer(message_ptr what, const exit_reason* failure) noexcept;

  // Time -------------------------------------------------------------------------------------------------------

  /// Any thread. What users get to see of a number that the runtime counts up, and back: nothing for one of another runtime.
  std::uint64_t mark(std::uint64_t number) const noexcept { return std::uint64_t{node_} << counted_bits | number; }
  std::optional<std::uint64_t> unmark(std::uint64_t marked) const noexcept {
    const auto number = marked & counted_up;
    return mark(number) == marked ? std::optional(number) : std::nullopt;
  }
  /// Any thread. Returns the timer's number.
  std::uint64_t start_timer(pid to, duration delay, timed_message what);
  /// The same for who may hold a lock: nobody runs in between. The delay must be more than 0.
  std::uint64_t set_timer(pid to, duration delay, timed_message what);
  /// Any thread. These return how long the timer still had to go; nothing when it is gone.
  std::optional<duration> cancel_timer(std::uint64_t number);
  std::optional<duration> stop_timer(std::uint64_t number);  // for who may hold a lock
  std::optional<duration> time_left(std::uint64_t number);
  /// Any thread. Sets when that timer goes off next, if it is still there. Needs no memory.
  void move_timer(std::uint64_t number, time_point due) noexcept;
  /// Holder. See kv::idle_after.
  void watch_idleness(process& p, duration timeout);
  /// The executor. Sends what the first timer that is due sends; false when none is. Returns when the next one is.
  bool ring() noexcept;
  time_point next_alarm() const noexcept;

  // Leaves: a call that runs on its caller's stack ---------------------------------------------------------------

  /// Any thread. Claims an idle leaf for the caller; null when it is dead, busy, frozen or no leaf.
  process* claim_leaf(pid id) noexcept {
    auto* const p = find(id);
    if (p == nullptr || !p->is_leaf.load(std::memory_order_relaxed)) return nullptr;
    if (!p->mailbox.try_claim(id.generation) && !claim_soon(*p, id.generation)) return nullptr;
    // Under the claim the generation stands still, so from here on it is that process or, once in 65,536 deaths, not.
    if (p->generation.load(std::memory_order_relaxed) == id.generation && p->runs_inline()) return p;
    put_back(*p);
    return nullptr;
  }
  /// Holder. Gives the claim back, or hands it on when there is more to do.
  void release(process& p) noexcept {
    if (!p.needs_settling && p.mailbox.try_release()) return;
    settle(p);
  }
  /// Holder. Gives back the claim of a process that he only looked at, whatever it was doing.
  void put_back(process& p) noexcept;
  /// Holder. Ends a leaf whose function threw and tells the caller.
  [[noreturn]] void fail_inline(process& p, std::exception_ptr why);

  // Inside a process -------------------------------------------------------------------------------------------

  /// The current process. Waits until something has arrived or the deadline has passed (false). Throws unwind when the
  /// process has to end; where that would end the program, it gives up (false), if it can. Throws leaf_blocked for a leaf,
  /// out_of_stacks.
  bool wait(process& self, suspension& how, time_point deadline);
  /// The current process, before it takes a message. Obeys the signals that have come. Throws unwind.
  void check_signals(process& self) {
    if (self.mailbox.has_messages()) drain(self);
    throw_if_ending(self);
  }
  /// The current process, which has to end.
  [[noreturn]] void throw_unwind(process& self);
  /// The current process, in which wait() has just returned false. Says why a call of it has no answer.
  static call_error::code why_none_came(const process& self) noexcept;
  /// Returns when that will be: time_point::max() for `infinity`, time_point::min() for none, which never waits.
  time_point deadline_after(duration timeout) noexcept;
  static time_point deadline_after(duration timeout, time_point now) noexcept;

  /// Any thread. Nothing happens when the receiver is dead.
  void send_signal(pid to, std::unique_ptr<signal> what) noexcept;
  /// Any thread. Throws std::bad_alloc, and then nothing has been sent.
  void send_exit(pid to, pid from, const exit_reason& why) {
    send_signal(to, std::make_unique<exit_notice>(signal::op::exit, from, why));
  }
  /// Returns a number for the next monitor of that process: one that no other process has given, so that who uses
  /// another's by mistake finds none, and not an unrelated monitor of its own.
  monitor_ref next_ref(process& self) const noexcept;
  monitor_ref monitor(process& self, pid target, std::string tag);
  monitor_ref monitor(process& self, std::string_view name, std::string tag);
  void demonitor(process& self, monitor_ref ref, bool flush) noexcept;
  void link(process& self, pid peer);
  void unlink(process& self, pid peer);

  // Names ------------------------------------------------------------------------------------------------------

  /// Any thread. Throws name_taken, and call_error when the process is dead.
  void register_name(std::string name, pid who);
  bool unregister_name(std::string_view name);
  /// A process, or a plain thread, which then waits as a process of its own. Returns the process of that name, nothing
  /// when there is none until the timeout. Throws leaf_blocked.
  std::optional<pid> await_name(std::string_view name, duration timeout);
  std::optional<pid> whereis(std::string_view name) const;
  std::optional<pid> whereis(std::string_view name, std::type_index type) const;
  /// The same as whereis(name), for who is no process: nobody runs in between.
  std::optional<pid> holder_of(std::string_view name) const;
  std::vector<std::pair<std::string, pid>> registered() const;

  // Introspection ------------------------------------------------------------------------------------------------

  /// Any thread. Returns what can be learned of a process; nothing when it is dead.
  std::optional<process_info> info(pid id);
  /// Any thread. The same of so many processes as text, a line for each.
  std::string dump(std::size_t most);

  // Birth, turn and death ----------------------------------------------------------------------------------------

  /// Takes a slot and sets the process up; the claim is the caller's. Throws name_taken, and std::runtime_error when
  /// the runtime is shutting down.
  process& create(birth what);
  /// Runs a start action inside a new leaf on this stack. Throws start_error.
  void start_inline(process& p, action& start);
  /// Runs a start action inside a new process that may block, and waits for it. Throws start_error, call_error.
  void start_elsewhere(process& p, std::unique_ptr<request> start);
  /// Runs a start action inside a new process and does not wait.
  void start_detached(process& p, message_ptr start, executor::urgency how) noexcept;
  /// Runs a start action as a process on a thread of its own and does not wait. Throws std::system_error.
  void start_on_thread(process& p, std::unique_ptr<action> start);
  /// Holder, called by the executor on that thread. Lives the whole life of the process.
  void run_on_thread(process& p, std::unique_ptr<action> start) noexcept;
  /// Holder, called by the executor. Handles what is there, at most one turn of it, and gives the claim away.
  void run(process& p) noexcept;
  /// Holder. Gives the claim away: to nobody, to the executor, or ends the process.
  void settle(process& p) noexcept;
  /// Holder. Returns what run() would handle first; null when there is nothing or the process has to end.
  const message* peek(process& p) noexcept;
  /// A plain thread's stand-in: a process whose turn is that thread's. The claim is the caller's.
  process& open_external(bool with_reserve = false);
  void close_external(process& p) noexcept;

  void report_now(const report& entry) const noexcept;
  /// The same of what `make()` returns; nothing when there is no memory for it.
  template <class F>
  void report_if_possible(F make) const noexcept {
    try {
      report_now(make());
    } catch (const std::bad_alloc&) {
      // The report is of no use to anybody who could be told so.
    }
  }

  // Simulation -------------------------------------------------------------------------------------------------------

  /// Holds no lock. In a simulation, others may run here; called wherever an effect of other processes can be seen, or
  /// seen by them. Costs a test of a flag in a real runtime.
  void interleave() {
    if (is_simulated_) [[unlikely]]
      executor_->interleave(true);
  }
  /// The same where nothing may be thrown.
  void interleave_quietly() const noexcept {
    if (is_simulated_) [[unlikely]]
      executor_->interleave(false);
  }
  /// Stands on the stack while a function of the user's runs inside a process.
  class callback {
   public:
    callback(core& home, process& p) noexcept : home_(home) {
      if (home_.is_simulated_) [[unlikely]]
        outer_ = home_.executor_->begin_callback(p);
    }
    callback(const callback&) = delete;
    callback& operator=(const callback&) = delete;
    ~callback() {
      if (home_.is_simulated_) [[unlikely]]
        home_.executor_->end_callback(outer_);
    }

   private:
    core& home_;
    unsigned* outer_ = nullptr;  // the executor's
  };
  void observe(const process& p, step::kind what, const std::type_info* type = nullptr, pid other = {}) const noexcept {
    if (is_simulated_) [[unlikely]]
      executor_->observe({.who = p.id(), .what = what, .type = type, .other = other});
  }

  executor& exec() noexcept { return *executor_; }
  table_directory& tables() const noexcept { return *tables_; }

 private:
  class name_wait;

  bool is_alive_for_sure(pid id) const noexcept;
  bool claim_soon(process& p, std::uint32_t generation) noexcept;
  static delivery count(process& p, message& what) noexcept;
  delivery push(process& p, pid to, message_ptr& what, executor::urgency how) noexcept;
  void send_to_full(pid to, message_ptr what);
  void drop(pid to) noexcept;
  void make_room(process& p) noexcept;
  void answer_all(message* first) noexcept;
  bool await_room(pid to);
  void watch_killed(pid who) noexcept;
  void report_killed(pid who) noexcept;
  void report_stubborn(pid who, const exit_reason& told, duration since) noexcept;
  void note_idle(process& p) noexcept;
  void check_idle(process& p) noexcept;
  void ask_when_idle(errands::idleness& idle) noexcept;
  void drain(process& p) noexcept;
  void accept(process& p, message_ptr what) noexcept;
  void obey(process& p, std::unique_ptr<signal> what) noexcept;
  void apply(process& p, std::unique_ptr<signal> what) noexcept;
  void forget_watcher(pid watched, pid watcher, monitor_ref ref) noexcept;
  static bool has_room_for_ties(process& p) noexcept;
  void forget(process& p, std::uint64_t request) noexcept;
  /// Sends a signal that ties or unties. An idle leaf obeys at once, on the sender's stack: nothing can follow from it
  /// that would need a turn.
  void tie(pid to, std::unique_ptr<signal> what) noexcept;
  static void apply_down(process& p, std::unique_ptr<down_notice> what) noexcept;
  static void apply_link(process& p, std::unique_ptr<exit_notice> what) noexcept;
  static void apply_unlink(process& p, pid from, std::uint32_t seen) noexcept;
  void accept_reply(process& p, message_ptr what) noexcept;
  static bool has_alias(const process& p, std::uint64_t alias) noexcept;
  static void end_as_told(process& p, const exit_reason& why);
  static std::string class_name(const process& p);
  static void apply_exit(process& p, std::unique_ptr<exit_notice> what) noexcept;
  /// A tie comes back to who made it, as the news that its other end `from` has ended.
  template <class Notice>
  void send_back(std::unique_ptr<Notice> tie, signal::op news, pid from, const exit_reason& why) noexcept {
    const auto to = std::exchange(tie->news.from, from);
    tie->operation = news;
    tie->news.reason = why;
    send_signal(to, std::move(tie));
  }
  void handle_message(process& p, message_ptr what) noexcept;
  void destroy(process& p, message_ptr what) noexcept;
  void dispatch(process& p, message& what);
  void deliver_letter(process& p, letter& what);
  void bounce(pid to, message_ptr what, const exit_reason& why) noexcept;
  void finish(process& p) noexcept;
  void say_last_words(process& p) noexcept;
  void report_swallowed(process& p) noexcept;
  static void fail_with(process& p, const std::exception_ptr& failure) noexcept;
  void destroy_state(process& p) noexcept;
  void drop_all_but_requests(process& p) noexcept;
  void depart(process& p) noexcept;
  static void take_unanswered(process& p, message_queue& result) noexcept;
  void report_crash(const process& p) const noexcept;
  void notify_links_and_monitors(pid who, relations& bonds, const exit_reason& why) noexcept;
  void count_out(bool is_counted, bool is_disposer) noexcept;
  static void forget_parent(const process& p, relations& bonds) noexcept;
  void clear(process& p) noexcept;
  /// Throws unwind when the process has to end; true when it has to and cannot be unwound.
  bool throw_if_ending(process& self);
  bool waits_on(process& self, const suspension& how) const noexcept;
  void rest(process& self);
  static void refuse_to_block(const process& self, const char* verb);
  void abandon(process& p) noexcept;
  static void untie(process& parent, pid child) noexcept;
  std::vector<pid> roots() const;
  void end_root(process& self, pid root);
  void kill(pid who) noexcept;
  void await(const std::function<bool()>& is_over) noexcept;

  // Of the disposer, which lives in no slot: so that it changes no other process's pid.
  static constexpr std::uint32_t disposer_slot = slab::max_slots;
  static constexpr std::uint32_t first_generation = 1;

  std::uint32_t node_ = 0;  // set by the constructor, and by retire()
  // Written by start(), before anybody can have queued work: the lock of the queue orders it before every thread's read.
  bool is_simulated_ = false;
  report_sink sink_;
  const duration shutdown_timeout_;
  const duration kill_timeout_;
  slab slots_;
  const std::unique_ptr<process> disposer_;
  std::unique_ptr<last_resort> last_resort_;   // for an end without memory: see kill()
  std::unique_ptr<exit_notice> disposer_end_;  // the same: ends the disposer
  std::unique_ptr<name_directory> names_;
  std::unique_ptr<table_directory> tables_;
  std::unique_ptr<timer_queue> timers_;
  std::unique_ptr<executor> executor_;
  std::atomic<std::uint64_t> root_serials_{0};
  // Living processes, without the stand-ins and the disposer. The shutdown waits for zero under idle_mutex_.
  std::atomic<std::size_t> live_{0};
  std::mutex idle_mutex_;
  std::condition_variable ended_;    // some process has, or has obeyed: what shut_down() waits for
  bool shutting_down_ = false;       // under idle_mutex_
  bool disposer_has_ended_ = false;  // the same
};

/// What a runtime does with its core at the end: it is retired, and kept for the next runtime.
struct core_end {
  void operator()(core* what) const noexcept;
};

}  // namespace kv::detail
