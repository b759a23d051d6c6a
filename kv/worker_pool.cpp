#include "worker_pool.hpp"

#include <memory>
#include <mutex>

#include <boost/fiber/algo/algorithm.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/scheduler.hpp>

#include <kv/detail/core.hpp>

#include "exception_globals.hpp"

namespace kv::detail {

namespace {

/// Boost.Fiber's part: first come, first served; the dispatcher, which only tidies up, when nobody else wants to run
/// or has to now and then. Work from other threads never comes this way, and no thread sleeps here while processes
/// can run: scheduler_thread::next() does that.
class fiber_queue final : public boost::fibers::algo::algorithm {
 public:
  void awakened(boost::fibers::context* fiber) noexcept override {
    if (fiber->is_context(boost::fibers::type::dispatcher_context)) {
      dispatcher_ = fiber;
    } else {
      fiber->ready_link(ready_);
    }
  }

  boost::fibers::context* pick_next() noexcept override {
    const bool tidy_up = ++picks_ % 256 == 0;
    if (dispatcher_ != nullptr && (tidy_up || ready_.empty())) return std::exchange(dispatcher_, nullptr);
    if (ready_.empty()) return nullptr;
    auto* const fiber = &ready_.front();
    ready_.pop_front();
    return fiber;
  }

  bool has_ready_fibers() const noexcept override { return !ready_.empty(); }

  void suspend_until(const std::chrono::steady_clock::time_point& until) noexcept override {
    std::unique_lock lock(mutex_);
    if (until == time_point::max()) {
      condition_.wait(lock, [this] { return notified_; });
    } else {
      condition_.wait_until(lock, until, [this] { return notified_; });
    }
    notified_ = false;
  }

  void notify() noexcept override {
    const std::lock_guard lock(mutex_);
    notified_ = true;
    condition_.notify_all();
  }

 private:
  boost::fibers::scheduler::ready_queue_type ready_;
  boost::fibers::context* dispatcher_ = nullptr;
  unsigned picks_ = 0;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool notified_ = false;  // under mutex_
};

void make_ready(boost::fibers::context* fiber) noexcept { boost::fibers::context::active()->schedule(fiber); }

}  // namespace

parked_process* parked_state(const process& p) noexcept {
  return p.waiting == nullptr ? nullptr : static_cast<parked_process*>(p.waiting->parked);
}

void worker_pool::run() {
  boost::fibers::use_scheduling_algorithm<fiber_queue>();
  work(false);
}

void worker_pool::work(bool may_retire) {
  while (auto* const p = source_.next()) {
    auto* const parked = parked_state(*p);
    if (parked == nullptr) {
      core_.run(*p);
      continue;
    }
    make_ready(parked->fiber);
    if (may_retire && spare_.size() >= max_spare) return;  // Boost.Fiber goes on with what is ready
    spare_.push_back(boost::fibers::context::active());
    switch_away();
  }
  if (auto* const another = take_spare()) make_ready(another);  // so that it ends, too
}

boost::fibers::context* worker_pool::take_spare() noexcept {
  if (spare_.empty()) return nullptr;
  auto* const fiber = spare_.back();
  spare_.pop_back();
  return fiber;
}

void worker_pool::prepare_successor() {
  if (!spare_.empty()) return;
  const keep_exceptions mine;
  // Runs at once as far as its own suspension, and comes back here.
  boost::fibers::fiber(boost::fibers::launch::dispatch, std::allocator_arg, stack_source{&stacks_}, [this] {
    spare_.push_back(boost::fibers::context::active());
    boost::fibers::context::active()->suspend();
    work(true);
  }).detach();
}

void worker_pool::suspend() {
  make_ready(take_spare());
  switch_away();
}

void worker_pool::switch_away() {
  const keep_exceptions mine;
  boost::fibers::context::active()->suspend();
}

}  // namespace kv::detail
