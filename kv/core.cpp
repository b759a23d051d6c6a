// Births, waits, bonds and the end of a runtime. Turns and deaths are in turn.cpp.
#include <kv/detail/core.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <kv/detail/table_directory.hpp>
#include <kv/detail/table_guard.hpp>

#include "names.hpp"

namespace kv::detail {

namespace {

std::uint32_t next_node() noexcept {
  // Only makes the pids of two runtimes differ; orders nothing.
  static std::atomic<std::uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void refuse_to_block_a_leaf(const process& self, const char* verb) {
  if (!self.is_leaf.load(std::memory_order_relaxed)) return;
  throw leaf_blocked("leaf process " + to_string(self.id()) + " tried to " + verb);
}

}  // namespace

core::core(report_sink sink, duration shutdown_timeout)
    : node_(next_node()),
      sink_(std::move(sink)),
      shutdown_timeout_(shutdown_timeout),
      slots_(*this),
      names_(std::make_unique<name_directory>()),
      tables_(std::make_unique<table_directory>()) {}

core::~core() = default;

void core::start(std::unique_ptr<executor> how) { executor_ = std::move(how); }

void core::report_now(const report& entry) const noexcept {
  try {
    sink_(entry);
  } catch (...) {
    // A sink that fails must not take down what it reports on, and there is nobody else to tell.
  }
}

time_point core::deadline_after(duration timeout) noexcept {
  return timeout >= infinity ? time_point::max() : executor_->now() + timeout;
}

// Messages -------------------------------------------------------------------------------------------------------

message_ptr core::try_deliver(pid to, message_ptr what, executor::urgency how) noexcept {
  auto* const p = find(to);
  if (p == nullptr) return what;
  what->generation = to.generation;
  switch (p->mailbox.push(what.get())) {
    case inbox::pushed::closed: return what;
    case inbox::pushed::wake: executor_->ready(*p, how); break;
    case inbox::pushed::queued: break;
  }
  what.release();  // the mailbox owns it by now, and may be through with it
  return nullptr;
}

bool core::deliver(pid to, message_ptr what, executor::urgency how) noexcept {
  return try_deliver(to, std::move(what), how) == nullptr;
}

void core::send_signal(pid to, signal::op what, pid from, const exit_reason& why, monitor_ref ref) noexcept {
  auto rest = try_deliver(to, std::make_unique<signal>(what, from, why, ref), executor::urgency::soon);
  if (rest) bounce(to, std::move(rest), exit_reason::noproc);
}

std::unique_ptr<request> core::transact(pid to, std::unique_ptr<request> what, duration timeout) {
  const caller who(*this);
  auto& self = who.self();
  if (self.id() == to) throw call_error(call_error::code::calling_self, to);
  refuse_to_block_a_leaf(self, "call another process");
  suspension waiting{.awaited = ++self.refs_given, .reply = nullptr, .parked = nullptr};
  what->caller = self.id();
  what->caller_core = self.home;
  what->ref = waiting.awaited;
  const auto deadline = deadline_after(timeout);
  if (!deliver(to, std::move(what), executor::urgency::handoff)) throw call_error(call_error::code::noproc, to);
  while (!waiting.reply) {
    if (!wait(self, waiting, deadline)) throw call_error(call_error::code::timeout, to);
  }
  return std::unique_ptr<request>(static_cast<request*>(waiting.reply.release()));
}

bool core::wait(process& self, suspension& how, time_point deadline) {
  refuse_to_block_a_leaf(self, "wait");
  table_guard::assert_none();
  self.waiting = &how;
  struct forget {
    process& p;
    ~forget() { p.waiting = nullptr; }
  } const at_end{self};
  bool in_time = true;
  if (!self.mailbox.has_messages()) {
    throw_if_ending(self);
    in_time = executor_->suspend(self, deadline);
  }
  drain(self);
  throw_if_ending(self);
  return in_time;
}

void core::throw_if_ending(const process& self) {
  // What is destroyed on the way out may still call: another exception would end the program.
  if (self.must_exit && !self.is_ending && std::uncaught_exceptions() == 0) throw unwind{};
}

// Bonds ----------------------------------------------------------------------------------------------------------

monitor_ref core::monitor(process& self, pid target, std::string tag) {
  const monitor_ref ref{++self.refs_given};
  self.ties().monitoring.emplace(ref.id, relations::watched{target, std::move(tag)});
  send_signal(target, signal::op::monitor, self.id(), {}, ref);
  return ref;
}

void core::demonitor(process& self, monitor_ref ref, bool flush) {
  if (const auto row = self.ties().monitoring.find(ref.id); row != self.bonds->monitoring.end()) {
    send_signal(row->second.target, signal::op::demonitor, self.id(), {}, ref);
    self.bonds->monitoring.erase(row);  // a `down` that is under way finds nothing and is dropped
  }
  if (!flush) return;
  drain(self);
  self.queue.take_first([&](message& m) {
    auto* const found = m.kind == message_kind::letter ? static_cast<letter&>(m).as<down>() : nullptr;
    return found != nullptr && found->ref == ref;
  });
}

void core::link(process& self, pid peer) {
  if (peer == self.id() || !self.ties().links.insert(peer).second) return;
  send_signal(peer, signal::op::link, self.id());
}

void core::unlink(process& self, pid peer) {
  if (self.bonds && self.bonds->links.erase(peer) > 0) send_signal(peer, signal::op::unlink, self.id());
}

// Names ----------------------------------------------------------------------------------------------------------

void core::register_name(std::string name, pid who, std::type_index type) {
  if (auto* const p = find(who)) p->has_names.store(true);
  const auto is_alive = [this](pid id) {
    const auto* const p = find(id);
    return p != nullptr && p->generation.load() == id.generation;
  };
  if (!is_alive(who)) throw call_error(call_error::code::noproc, who);
  if (const auto holder = names_->add(name, {who, type}, is_alive)) throw name_taken(name, *holder);
  if (!is_alive(who)) names_->remove(name, who);  // it may have died before it had a name to give back
}

bool core::unregister_name(std::string_view name) {
  const auto found = names_->find(name);
  return found && names_->remove(name, found->who);
}

std::optional<pid> core::whereis(std::string_view name) const {
  const auto found = names_->find(name);
  return found && alive(found->who) ? std::optional(found->who) : std::nullopt;
}

std::optional<pid> core::whereis(std::string_view name, std::type_index type) const {
  const auto found = names_->find(name);
  return found && found->type == type && alive(found->who) ? std::optional(found->who) : std::nullopt;
}

// Birth ----------------------------------------------------------------------------------------------------------

process& core::create(birth what) {
  auto* const parent = current_process != nullptr && current_process->home == this ? current_process : nullptr;
  if (what.link && parent == nullptr) throw std::logic_error("spawn_link: only a process can be linked to its child");
  auto* const p = slots_.take();
  if (p == nullptr) throw std::runtime_error("the runtime is shutting down: nothing can be started");
  live_.fetch_add(1, std::memory_order_relaxed);
  p->body = std::move(what.body);
  p->state = p->body->state();
  p->type.store(&p->body->type(), std::memory_order_release);
  p->is_leaf.store(what.leaf, std::memory_order_relaxed);
  p->is_starting = true;
  if (parent != nullptr) {
    p->parent = parent->id();
  } else if (!what.leaf) {
    p->root_serial.store(root_serials_.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  if (what.link) {
    p->ties().links.insert(parent->id());
    parent->ties().links.insert(p->id());
  }
  if (what.name.empty()) return *p;
  try {
    register_name(std::move(what.name), p->id(), p->body->type());
  } catch (...) {
    abandon(*p);
    throw;
  }
  return *p;
}

void core::abandon(process& p) noexcept {
  p.end_with(exit_reason::normal);
  const auto id = p.id();
  if (current_process != nullptr && current_process->bonds) current_process->bonds->links.erase(id);
  finish(p);
}

void core::start_inline(process& p, action& start) {
  std::exception_ptr failure;
  {
    const run_as as(p);
    try {
      start.run(p.body.get());
    } catch (const unwind&) {
    } catch (...) {
      failure = std::current_exception();
    }
  }
  p.state = p.body->state();
  if (failure) p.end_with(exit_reason::error(failure));
  if (!p.must_exit) {
    p.is_starting = false;
    release(p);
    return;
  }
  const auto reason = p.reason;
  const auto what = "start of " + type_name(p.body->type()) + ": " + to_string(reason);
  abandon(p);
  throw start_error(what, reason);
}

void core::start_elsewhere(process& p, std::unique_ptr<request> start) {
  const auto id = p.id();
  const auto what = "start of " + type_name(p.body->type()) + ": ";
  const caller who(*this);
  auto& self = who.self();
  try {
    refuse_to_block_a_leaf(self, "start a process that may block");
  } catch (...) {
    abandon(p);
    throw;
  }
  suspension waiting{.awaited = ++self.refs_given, .reply = nullptr, .parked = nullptr};
  start->caller = self.id();
  start->caller_core = this;
  start->ref = waiting.awaited;
  start_detached(p, std::move(start), executor::urgency::handoff);
  while (!waiting.reply) wait(self, waiting, time_point::max());
  const auto& reply = static_cast<request&>(*waiting.reply);
  if (!reply.failed) return;
  if (self.bonds) self.bonds->links.erase(id);
  throw start_error(what + to_string(reply.failure), reply.failure);
}

void core::start_detached(process& p, message_ptr start, executor::urgency how) noexcept {
  start->generation = p.id().generation;
  if (start->kind == message_kind::action) p.is_starting = false;  // a function; nobody waits for its start
  p.queue.push(std::move(start));
  executor_->ready(p, how);
}

void core::start_on_thread(process& p, std::unique_ptr<action> start) {
  p.has_thread = true;
  try {
    executor_->launch(p, std::move(start));
  } catch (...) {
    abandon(p);
    throw;
  }
}

// The end --------------------------------------------------------------------------------------------------------

std::vector<pid> core::processes() const {
  std::vector<pid> result;
  slots_.for_each([&](const process& p) {
    if (p.mailbox.is_open()) result.push_back(p.id());
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
    if (!wait(who.self(), waiting, deadline)) break;
  }
  demonitor(who.self(), ref, true);
}

void core::shut_down() noexcept {
  for (const auto root : roots()) end_root(root);
  slots_.shut();
  for (const auto id : processes()) send_signal(id, signal::op::exit, pid{}, exit_reason::kill);
  {
    std::unique_lock lock(idle_mutex_);
    nobody_left_.wait(lock, [this] { return live_.load(std::memory_order_relaxed) == 0; });
  }
  executor_->stop();
}

// A plain thread's stand-in --------------------------------------------------------------------------------------

process& core::open_external() {
  auto* const p = slots_.take();
  if (p == nullptr) throw std::runtime_error("the runtime is shutting down: nothing can be called");
  p->has_thread = true;
  p->is_stand_in = true;
  p->traps_exits = true;
  return *p;
}

void core::close_external(process& p) noexcept {
  drain(p);
  p.end_with(exit_reason::normal);
  finish(p);
}

caller::caller(core& c) : core_(c) {
  if (current_process != nullptr && current_process->home == &c) {
    self_ = current_process;
  } else {
    self_ = stand_in_ = &c.open_external();
  }
}

caller::~caller() {
  if (stand_in_ != nullptr) core_.close_external(*stand_in_);
}

}  // namespace kv::detail
