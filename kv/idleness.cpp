// Processes that want to know when they have had nothing to do for a while: see kv::idle_after.
#include <algorithm>
#include <limits>
#include <new>

#include <kv/detail/core.hpp>
#include <kv/messages.hpp>

namespace kv::detail {

namespace {

/// The question of the timer.
class idle_question final : public repeating_letter {
 public:
  explicit idle_question(pid to) noexcept : to_(to) {}
  message_ptr again() const override { return std::make_unique<control_signal>(signal::op::idle_check, to_); }

 private:
  pid to_;
};

/// How soon the timer asks again that had no memory for its question.
constexpr duration between_tries = std::chrono::seconds(1);

}  // namespace

void core::watch_idleness(process& p, duration timeout) {
  auto& idle = p.business().idle;
  if (timeout >= infinity) {
    if (idle) stop_timer(idle->timer);
    return idle.reset();
  }
  if (!idle) {
    auto made = std::make_unique<errands::idleness>();
    const auto question = std::make_shared<const idle_question>(p.id());
    made->timer =
        set_timer(p.id(), infinity, {.next = question->again(), .period = between_tries, .pattern = question});
    idle = std::move(made);
  }
  idle->timeout = timeout;
  idle->handled = std::numeric_limits<std::uint64_t>::max();  // it counts from the end of this callback
  p.needs_settling = true;
}

/// Holder, when nothing is left to handle.
void core::note_idle(process& p) noexcept {
  auto* const own = p.business_if_any();
  auto* const idle = own == nullptr ? nullptr : own->idle.get();
  p.needs_settling = p.must_exit() || idle != nullptr;
  if (idle == nullptr) return;
  const auto handled = p.handled.load(std::memory_order_relaxed);
  if (handled == idle->handled) return;
  idle->handled = handled;
  idle->since = executor_->now();
  if (!idle->is_armed) ask_when_idle(*idle);
}

void core::ask_when_idle(errands::idleness& idle) noexcept {
  idle.is_armed = true;
  move_timer(idle.timer, deadline_after(idle.timeout, idle.since));
}

void core::check_idle(process& p) noexcept {
  auto* const own = p.business_if_any();
  if (own == nullptr || !own->idle) return;
  auto& idle = *own->idle;
  idle.is_armed = false;
  move_timer(idle.timer, time_point::max());
  if (p.handled.load(std::memory_order_relaxed) != idle.handled || !p.queue.empty() || p.waiting != nullptr) return;
  if (executor_->now() - idle.since < idle.timeout) return ask_when_idle(idle);
  try {
    p.queue.push(std::make_unique<letter_of<kv::idle>>(kv::idle{}));
  } catch (const std::bad_alloc&) {
    idle.since = executor_->now();
    return ask_when_idle(idle);
  }
  ++idle.handled;  // this one does not count
}

}  // namespace kv::detail
