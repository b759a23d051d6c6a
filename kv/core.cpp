// Messages, waits, bonds and the end of a runtime. Births are in birth.cpp, turns in turn.cpp, deaths in death.cpp;
// full mailboxes in bounds.cpp, answers that come later in requests.cpp, timers in timer.cpp, looks from outside in
// introspection.cpp.
#include <kv/detail/allocation.hpp>
#include <kv/detail/caller.hpp>

#include <algorithm>
#include <stdexcept>

#include <kv/detail/table_directory.hpp>
#include <kv/detail/table_guard.hpp>
#include <kv/runtime.hpp>

#include "names.hpp"
#include "timer_queue.hpp"

namespace kv::detail {

namespace {

std::uint32_t next_node() noexcept {
  // Only makes the pids of two runtimes differ; orders nothing.
  static std::atomic<std::uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

core::core(const runtime_options& options)
    : node_(next_node()),
      sink_(options.on_report),
      shutdown_timeout_(options.shutdown_timeout),
      kill_timeout_(options.kill_timeout),
      slots_(*this),
      names_(std::make_unique<name_directory>()),
      tables_(std::make_unique<table_directory>(*this)),
      timers_(std::make_unique<timer_queue>()) {}

core::~core() = default;

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

void core::send(pid to, std::unique_ptr<signal> what) noexcept {
  const bool is_kill = what->operation == signal::op::exit && what->reason.what() == exit_reason::kind::kill;
  message_ptr node = std::move(what);
  if (try_deliver(to, node, executor::urgency::soon) != delivery::done) {
    bounce(to, std::move(node), exit_reason::noproc);
  } else if (is_kill) {
    watch_killed(to);
  }
}

void core::send_signal(pid to, signal::op what, pid from, const exit_reason& why, monitor_ref ref) noexcept {
  const reliable_memory here;
  send(to, std::make_unique<signal>(what, from, why, ref));
}

void core::send_exit(pid to, pid from, const exit_reason& why) {
  send(to, std::make_unique<signal>(signal::op::exit, from, why));
}

void core::tie(pid to, std::unique_ptr<signal> what) noexcept {
  auto* const p = claim_leaf(to);
  if (p == nullptr) return send(to, std::move(what));
  obey(*p, *what);
  release(*p);
}

std::unique_ptr<request> core::transact(pid to, std::unique_ptr<request> what, duration timeout) {
  const caller who(*this);
  auto& self = who.self();
  if (self.id() == to) throw call_error(call_error::code::calling_self, to);
  refuse_to_block(self, "call another process");
  executor_->prepare_wait(self);  // else the callee would do what the caller was told could not be done
  const auto* const function = &what->type();
  const auto now = executor_->now();
  const auto deadline = deadline_after(timeout, now);
  suspension waiting{.awaited = ++self.refs_given, .since = now, .callee = to, .wanted = {&function, 1}};
  what->caller = self.id();
  what->caller_core = self.home;
  what->ref = waiting.awaited;
  message_ptr node = std::move(what);
  switch (try_deliver(to, node, executor::urgency::handoff)) {
    case delivery::dead: throw call_error(call_error::code::noproc, to);
    case delivery::full: drop(to); throw call_error(call_error::code::overloaded, to);
    case delivery::done: break;
  }
  while (!waiting.reply) {
    if (!wait(self, waiting, deadline)) throw call_error(call_error::code::timeout, to);
  }
  return std::unique_ptr<request>(static_cast<request*>(waiting.reply.release()));
}

void core::refuse_to_block(const process& self, const char* verb) {
  if (!self.is_leaf.load(std::memory_order_relaxed)) return;
  throw leaf_blocked("leaf process " + to_string(self.id()) + " tried to " + verb);
}

bool core::wait(process& self, suspension& how, time_point deadline) {
  if (deadline == time_point::min()) return false;
  refuse_to_block(self, "wait");
  table_guard::assert_none();
  self.waiting = &how;
  struct forget {
    process& p;
    ~forget() { p.waiting = nullptr; }
  } const at_end{self};
  bool in_time = true;
  if (!self.mailbox.has_messages()) {
    throw_if_ending(self);
    if (how.since == time_point{}) how.since = executor_->now();
    in_time = executor_->suspend(self, deadline);
  }
  drain(self);
  throw_if_ending(self);
  return in_time;
}

void core::throw_if_ending(process& self) {
  // What is destroyed on the way out may still call: another exception would end the program.
  if (!self.must_exit || self.is_ending || std::uncaught_exceptions() > 0) return;
  if (self.is_unwinding) report_swallowed(self);
  self.is_unwinding = true;
  throw unwind{};
}

void core::report_swallowed(process& p) noexcept {
  if (p.has_swallowed) return;
  p.has_swallowed = true;
  const reliable_memory here;
  report_now(
      oddity_report{p.id(), "a catch (...) of " + class_name(p) +
                                " has swallowed the exception that ends it; it must rethrow what it does not know"});
}

// Bonds ----------------------------------------------------------------------------------------------------------

monitor_ref core::monitor(process& self, pid target, std::string tag) {
  const monitor_ref ref{++self.refs_given};
  auto news = std::make_unique<signal>(signal::op::monitor, self.id(), exit_reason{}, ref);
  self.business().monitoring.emplace(ref.id, errands::watched{target, std::move(tag)});
  tie(target, std::move(news));
  return ref;
}

monitor_ref core::monitor(process& self, std::string_view name, std::string tag) {
  if (const auto target = whereis(name)) return monitor(self, *target, std::move(tag));
  const monitor_ref ref{++self.refs_given};
  self.queue.push(std::make_unique<letter_of<down>>(down{pid{}, exit_reason::noproc, ref, std::move(tag)}));
  if (self.is_leaf.load(std::memory_order_relaxed)) self.needs_settling = true;  // it may run on its caller's stack
  return ref;
}

void core::demonitor(process& self, monitor_ref ref, bool flush) {
  auto& monitoring = self.business().monitoring;
  if (const auto row = monitoring.find(ref.id); row != monitoring.end()) {
    tie(row->second.target, std::make_unique<signal>(signal::op::demonitor, self.id(), exit_reason{}, ref));
    monitoring.erase(row);  // a `down` that is under way finds nothing and is dropped
  }
  if (!flush) return;
  drain(self);
  self.queue.take_first([&](message& m) {
    auto* const found = m.kind == message_kind::letter ? static_cast<letter&>(m).as<down>() : nullptr;
    return found != nullptr && found->ref == ref;
  });
}

void core::link(process& self, pid peer) {
  if (peer == self.id()) return;
  auto news = std::make_unique<signal>(signal::op::link, self.id());
  if (self.ties().links.insert(peer)) tie(peer, std::move(news));
}

void core::unlink(process& self, pid peer) {
  auto news = std::make_unique<signal>(signal::op::unlink, self.id());
  if (self.bonds && self.bonds->links.erase(peer)) tie(peer, std::move(news));
}

// The end --------------------------------------------------------------------------------------------------------

std::vector<pid> core::processes() const {
  std::vector<pid> result;
  slots_.for_each([&](const process& p) {
    if (p.mailbox.is_open()) result.push_back(p.id());
  });
  return result;
}

std::optional<pid> core::first_of(const std::type_info& type) const {
  std::optional<pid> result;
  slots_.for_each([&](const process& p) {
    const auto* const its = p.type.load(std::memory_order_relaxed);
    if (!result && its != nullptr && *its == type && p.mailbox.is_open()) result = p.id();
  });
  return result;
}

std::vector<pid> core::roots() const {
  std::vector<std::pair<std::uint64_t, pid>> found;
  slots_.for_each([&](const process& p) {
    const auto serial = p.root_serial.load(std::memory_order_relaxed);
    if (serial != 0) found.emplace_back(serial, p.id());
  });
  std::ranges::sort(found, std::greater{});
  std::vector<pid> result;
  for (const auto& [serial, id] : found) result.push_back(id);
  return result;
}

void core::end_root(pid root) noexcept {
  const caller who(*this);
  const auto ref = monitor(who.self(), root, {});
  send_signal(root, signal::op::exit, pid{}, exit_reason::shutdown);
  suspension waiting;
  const auto deadline = deadline_after(shutdown_timeout_);
  while (who.self().queue.empty()) {
    if (wait(who.self(), waiting, deadline)) continue;
    report_stubborn(root, exit_reason::shutdown, shutdown_timeout_);
    break;
  }
  demonitor(who.self(), ref, true);
}

void core::shut_down() noexcept {
  executor_->close();
  tables_->close();
  for (const auto root : roots()) end_root(root);
  slots_.shut();
  for (const auto id : processes()) send_signal(id, signal::op::exit, pid{}, exit_reason::kill);
  const auto nobody_left = [this] { return live_.load(std::memory_order_relaxed) == 0; };
  executor_->run_until(nobody_left);
  {
    std::unique_lock lock(idle_mutex_);
    last_ended_.wait(lock, nobody_left);
  }
  tables_->clear();
  executor_->stop();
}

}  // namespace kv::detail
