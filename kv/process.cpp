#include <kv/process.hpp>

#include <limits>
#include <stdexcept>
#include <string>

#include "unwind_path.hpp"
#include "worlds.hpp"

namespace kv {

using detail::this_process;

detail::process& detail::this_process() {
  if (current_process == nullptr) throw std::logic_error("this works only inside a process");
  return *current_process;
}

void detail::report_thrown_at_end(const std::type_info& type) noexcept {
  const auto& p = *current_process;
  const auto why = exit_reason::error(std::current_exception());
  p.home->report_if_possible(
      [&] { return oddity_report{p.id(), "the destructor of " + type_name(type) + " has thrown: " + to_string(why)}; });
}

void detail::report_dropped_cast(const std::exception_ptr& why) noexcept {
  const auto& p = *current_process;
  p.home->report_if_possible(
      [&] { return oddity_report{p.id(), "has dropped what was cast to it: " + to_string(exit_reason::error(why))}; });
}

pid self() { return this_process().id(); }

std::optional<pid> self_if_any() noexcept {
  return detail::current_process == nullptr ? std::nullopt : std::optional(detail::current_process->id());
}

void detail::check_same_runtime(const core& home, pid who, const char* what) {
  if (!who || who.node == home.node() || !worlds::is_alive(who.node)) return;
  throw std::invalid_argument("process " + to_string(who) + " is one of runtime " + std::to_string(who.node) +
                              ": it cannot be " + what + " in runtime " + std::to_string(home.node()));
}

monitor_ref detail::watch(pid target, std::string tag) {
  auto& p = this_process();
  p.home->interleave();
  return p.home->monitor(p, target, std::move(tag));
}

monitor_ref monitor(pid target, std::string tag) {
  auto& p = this_process();
  detail::check_same_runtime(*p.home, target, "monitored");
  p.home->interleave();
  return p.home->monitor(p, target, std::move(tag));
}

monitor_ref monitor(std::string_view name) {
  auto& p = this_process();
  return p.home->monitor(p, name, std::string(name));
}

void demonitor(monitor_ref ref, bool flush) {
  auto& p = this_process();
  p.home->interleave();
  p.home->demonitor(p, ref, flush);
}

std::optional<down> await(monitor_ref ref, std::chrono::nanoseconds timeout) {
  return receive_if<down>([ref](const down& d) { return d.ref == ref; }, timeout);
}

void link(pid peer) {
  auto& p = this_process();
  detail::check_same_runtime(*p.home, peer, "linked");
  p.home->interleave();
  p.home->link(p, peer);
}

void unlink(pid peer) {
  auto& p = this_process();
  p.home->interleave();
  p.home->unlink(p, peer);
}

void exit(const exit_reason& reason) {
  auto& p = this_process();
  p.end_with(reason);
  if (detail::can_unwind_from_here()) p.home->throw_unwind(p);
  throw std::logic_error(
      "kv::exit in a destructor or another noexcept function: the process ends when its callback returns");
}

void exit(pid whom, const exit_reason& reason) {
  auto& p = this_process();
  p.home->interleave();
  p.home->send_exit(whom, p.id(), reason);
}

bool trap_exit(bool on) {
  auto& p = this_process();
  const bool before = p.traps_exits;
  p.traps_exits = on;
  return before;
}

alias make_alias() {
  auto& p = this_process();
  const auto number = ++p.refs_given;
  p.business().aliases.insert(number);
  return {p.id(), number};
}

bool unalias(alias address) {
  auto& p = this_process();
  auto* const own = p.business_if_any();
  if (address.who != p.id() || own == nullptr || own->aliases.erase(address.number) == 0) return false;
  const auto came_by_it = [&](const detail::message& m) {
    return m.is_addressed && static_cast<const detail::letter&>(m).alias() == address.number;
  };
  while (const auto unread = p.queue.take_first(came_by_it)) p.home->has_left(p, *unread);
  return true;
}

void limit_mailbox(std::uint32_t limit, when_full how) {
  auto& p = this_process();
  p.home->limit_mailbox(p, limit, how);
}

void idle_after(std::chrono::nanoseconds time) {
  auto& p = this_process();
  if (time.count() <= 0) {
    throw std::invalid_argument("idle_after: the time is " + std::to_string(time.count()) +
                                " ns; it must be more than 0");
  }
  p.home->watch_idleness(p, time);
}

void detail::continue_with(std::unique_ptr<action> what) {
  auto& p = this_process();
  p.queue.push_front(std::move(what));
  p.needs_settling = true;
}

std::chrono::steady_clock::time_point now() { return this_process().home->exec().now(); }

std::uint64_t random() { return this_process().home->exec().random(); }

std::optional<pid> whereis(std::string_view name) { return this_process().home->whereis(name); }

std::optional<pid> await_name(std::string_view name, std::chrono::nanoseconds timeout) {
  return this_process().home->await_name(name, timeout);
}

bool unregister_name(std::string_view name) { return this_process().home->unregister_name(name); }

void register_name(std::string name, pid process) { this_process().home->register_name(std::move(name), process); }

namespace {

/// Ends the process where it stands in the queue. finish() answers it, once the process counts as dead.
class stop_request final : public detail::request {
 public:
  explicit stop_request(const exit_reason& reason) : reason_(reason) {}
  const std::type_info& type() const noexcept override { return typeid(stop_request); }
  void run(void*) override { detail::current_process->end_with(reason_); }

 private:
  exit_reason reason_;
};

}  // namespace

void detail::stop(core* home, pid id, const exit_reason& reason, duration timeout) {
  if (home == nullptr) throw call_error(call_error::code::noproc, id);
  const auto reply = home->transact(id, std::make_unique<stop_request>(reason), timeout);
  if (reply->failure != reason) throw call_error(call_error::code::exited, id, reply->failure);
}

}  // namespace kv
