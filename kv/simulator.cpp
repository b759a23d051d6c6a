#include "simulator.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <iostream>

#include "exception_globals.hpp"
#include "unwind_path.hpp"

namespace kv::detail {

sim_wait* wait_of(const process& p) noexcept {
  return p.waiting == nullptr ? nullptr : static_cast<sim_wait*>(p.waiting->parked);
}

simulator::simulator(core& c, const simulation_options& options)
    : core_(c),
      options_(options),
      fate_(options.seed, options.only),
      overflows_(options.runtime.explain_stack_overflow),
      stacks_(options.runtime.stack_size, options.runtime.max_stacks, 1, options.runtime.reserved_stacks, false) {
  add_worker(stack_pool::source::common);
}

simulator::~simulator() = default;

// Waiting --------------------------------------------------------------------------------------------------------

void simulator::ready(process& p, urgency /*how*/) noexcept {
  check_thread();
  const reliable_memory here;
  auto* const waiting = wait_of(p);
  if (waiting != nullptr && waiting->at == nullptr) {
    waiting->is_over = true;
  } else {
    runnable_.push_back({&p, waiting == nullptr ? nullptr : waiting->at});
  }
}

void simulator::prepare_wait(const process& p) {
  const reliable_memory mine;
  const auto from = p.may_use_reserve() ? stack_pool::source::reserve_too : stack_pool::source::common;
  if (!p.has_thread) ensure_idle_worker(from);  // so that it is the one that blocks who gets out_of_stacks
}

bool simulator::suspend(process& p, time_point deadline) {
  check_thread();
  const reliable_memory mine;
  sim_wait here{&p, p.has_thread ? nullptr : running_, deadline, ++waits_, now_};
  prepare_wait(p);
  here.on_reserve = here.at != nullptr && idle_.size() <= idle_for_reserve();
  if (here.on_reserve) ++reserved_waits_;
  p.waiting->parked = &here;
  if (deadline != time_point::max()) timers_.insert(&here);
  struct awake {
    simulator& world;
    sim_wait& me;
    ~awake() {
      if (me.on_reserve) --world.reserved_waits_;
      world.timers_.erase(&me);
      me.who->waiting->parked = nullptr;
    }
  } const at_end{*this, here};
  note(p, step::kind::waits, p.waiting->callee);
  if (p.mailbox.try_release()) {
    here.at != nullptr ? switch_to_driver() : drive(here);
  }
  if (!here.timed_out) note(p, step::kind::goes_on);
  return !here.timed_out;
}

void simulator::drive(const sim_wait& until) {
  try {
    while (!until.is_over) {
      if (turn() || fire_next_timer()) continue;
      if (is_closing_) abandon_run();
      give_up(simulation_error::code::deadlock);
    }
  } catch (...) {
    until.who->mailbox.try_claim();  // nobody else does: nobody runs
    throw;
  }
}

void simulator::give_up(simulation_error::code why) const {
  const auto what = why == simulation_error::code::deadlock
                        ? std::string("deadlock: nobody can run and no timer is set")
                        : "more than " + std::to_string(options_.max_steps) + " steps (simulation_options::max_steps)";
  throw simulation_error(why, what + "; the processes:\n" + list() + circumstances());
}

void simulator::run_until(const std::function<bool()>& is_over) noexcept {
  while (!is_over()) {
    if (!try_turn() && !fire_next_timer()) abandon_run();
  }
}

/// The end of the runtime waits for a process that will never end, and nothing may be thrown.
void simulator::abandon_run() const {
  std::cerr << "kv: the simulation cannot end; the processes:\n" << list() << circumstances() << '\n';
  std::abort();
}

/// Another thread would break everything that makes a simulation one, and there may be nobody to catch an exception.
void simulator::check_thread() const noexcept {
  if (std::this_thread::get_id() == thread_) return;
  std::cerr << "kv: a simulation was used by another thread than the one that made it\n";
  std::abort();
}

void simulator::launch(process& p, std::unique_ptr<action> start) {
  p.has_thread = false;
  core_.start_detached(p, std::move(start), urgency::soon);
}

// Turns ----------------------------------------------------------------------------------------------------------

bool simulator::is_held(pid who) const { return std::ranges::find(held_, who) != held_.end(); }

bool simulator::may_run(const candidate& c) const { return held_.empty() || !is_held(c.who->id()); }

bool simulator::deviates(fate::kind how) { return !is_calm_ && fate_.strikes(how, boundary_); }

bool simulator::kill(const victim& whom) {
  const auto found = whom.find(core_);
  if (!found) return false;
  ++kills_;
  observe({.who = *found, .what = step::kind::fault_kill});
  is_striking_ = true;
  core_.send_exit(*found, pid{}, exit_reason::kill);
  is_striking_ = false;
  return true;
}

/// A turn boundary. Kills whom the plan or the seed wants dead here; tells whether it did.
bool simulator::strike() {
  if (is_calm_) return false;
  ++boundary_;
  bool struck = false;
  for (const auto& planned : options_.kills) {
    if (planned.boundary == boundary_) struck = kill(planned.whom) || struck;
  }
  const auto& victims = options_.faults.victims;
  if (chance_kills_ < options_.faults.max_kills && !victims.empty() && deviates(fate::kind::kill)) {
    ++chance_kills_;
    struck = kill(victims[fate_.draw(fate::kind::kill, boundary_, victims.size())]) || struck;
  }
  return struck;
}

std::deque<simulator::candidate>::iterator simulator::choose() {
  const auto first = next_able(runnable_.begin());
  if (first == runnable_.end() || next_able(first + 1) == runnable_.end() || !deviates(fate::kind::order)) return first;
  const auto others = static_cast<std::uint64_t>(runnable_.end() - first - 1);
  auto chosen = next_able(first + 1 + static_cast<std::ptrdiff_t>(fate_.draw(fate::kind::order, boundary_, others)));
  if (chosen == runnable_.end()) chosen = next_able(first + 1);
  note(*chosen->who, step::kind::jumps_queue);
  return chosen;
}

std::deque<simulator::candidate>::iterator simulator::next_able(std::deque<candidate>::iterator from) {
  return std::find_if(from, runnable_.end(), [this](const candidate& c) { return may_run(c); });
}

bool simulator::turn() {
  if (is_endless() && !is_closing_) give_up(simulation_error::code::step_limit);
  return try_turn();
}

bool simulator::try_turn() {
  strike();
  const auto chosen = choose();
  if (chosen == runnable_.end()) return false;
  run(chosen);
  return true;
}

void simulator::run(std::deque<candidate>::iterator chosen) {
  const auto next = *chosen;
  runnable_.erase(chosen);
  ++steps_;
  ++moments_;
  if (next.at != nullptr) return resume(*next.at);
  auto& worker = *idle_.back();
  idle_.pop_back();
  worker.job = next.who;
  resume(worker);
}

void simulator::interleave(bool may_throw) {
  check_thread();
  if (is_striking_) return;
  const reliable_memory mine;
  ++moments_;
  if (is_endless()) return leave(may_throw);
  const bool struck = strike();
  if (next_able(runnable_.begin()) == runnable_.end()) return;
  if (!struck && !deviates(fate::kind::preemption)) return;
  if (running_ != nullptr && !has_successor()) return;
  ++steps_;
  observe({.who = running_ != nullptr ? running_->job->id() : pid{}, .what = step::kind::preempted});
  if (running_ != nullptr) return let_others_run();
  const auto here = boundary_;
  for (auto turns = 1 + fate_.draw(fate::kind::preemption, here, 2 * runnable_.size()); turns > 0; --turns) {
    if (!try_turn()) return;
  }
}

bool simulator::has_successor() {
  try {
    ensure_idle_worker(stack_pool::source::common);
    return true;
  } catch (const out_of_stacks&) {
    return false;  // whoever blocks next is told
  }
}

void simulator::let_others_run() {
  runnable_.push_back({running_->job, running_});
  switch_to_driver();
}

/// The run has failed. It has to end, also where nobody ever waits: the driver hears of it, and when it has, whoever
/// still runs is unwound.
void simulator::leave(bool may_throw) {
  if (running_ == nullptr) {
    if (may_throw && !is_closing_) give_up(simulation_error::code::step_limit);
    return;
  }
  if (!is_closing_) return let_others_run();
  auto& p = *running_->job;
  if (!may_throw || current_process != &p || p.is_ending() || std::uncaught_exceptions() > 0) return;
  if (!can_unwind_from_here()) return;
  p.end_with(exit_reason::killed, end_cause::told);
  throw unwind{};
}

bool simulator::turn_of(pid who) {
  const auto found = std::ranges::find(runnable_, who, [](const candidate& c) { return c.who->id(); });
  if (found == runnable_.end() || is_held(who)) return false;
  run(found);
  return true;
}

const std::type_info* simulator::next_message(pid who) const {
  const auto found = std::ranges::find(runnable_, who, [](const candidate& c) { return c.who->id(); });
  if (found == runnable_.end() || found->at != nullptr) return nullptr;
  const auto* const next = core_.peek(*found->who);
  return next == nullptr ? nullptr : &next->type();
}

// Faults ---------------------------------------------------------------------------------------------------------

unsigned* simulator::begin_callback(process& p) noexcept {
  auto* const outer = std::exchange(allocations_left, nullptr);
  const auto id = p.id();
  if (chance_refusals_ < options_.faults.max_refusals && deviates(fate::kind::refusal)) {
    ++chance_refusals_;
    constexpr std::uint64_t furthest = 8;
    refuse_allocation(id, 1 + static_cast<unsigned>(fate_.draw(fate::kind::refusal, boundary_, furthest)));
  }
  const auto mine = std::ranges::find_if(refusals_, [id](const refusal& r) { return r.who == id && r.left > 0; });
  if (mine == refusals_.end()) return outer;
  note(p, step::kind::fault_memory);
  allocations_left = &mine->left;
  return outer;
}

// Fibers ---------------------------------------------------------------------------------------------------------

/// Idle workers stay. Where the reserve lacks stacks and nobody waits on them, as many of the idle ones are kept for it.
void simulator::ensure_idle_worker(stack_pool::source from) {
  if (idle_.size() <= (from == stack_pool::source::common ? idle_for_reserve() : 0)) add_worker(from);
}

void simulator::add_worker(stack_pool::source from) {
  auto worker = std::make_unique<sim_worker>();
  workers_.reserve(workers_.size() + 1);
  idle_.reserve(workers_.size() + 1);
  const auto stack = stacks_.allocate(from).stack;
  worker->other_side = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack), stack_of_worker{&stacks_},
      [this, stack, me = worker.get()](boost::context::fiber&& driver) {
        const running_stack here(stack);
        me->other_side = std::move(driver);
        work(*me);
        return std::move(me->other_side);
      });
  workers_.push_back(std::move(worker));
  idle_.push_back(workers_.back().get());
}

