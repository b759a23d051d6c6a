#include "worker_pool.hpp"

#include <utility>

#include <kv/detail/core.hpp>

#include "exception_globals.hpp"
#include "stack_overflow.hpp"

namespace kv::detail {

parked_process* parked_state(const process& p) noexcept {
  return p.waiting == nullptr ? nullptr : static_cast<parked_process*>(p.waiting->parked);
}

worker_pool::worker_pool(core& c, source& work, stack_pool& stacks) : core_(c), source_(work), stacks_(stacks) {
  spare_.reserve(max_spare + 1);  // one is prepared where there is none: nothing is allocated any more
}

worker_pool::~worker_pool() {
  if (first_.sp != nullptr) stacks_.deallocate(first_);
  if (drawn_.sp != nullptr) give_back_drawn();
}

void worker_pool::prepare() { first_ = stacks_.allocate(stack_pool::source::common).stack; }

void worker_pool::run() { switch_to(make_worker(std::exchange(first_, {})), thread_); }

boost::context::fiber worker_pool::make_worker(const boost::context::stack_context& stack) {
  return {std::allocator_arg, boost::context::preallocated(stack.sp, stack.size, stack), stack_of_worker{this},
          [this, stack](boost::context::fiber&& from) {
            const running_stack mine(stack);
            arrive(std::move(from));
            return work();
          }};
}

boost::context::fiber worker_pool::work() {
  while (auto* const p = source_.next()) {
    auto* const parked = parked_state(*p);
    if (parked == nullptr) {
      running_stack::runs(*p);
      core_.run(*p);
      if (drawn_.sp != nullptr) [[unlikely]]
        give_back_drawn();
    } else if (spare_.size() >= max_spare || parked->on_reserve) {
      keeps_stack_ = parked->on_reserve;
      return std::move(parked->fiber);  // this worker ends
    } else {
      switch_to(std::move(parked->fiber), spare_.emplace_back());
    }
  }
  return spare_.empty() ? std::move(thread_) : take_spare();  // which ends, too
}

boost::context::fiber worker_pool::take_spare() noexcept {
  auto fiber = std::move(spare_.back());
  spare_.pop_back();
  return fiber;
}

void worker_pool::prepare_successor(stack_pool::source from) {
  if (!spare_.empty() || (from == stack_pool::source::reserve_too && drawn_.sp != nullptr)) return;
  const auto [stack, is_drawn] = stacks_.allocate(from);
  if (is_drawn) {
    drawn_ = stack;  // a worker that waits for work would serve others, too
  } else {
    spare_.push_back(make_worker(stack));
  }
}

void worker_pool::suspend(parked_process& here) {
  here.on_reserve = spare_.empty();
  switch_to(here.on_reserve ? make_worker(std::exchange(drawn_, {})) : take_spare(), here.fiber);
}

/// A worker's stack is not in use any more.
void worker_pool::has_ended(boost::context::stack_context& stack) noexcept {
  if (std::exchange(keeps_stack_, false) && drawn_.sp == nullptr) {
    drawn_ = stack;  // who comes back may have to wait again
  } else {
    stacks_.deallocate(stack);
  }
}

/// The turn of whom it was for is over.
void worker_pool::give_back_drawn() noexcept {
  auto stack = std::exchange(drawn_, {});
  stacks_.deallocate(stack);
}

void worker_pool::switch_to(boost::context::fiber next, boost::context::fiber& here) {
  const keep_exceptions exceptions;
  const running_stack::keep stack;
  departed_ = &here;
  arrive(std::move(next).resume());
}

/// The first thing that a worker does when it is switched to. One that has ended leaves nothing to keep.
void worker_pool::arrive(boost::context::fiber from) noexcept {
  if (from) *departed_ = std::move(from);
}

}  // namespace kv::detail
