// Answers that come later: to those who look for them later, and from those who give them later.
#include <algorithm>
#include <stdexcept>

#include <kv/detail/receive.hpp>
#include <kv/pending.hpp>

#include "worlds.hpp"

namespace kv::detail {

namespace {

/// Does something in the runtime of that process, unless it has ended.
template <class F>
void at_home_of(pid who, F act) noexcept {
  if (current_process != nullptr && current_process->node == who.node) return act(*current_process->home);
  const visit home(who.node);
  if (home) act(*home);
}

/// Whoever made that request does not want the answer any more.
void forget_reply(pid who, std::uint64_t number) noexcept {
  if (current_process == nullptr || current_process->id() != who) {
    try {
      auto news = std::make_unique<control_signal>(signal::op::forget_reply, pid{}, number);
      return at_home_of(who, [&](core& home) { home.send_signal(who, std::move(news)); });
    } catch (const std::bad_alloc&) {
      return;  // the answer stays with the process until it ends
    }
  }
  if (auto* const own = current_process->business_if_any()) own->replies.erase(number);
}

}  // namespace

// The caller's side ------------------------------------------------------------------------------------------------

std::uint64_t core::expect_reply(process& self, request& what) {
  const auto number = ++self.refs_given;
  self.business().replies.emplace(number, nullptr);
  what.caller = self.id();
  what.ref = number;
  what.is_kept = true;
  return number;
}

void core::send_request(pid to, std::unique_ptr<request> what) {
  if (!is_simulated_ && current_process->home->is_simulated_) {
    throw std::logic_error("process " + to_string(to) +
                           " is of a runtime with threads, which cannot answer a simulation");
  }
  interleave();
  const auto owner = what->caller;
  const auto number = what->ref;
  message_ptr node = std::move(what);
  const crossing there(to);
  const auto result = there.is_open() ? try_deliver(to, node, executor::urgency::soon) : delivery::dead;
  if (result == delivery::dead) return bounce(to, std::move(node), exit_reason::noproc);
  if (result == delivery::done) return;
  drop(to);
  forget_reply(owner, number);
  throw call_error(call_error::code::overloaded, to);
}

std::optional<std::size_t> core::wait_for_reply(process& self, std::span<const std::uint64_t> requests,
                                                time_point deadline) {
  check_signals(self);
  const auto& replies = self.business().replies;
  const auto is_there = [&](std::uint64_t number) {
    const auto row = replies.find(number);
    return row != replies.end() && row->second != nullptr;
  };
  suspension waiting;
  for (bool in_time = true;;) {
    const auto found = std::ranges::find_if(requests, is_there);
    if (found != requests.end()) return static_cast<std::size_t>(found - requests.begin());
    if (!in_time) return std::nullopt;
    in_time = wait(self, waiting, deadline);
  }
}

std::unique_ptr<request> core::take_reply(process& self, std::uint64_t number) {
  auto& replies = self.business().replies;
  const auto row = replies.find(number);
  if (row == replies.end()) throw std::logic_error("the answer of a request can be taken once");
  auto answer = std::move(row->second);
  replies.erase(row);
  return std::unique_ptr<request>(static_cast<request*>(answer.release()));
}

pending_base::pending_base(pending_base&& other) noexcept
    : owner_(std::exchange(other.owner_, {})),
      number_(other.number_),
      callee_(other.callee_),
      kill_(std::move(other.kill_)) {}

pending_base& pending_base::operator=(pending_base&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(number_, other.number_);
  std::swap(callee_, other.callee_);
  std::swap(kill_, other.kill_);
  return *this;
}

pending_base::~pending_base() {
  if (owner_) forget_reply(owner_, number_);
}

void pending_base::cancel(pid worker) noexcept {
  if (!owner_ || !kill_) return;
  // Without the link nothing comes back; the worker's own end of it needs no signal, for it ends.
  if (is_owner() && current_process->bonds) current_process->bonds->links.take(worker);
  at_home_of(owner_, [&](core& home) { home.send_signal(worker, std::move(kill_)); });
}

bool pending_base::is_owner() const noexcept { return current_process != nullptr && current_process->id() == owner_; }

std::uint64_t pending_base::number() const {
  if (is_owner()) return number_;
  throw std::logic_error("only the process that made a request can wait for its answer: " + to_string(owner_));
}

bool pending_base::ready() const { return wait_for_any({number()}, duration{0}).has_value(); }

std::unique_ptr<request> pending_base::take(duration timeout) {
  auto& self = this_process();
  const auto mine = number();
  if (!self.business().replies.contains(mine)) throw std::logic_error("the answer of a request can be taken once");
  if (!wait_for_any({mine}, timeout)) throw call_error(core::why_none_came(self), callee_);
  auto answer = self.home->take_reply(self, mine);
  if (!answer->failed) return answer;
  const bool is_dead = answer->failure == exit_reason::noproc;
  throw call_error(is_dead ? call_error::code::noproc : call_error::code::exited, callee_, answer->failure);
}

std::optional<std::size_t> wait_for_any(const std::vector<std::uint64_t>& requests, duration timeout) {
  auto& self = this_process();
  if (requests.empty()) return std::nullopt;
  return self.home->wait_for_reply(self, requests, self.home->deadline_after(timeout));
}

// The callee's side ------------------------------------------------------------------------------------------------

namespace {

void mark_answered(request& call, const exit_reason* failure) noexcept {
  call.answered = true;
  if (failure == nullptr) return;
  call.failed = true;
  call.failure = *failure;
}

}  // namespace

void core::answer(message_ptr what, const exit_reason* failure) noexcept {
  auto& call = static_cast<request&>(*what);
  mark_answered(call, failure);
  const auto to = call.caller;
  if (to.node == node_) {
    try_deliver(to, what, executor::urgency::handoff);
  } else {
    post(to, what, executor::urgency::handoff);
  }
  // What the caller gave to it is the caller's, and must not be destroyed by the process that answers.
  if (what) discard(std::move(what));
}

void answer(std::unique_ptr<request> what, const exit_reason* failure) noexcept {
  // The runtime of the process that answers is there, and most often its caller's, too.
  if (current_process != nullptr) return current_process->home->answer(std::move(what), failure);
  mark_answered(*what, failure);
  const auto caller = what->caller;
  message_ptr node = std::move(what);
  post(caller, node, executor::urgency::handoff);
}

void give_up(std::unique_ptr<request> what) noexcept {
  auto* const self = current_process;
  if (self == nullptr || (!self->is_ending() && !self->must_exit() && std::uncaught_exceptions() == 0)) {
    const auto why = request::no_reply();
    return answer(std::move(what), &why);
  }
  // Its end answers what waits in it, with its reason. Should it not end, because it catches the exception that is
  // under way, then this has its turn like any other message, and says that there is no reply.
  self->queue.push(std::move(what));
  self->needs_settling = true;
}

}  // namespace kv::detail
