// Answers that come later: to those who look for them later, and from those who give them later.
#include <algorithm>
#include <stdexcept>

#include <kv/detail/allocation.hpp>
#include <kv/detail/receive.hpp>
#include <kv/pending.hpp>

namespace kv::detail {

// The caller's side ------------------------------------------------------------------------------------------------

std::uint64_t core::expect_reply(process& self, request& what) {
  const auto number = ++self.refs_given;
  self.business().replies.emplace(number, nullptr);
  what.caller = self.id();
  what.caller_core = this;
  what.ref = number;
  what.is_kept = true;
  return number;
}

void core::send_request(pid to, std::unique_ptr<request> what) {
  interleave();
  const auto owner = what->caller;
  const auto number = what->ref;
  message_ptr node = std::move(what);
  const auto result = try_deliver(to, node, executor::urgency::soon);
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

void core::forget_reply(pid who, std::uint64_t number) noexcept {
  if (current_process == nullptr || current_process->id() != who) {
    return send_signal(who, signal::op::forget_reply, pid{}, {}, monitor_ref{number});
  }
  if (auto* const own = current_process->business_if_any()) own->replies.erase(number);
}

pending_base::pending_base(pending_base&& other) noexcept
    : home_(std::exchange(other.home_, nullptr)),
      owner_(other.owner_),
      number_(other.number_),
      callee_(other.callee_) {}

pending_base& pending_base::operator=(pending_base&& other) noexcept {
  std::swap(home_, other.home_);
  std::swap(owner_, other.owner_);
  std::swap(number_, other.number_);
  std::swap(callee_, other.callee_);
  return *this;
}

pending_base::~pending_base() {
  if (home_ != nullptr) home_->forget_reply(owner_, number_);
}

void pending_base::cancel(pid worker) noexcept {
  if (home_ == nullptr || !worker) return;
  // Without the link nothing comes back; the worker's own end of it needs no signal, for it ends.
  if (is_owner() && current_process->bonds) current_process->bonds->unlink(worker);
  if (home_->find(worker) != nullptr) home_->send_signal(worker, signal::op::exit, owner_, exit_reason::kill);
}

bool pending_base::is_owner() const noexcept {
  return home_ != nullptr && current_process != nullptr && current_process->id() == owner_;
}

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
  auto answer = home_->take_reply(self, mine);
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

void give_up(std::unique_ptr<request> what) noexcept {
  const reliable_memory here;
  auto* const self = current_process;
  if (self == nullptr || (!self->is_ending && !self->must_exit && std::uncaught_exceptions() == 0)) {
    auto* const home = what->caller_core;
    const auto why = request::no_reply();
    home->answer(std::move(what), &why);
    return;
  }
  // Its end answers what waits in it, with its reason. Should it not end, because it catches the exception that is
  // under way, then this has its turn like any other message, and says that there is no reply.
  self->queue.push(std::move(what));
  self->needs_settling = true;
}

}  // namespace kv::detail
