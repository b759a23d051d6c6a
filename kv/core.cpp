// Messages, bonds and the end of a runtime. Births are in birth.cpp, turns in turn.cpp, deaths in death.cpp; waits in
// waiting.cpp, full mailboxes in bounds.cpp, answers that come later in requests.cpp, timers in timer.cpp, idle processes
// in idleness.cpp, looks from outside in introspection.cpp.
#include <kv/detail/caller.hpp>

#include <algorithm>
#include <stdexcept>

#include <kv/detail/table_directory.hpp>
#include <kv/runtime.hpp>

#include "last_resort.hpp"
#include "names.hpp"
#include "timer_queue.hpp"
#include "worlds.hpp"

namespace kv::detail {

core::core(const runtime_options& options)
    : sink_(options.on_report),
      shutdown_timeout_(options.shutdown_timeout),
      kill_timeout_(options.kill_timeout),
      slots_(*this, options.max_processes),
      disposer_(std::make_unique<process>()),
      last_resort_(std::make_unique<last_resort>(idle_mutex_, ended_)),
      disposer_end_(std::make_unique<exit_notice>(signal::op::exit, pid{}, exit_reason::kill)),
      names_(std::make_unique<name_directory>()),
      tables_(std::make_unique<table_directory>(*this)),
      timers_(std::make_unique<timer_queue>()) {
  node_ = worlds::enter(*this);  // last: from here on others may look in
  disposer_->slot = disposer_slot;
  disposer_->node = node_;
  disposer_->home = this;
  disposer_->is_disposer = true;
  disposer_->life.store(stage::running, std::memory_order_relaxed);
  disposer_->mailbox.open(first_generation);
  disposer_->mailbox.try_release();
}

core::~core() { worlds::leave(node_); }

void core::start(std::unique_ptr<executor> how) {
  executor_ = std::move(how);
  is_simulated_ = executor_->is_simulation();
}

void core::report_now(const report& entry) const noexcept {
  try {
    sink_(entry);
  } catch (...) {
    // A sink that fails must not take down what it reports on, and there is nobody else to tell.
  }
}

time_point core::deadline_after(duration timeout) noexcept { return deadline_after(timeout, executor_->now()); }

time_point core::deadline_after(duration timeout, time_point now) noexcept {
  if (timeout.count() <= 0) return time_point::min();
  return timeout >= infinity ? time_point::max() : now + timeout;
}

// Messages -------------------------------------------------------------------------------------------------------

core::delivery core::try_deliver(pid to, message_ptr& what, executor::urgency how) noexcept {
  auto* const p = find(to);
  if (p == nullptr) return delivery::dead;
  interleave_quietly();  // it may die now, and another live in its slot
  return push(*p, to, what, how);
}

void core::deliver_now(pid to, message_ptr& what) noexcept {
  if (auto* const p = find(to)) push(*p, to, what, executor::urgency::soon);
}

core::delivery core::push(process& p, pid to, message_ptr& what, executor::urgency how) noexcept {
  what->generation = to.generation;
  // Acquire pairs with limit_mailbox(): who sees it bounded finds the bound.
  if (p.is_bounded.load(std::memory_order_acquire)) [[unlikely]] {
    if (const auto result = count(p, *what); result != delivery::done) return result;
  }
  switch (p.mailbox.push(what.get())) {
    case inbox::pushed::closed: return delivery::dead;
    case inbox::pushed::wake: executor_->ready(p, how); break;
    case inbox::pushed::queued: break;
  }
  what.release();  // the mailbox owns it by now, and may be through with it
  return delivery::done;
}

bool core::deliver(pid to, message_ptr what, executor::urgency how) noexcept {
  const auto result = try_deliver(to, what, how);
  if (result == delivery::full) drop(to);
  return result == delivery::done;
}

void core::discard(message_ptr what) noexcept {
  const auto to = disposer_->id();
  if (!what || push(*disposer_, to, what, executor::urgency::soon) == delivery::done) return;
  // The runtime is at its end, on the thread that ends it: nobody else depends on that, nor is it any process's.
  auto* const outside = std::exchange(current_process, nullptr);
  what.reset();
  current_process = outside;
}

void core::send_signal(pid to, std::unique_ptr<signal> what) noexcept {
  const bool is_kill = what->operation == signal::op::exit && what->reason().what() == exit_reason::kind::kill;
  message_ptr node = std::move(what);
  if (try_deliver(to, node, executor::urgency::soon) != delivery::done) {
    bounce(to, std::move(node), exit_reason::noproc);
  } else if (is_kill) {
    watch_killed(to);
  }
}

void core::tie(pid to, std::unique_ptr<signal> what) noexcept {
  auto* const p = claim_leaf(to);
  if (p == nullptr) return send_signal(to, std::move(what));
  obey(*p, std::move(what));
  release(*p);
}

// Bonds ----------------------------------------------------------------------------------------------------------

monitor_ref core::next_ref(process& self) const noexcept {
  // In a simulation without the runtime's number, so that each run of a seed has the same. Not as a pid is hashed: the two
  // are combined where the watchers of a process are kept.
  const auto who = self.id();
  const auto home = is_simulated_ ? 0 : std::uint64_t{node_};
  const auto whose = (who.slot + 1) * 0xd1342543de82ef95U ^ (who.generation + (home << 32U)) * 0xaf251af3b0f025b5U;
  return {(whose & ~counted_up) | (++self.refs_given & counted_up)};
}

monitor_ref core::monitor(process& self, pid target, std::string tag) {
  const auto ref = next_ref(self);
  auto notice = std::make_unique<down_notice>(signal::op::monitor, down{self.id(), {}, ref, std::move(tag)});
  self.business().monitoring.emplace(ref.id, target);
  tie(target, std::move(notice));
  return ref;
}

monitor_ref core::monitor(process& self, std::string_view name, std::string tag) {
  if (const auto target = whereis(name)) return monitor(self, *target, std::move(tag));
  const auto ref = next_ref(self);
  self.queue.push(std::make_unique<letter_of<down>>(down{pid{}, exit_reason::noproc, ref, std::move(tag)}));
  if (self.is_leaf.load(std::memory_order_relaxed)) self.needs_settling = true;  // it may run on its caller's stack
  return ref;
}

void core::demonitor(process& self, monitor_ref ref, bool flush) noexcept {
  auto* const own = self.business_if_any();
  if (own == nullptr) return;
  if (const auto row = own->monitoring.find(ref.id); row != own->monitoring.end()) {
    const auto target = row->second;
    own->monitoring.erase(row);  // a `down` that is under way finds nothing and is dropped
    forget_watcher(target, self.id(), ref);
  }
  if (!flush) return;
  drain(self);
  self.queue.take_first([&](message& m) {
    auto* const found = m.kind == message_kind::letter ? static_cast<letter&>(m).as<down>() : nullptr;
    return found != nullptr && found->ref == ref;
  });
}

/// Without memory for that, the watched keeps a notice that nobody wants, until it ends.
void core::forget_watcher(pid watched, pid watcher, monitor_ref ref) noexcept {
  try {
    tie(watched, std::make_unique<control_signal>(signal::op::demonitor, watcher, ref.id));
  } catch (const std::bad_alloc&) {
  }
}

void core::link(process& self, pid peer) {
  if (peer == self.id()) return;
  auto mine = std::make_unique<exit_notice>(signal::op::link_exit, peer);
  auto news = std::make_unique<exit_notice>(signal::op::link, self.id());
  const auto number = static_cast<std::uint32_t>(++self.refs_given);
  auto& links = self.ties().links;
  links.insert(std::move(mine));  // unless there is one
  links.find(peer)->asked = news->asked = number;
  // Also when there is a link: the peer may have taken that back already.
  tie(peer, std::move(news));
}

void core::unlink(process& self, pid peer) {
  auto news = std::make_unique<control_signal>(signal::op::unlink, self.id());
  if (!self.bonds) return;
  if (const auto mine = self.bonds->links.take(peer)) {
    news->number = mine->seen;
    tie(peer, std::move(news));
  }
}

// The end --------------------------------------------------------------------------------------------------------

std::vector<pid> core::processes() const {
  std::vector<pid> result;
  slots_.for_each([&](const process& p) {
    if (const auto id = p.living()) result.push_back(id);
  });
  return result;
}

std::optional<pid> core::first_of(const std::type_info& type) const {
  std::optional<pid> result;
  slots_.for_each([&](const process& p) {
    if (result) return;
    const auto* const its = p.type.load(std::memory_order_acquire);
    const auto id = p.living();
    if (id && its != nullptr && is_same(*its, type)) result = id;
  });
  return result;
}

std::vector<pid> core::roots() const {
  std::vector<std::pair<std::uint64_t, pid>> found;
  slots_.for_each([&](const process& p) {
    const auto serial = p.root_serial.load(std::memory_order_acquire);
    const auto id = p.living();
    if (id && serial != 0) found.emplace_back(serial, id);
  });
  std::ranges::sort(found, std::greater{});
  std::vector<pid> result;
  for (const auto& [serial, id] : found) result.push_back(id);
  return result;
}

void core::end_root(process& self, pid root) {
  const auto ref = monitor(self, root, {});
  send_exit(root, own_name(), exit_reason::shutdown);
  suspension waiting;
  const auto deadline = deadline_after(shutdown_timeout_);
  while (self.queue.empty()) {
    if (wait(self, waiting, deadline) || !self.queue.empty()) continue;
    report_stubborn(root, exit_reason::shutdown, shutdown_timeout_);
    break;
  }
  demonitor(self, ref, true);
}

/// The thread that ends the runtime. Kills a process, however little memory there is.
void core::kill(pid who) noexcept {
  try {
    send_exit(who, pid{}, exit_reason::kill);
  } catch (const std::bad_alloc&) {
    await([this] { return last_resort_->is_free(); });
    send_signal(who, last_resort_->take());
  }
}

void core::await(const std::function<bool()>& is_over) noexcept {
  executor_->run_until(is_over);
  std::unique_lock lock(idle_mutex_);
  ended_.wait(lock, is_over);
}

void core::shut_down() noexcept {
  executor_->close();
  tables_->close();
  {
    const std::lock_guard lock(idle_mutex_);
    shutting_down_ = true;
  }
  try {
    const caller who(*this, true);
    for (const auto root : roots()) end_root(who.self(), root);
  } catch (const std::exception&) {
    // No memory to ask each of them in turn: they are killed.
  }
  slots_.shut();
  slots_.for_each([&](const process& p) {
    // A stand-in has no type. It cannot be killed, and goes when its thread wants it to.
    if (const auto id = p.living(); id && p.type.load(std::memory_order_acquire) != nullptr) kill(id);
  });
  await([this] { return live_.load(std::memory_order_relaxed) == 0; });
  worlds::leave(node_);
  tables_->clear();
  send_signal(disposer_->id(), std::move(disposer_end_));
  await([this] { return disposer_has_ended_; });
  executor_->stop();
}

}  // namespace kv::detail