void simulator::work(sim_worker& me) {
  while (me.job != nullptr) {
    running_stack::runs(*me.job);
    core_.run(*me.job);
    me.job = nullptr;
    idle_.push_back(&me);
    switch_to_driver();
  }
}

void simulator::resume(sim_worker& w) {
  const keep_exceptions mine;
  const running_stack::keep stack;
  auto* const process_here = std::exchange(current_process, nullptr);
  auto* const worker_here = std::exchange(running_, &w);
  const exhausted_memory there(is_exhausted_);
  w.other_side = std::move(w.other_side).resume();
  running_ = worker_here;
  current_process = process_here;
}

void simulator::switch_to_driver() {
  const keep_exceptions mine;
  const running_stack::keep stack;
  auto& me = *running_;
  auto* const process_here = current_process;
  me.other_side = std::move(me.other_side).resume();
  current_process = process_here;
}

void simulator::stop() noexcept {
  assert(idle_.size() == workers_.size());
  for (auto& worker : workers_) resume(*worker);  // without a job: they end
}

// Time -----------------------------------------------------------------------------------------------------------

std::optional<time_point> simulator::next_timer() const {
  const auto next = std::min(next_wait(), core_.next_alarm());
  return next == time_point::max() ? std::nullopt : std::optional(next);
}

/// Returns when the next wait ends by itself.
time_point simulator::next_wait() const noexcept {
  return timers_.empty() ? time_point::max() : (*timers_.begin())->deadline;
}

bool simulator::fire_next_timer() {
  const auto next = next_timer();
  if (!next) return false;
  set_clock(*next);
  if (core_.next_alarm() == *next) {
    const exhausted_memory there(is_exhausted_);
    return core_.ring();
  }
  auto& due = **timers_.begin();
  timers_.erase(timers_.begin());
  // When the claim is taken, the process is ready already: then what it waited for was in time.
  if (!due.who->mailbox.try_claim()) return true;
  due.timed_out = true;
  note(*due.who, step::kind::times_out);
  ready(*due.who, urgency::soon);
  return true;
}

}  // namespace kv::detail
