#include "thread_executor.hpp"

#include <chrono>
#include <random>
#include <string>
#include <system_error>

#include <kv/detail/core.hpp>
#include <kv/detail/table_guard.hpp>
#include <kv/runtime.hpp>

namespace kv::detail {

namespace {

/// The scheduler thread this is, if it is one. Set once, at its start.
constinit thread_local scheduler_thread* this_thread = nullptr;

/// The system may have no descriptor to read a random number from.
std::uint64_t seed() noexcept {
  try {
    return std::random_device{}();
  } catch (const std::exception&) {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
}

/// How often an idle thread, or a caller of a busy leaf, looks again before it sleeps: some ten microseconds, less than
/// a sleep and a wake-up cost. Without a second core there is nobody to wait for.
unsigned spins() { return std::thread::hardware_concurrency() > 1 ? 300 : 0; }

}  // namespace

// scheduler_thread -----------------------------------------------------------------------------------------------

scheduler_thread::scheduler_thread(thread_executor& owner, std::size_t index)
    : owner_(owner), index_(index), workers_(owner.core_, *this, owner.stacks_) {}

void scheduler_thread::start() {
  workers_.prepare();
  thread_ = std::thread([this] {
    const alternate_stack for_signals;
    this_thread = this;
    workers_.run();
  });
}

void scheduler_thread::push(process& p, executor::urgency how) {
  const bool suspended_here = parked_state(p) != nullptr;
  const bool mine = this_thread == this;
  if (mine && suspended_here) return resumable_.push(p);
  if (mine && how == executor::urgency::handoff && handoff_ == nullptr) {
    handoff_ = &p;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    (suspended_here ? shared_.resumable : shared_.runnable).push(p);
    has_shared_.store(true, std::memory_order_relaxed);
  }
  if (!mine && wake_if_parked()) return;
  if (!suspended_here) owner_.wake_somebody();
}

void scheduler_thread::prepare_wait(const process& p) {
  workers_.prepare_successor(p.may_use_reserve() ? stack_pool::source::reserve_too : stack_pool::source::common);
}

bool scheduler_thread::suspend(process& p, time_point deadline) {
  prepare_wait(p);
  parked_process here;
  here.who = &p;
  here.home = this;
  here.deadline = deadline;
  p.waiting->parked = &here;
  if (deadline != time_point::max()) deadlines_.insert(here);
  // From the release on another thread may claim and queue it; this thread continues it only after the switch.
  if (p.mailbox.try_release()) workers_.suspend(here);
  if (here.is_linked()) deadlines_.erase(deadlines_.iterator_to(here));
  p.waiting->parked = nullptr;
  current_process = &p;
  return !here.timed_out;
}

void scheduler_thread::pause(process& p) noexcept {
  table_guard::assert_none();
  try {
    workers_.prepare_successor(stack_pool::source::common);
  } catch (const std::exception&) {
    return;  // there is no stack to run anybody else on
  }
  parked_process here;
  here.who = &p;
  here.home = this;
  suspension nothing_awaited{.parked = &here};
  auto* const outer = std::exchange(p.waiting, &nothing_awaited);
  paused_.push(p);  // with its claim, so nobody else continues it
  workers_.suspend(here);
  p.waiting = outer;
  current_process = &p;
}

process* scheduler_thread::steal() {
  if (!has_shared_.load(std::memory_order_relaxed)) return nullptr;
  const std::lock_guard lock(mutex_);
  auto* const p = shared_.runnable.pop();
  has_shared_.store(!shared_.runnable.empty() || !shared_.resumable.empty(), std::memory_order_relaxed);
  return p;
}

bool scheduler_thread::wake_if_parked() noexcept {
  if (!parked_.load(std::memory_order_relaxed) || !parked_.exchange(false, std::memory_order_relaxed)) return false;
  owner_.parked_count_.fetch_sub(1, std::memory_order_relaxed);
  parker_.unpark();
  return true;
}

process* scheduler_thread::next() {
  for (;;) {
    if (worlds::forks() != owner_.forks_) [[unlikely]]
      worlds::end_child();
    if (auto* const p = next_ready_process()) return p;
    if (owner_.stopping_.load(std::memory_order_acquire)) return nullptr;
    sleep();
    expire_deadlines();
  }
}

process* scheduler_thread::next_ready_process() {
  // Now and then, so that neither timeouts nor what others sent starve while processes here keep each other busy.
  if (++ticks_ % 64 == 0) expire_deadlines();
  if (ticks_ % 8 == 0) {
    if (auto* const p = take_shared()) return p;
  }
  if (ticks_ % 2 == 1) {
    if (auto* const p = paused_.pop()) return p;
  }
  if (handoff_ != nullptr) return std::exchange(handoff_, nullptr);
  if (auto* const p = resumable_.pop()) return p;
  if (auto* const p = take_shared()) return p;
  if (auto* const p = paused_.pop()) return p;
  return owner_.steal_for(index_);
}

process* scheduler_thread::take_shared() {
  if (!has_shared_.load(std::memory_order_relaxed)) return nullptr;
  const std::lock_guard lock(mutex_);
  auto* p = shared_.resumable.pop();
  if (p == nullptr) p = shared_.runnable.pop();
  has_shared_.store(!shared_.runnable.empty() || !shared_.resumable.empty(), std::memory_order_relaxed);
  return p;
}

void scheduler_thread::expire_deadlines() {
  if (deadlines_.empty()) return;
  const auto now = owner_.now();
  while (!deadlines_.empty() && deadlines_.begin()->deadline <= now) {
    auto& due = *deadlines_.begin();
    deadlines_.erase(deadlines_.begin());
    // When the claim is taken, whoever took it is about to queue the process: then it was in time.
    if (!due.who->mailbox.try_claim()) continue;
    due.timed_out = true;
    resumable_.push(*due.who);
  }
}

void scheduler_thread::sleep() {
  for (auto tries = owner_.patience_; tries > 0; --tries) {
    if (has_shared_.load(std::memory_order_relaxed) || owner_.anything_to_steal(index_)) return;
    relax();
  }
  owner_.parked_count_.fetch_add(1, std::memory_order_relaxed);
  parked_.store(true, std::memory_order_relaxed);
  if (!owner_.anything_at_all(index_)) {
    parker_.park_until(deadlines_.empty() ? time_point::max() : deadlines_.begin()->deadline, 0);
  }
  if (parked_.exchange(false, std::memory_order_relaxed)) {
    owner_.parked_count_.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool scheduler_thread::has_work_for(std::size_t index) noexcept {
  const std::lock_guard lock(mutex_);
  return !shared_.runnable.empty() || (index == index_ && !shared_.resumable.empty());
}

// thread_executor ------------------------------------------------------------------------------------------------

thread_executor::thread_executor(core& c, const runtime_options& options)
    : core_(c),
      overflows_(options.explain_stack_overflow),
      alarm_(c),
      stacks_(options.stack_size, options.max_stacks, options.threads, options.reserved_stacks, true),
      patience_(spins()) {
  for (std::size_t i = 0; i < options.threads; ++i) threads_.push_back(std::make_unique<scheduler_thread>(*this, i));
  start_threads();
}

thread_executor::~thread_executor() = default;

void thread_executor::start_threads() {
  std::size_t started = 0;
  const auto state = [&] {
    return std::to_string(started) + " of " + std::to_string(threads_.size()) +
           " scheduler threads could be started (runtime_options::threads)";
  };
  try {
    for (; started < threads_.size(); ++started) threads_[started]->start();
    alarm_.start();
  } catch (const std::system_error& refusal) {
    stop_threads();
    throw std::system_error(refusal.code(),
                            state() + (started < threads_.size() ? "" : ", but not that of the timers"));
  } catch (const out_of_stacks& refusal) {
    stop_threads();
    throw out_of_stacks(state() + ": " + refusal.what());
  }
}

void thread_executor::ready(process& p, urgency how) noexcept {
  if (auto* const parked = parked_state(p)) {
    return parked->home != nullptr ? parked->home->push(p, how) : parked->sleeping_thread->unpark();
  }
  if (this_thread != nullptr && this_thread->belongs_to(*this)) return this_thread->push(p, how);
  const auto turn = next_thread_.fetch_add(1, std::memory_order_relaxed);
  threads_[turn % threads_.size()]->push(p, how);
}

void thread_executor::prepare_wait(const process& p) {
  if (waits_on_fiber(p)) this_thread->prepare_wait(p);
}

/// A leaf ends on its caller's stack, which may be any thread's, and its destructors may wait.
bool thread_executor::waits_on_fiber(const process& p) const noexcept {
  return !p.has_thread && this_thread != nullptr && this_thread->belongs_to(*this);
}

bool thread_executor::suspend(process& p, time_point deadline) {
  if (waits_on_fiber(p)) return this_thread->suspend(p, deadline);
  parker here;  // no thread_local object: those that are destroyed when the program ends may still call
  parked_process me;
  me.sleeping_thread = &here;
  p.waiting->parked = &me;
  bool in_time = true;
  if (p.mailbox.try_release() && !here.park_until(deadline, patience_)) {
    // Too late, unless another thread has just taken the claim: then its wake-up is under way and has to be waited for.
    in_time = !p.mailbox.try_claim();
    if (in_time) here.park_until(time_point::max(), patience_);
  }
  p.waiting->parked = nullptr;
  return in_time;
}

void thread_executor::pause() noexcept {
  const bool is_mine = this_thread != nullptr && this_thread->belongs_to(*this);
  if (is_mine && current_process != nullptr) this_thread->pause(*current_process);
}

void thread_executor::launch(process& p, std::unique_ptr<action> start) {
  own_threads_.launch(core_, p, std::move(start));
}

bool thread_executor::is_own_thread() const noexcept {
  const bool is_scheduler = this_thread != nullptr && this_thread->belongs_to(*this);
  return is_scheduler || own_threads_.is_one() || alarm_.is_this_thread();
}

std::uint64_t thread_executor::random() noexcept {
  static thread_local std::mt19937_64 engine{seed()};
  return engine();
}

void thread_executor::stop() noexcept {
  stop_threads();
  own_threads_.join();
}

void thread_executor::stop_threads() noexcept {
  alarm_.stop();
  stopping_.store(true, std::memory_order_release);
  for (auto& thread : threads_) thread->wake();
  for (auto& thread : threads_) thread->join();
}

process* thread_executor::steal_for(std::size_t thief) {
  for (std::size_t i = 1; i < threads_.size(); ++i) {
    if (auto* const p = threads_[(thief + i) % threads_.size()]->steal()) return p;
  }
  return nullptr;
}

bool thread_executor::anything_to_steal(std::size_t thief) const noexcept {
  for (std::size_t i = 1; i < threads_.size(); ++i) {
    if (threads_[(thief + i) % threads_.size()]->looks_stealable()) return true;
  }
  return false;
}

bool thread_executor::anything_at_all(std::size_t index) noexcept {
  for (auto& thread : threads_) {
    if (thread->has_work_for(index)) return true;
  }
  return stopping_.load(std::memory_order_acquire);
}

void thread_executor::wake_somebody() noexcept {
  if (parked_count_.load(std::memory_order_relaxed) == 0) return;
  for (auto& thread : threads_) {
    if (thread->wake_if_parked()) return;
  }
}

}  // namespace kv::detail
