// How processes come to life, and how plain threads get a stand-in.
#include <stdexcept>

#include <kv/detail/caller.hpp>
#include <kv/detail/table_directory.hpp>

#include "names.hpp"

namespace kv::detail {

namespace {

/// Comes back to who waits for a name when somebody gets it.
class name_request final : public request {
 public:
  const std::type_info& type() const noexcept override { return typeid(name_request); }
  void run(void*) override {}
};

}  // namespace

/// Stands on the stack of who waits for a name.
class core::name_wait {
 public:
  name_wait(core& home, process& self, std::string_view name)
      : home_(home), self_(self), name_(name), waiting_{.awaited = ++self.refs_given} {}
  name_wait(const name_wait&) = delete;
  name_wait& operator=(const name_wait&) = delete;
  ~name_wait() { home_.names_->stop_waiting(name_, self_.id(), waiting_.awaited); }

  /// Returns who has the name, or begins to wait.
  std::optional<pid> begin() {
    auto wish = std::make_unique<name_request>();
    wish->caller = self_.id();
    wish->ref = waiting_.awaited;
    return home_.names_->find_or_wait(name_, std::move(wish), [this](pid id) { return home_.find(id) != nullptr; });
  }
  /// False when nobody has got it until the deadline.
  bool is_over(time_point deadline) {
    while (!waiting_.reply) {
      if (!self_.home->wait(self_, waiting_, deadline)) return false;
    }
    return true;
  }

 private:
  core& home_;
  process& self_;
  std::string_view name_;
  suspension waiting_;
};

// Names ----------------------------------------------------------------------------------------------------------

void core::register_name(std::string name, pid who) {
  interleave();
  const std::type_info* type = nullptr;
  if (auto* const p = find(who)) {
    p->has_names.store(true);
    type = p->type.load(std::memory_order_acquire);
  }
  if (!is_alive_for_sure(who)) throw call_error(call_error::code::noproc, who);
  const name_directory::entry entry{who, type == nullptr ? typeid(void) : *type};
  const auto added = names_->add(name, entry, [this](pid id) { return is_alive_for_sure(id); });
  if (added.holder) throw name_taken(name, added.holder);
  if (!is_alive_for_sure(who)) names_->remove(name, who);  // it may have died before it had a name to give back
  tables_->name_given(name, who);
  answer_all(added.waiting);
}

/// As find(), but in one order with the death: so either this sees it, or the dying sees what it was given before.
bool core::is_alive_for_sure(pid id) const noexcept {
  const auto* const p = find(id);
  return p != nullptr && p->generation.load() == id.generation;
}

std::optional<pid> core::await_name(std::string_view name, duration timeout) {
  interleave();
  if (const auto holder = holder_of(name)) return holder;
  const auto deadline = deadline_after(timeout);
  if (deadline == time_point::min()) return std::nullopt;
  const caller who(waits_at("wait for a name"));
  for (;;) {
    name_wait here(*this, who.self(), name);
    if (const auto holder = here.begin()) return holder;
    if (!here.is_over(deadline)) return holder_of(name);
    // Somebody has got the name, and may have lost it since.
  }
}

bool core::unregister_name(std::string_view name) {
  interleave();
  const auto found = names_->find(name);
  return found && names_->remove(name, found->who);
}

std::optional<pid> core::whereis(std::string_view name) const {
  interleave_quietly();
  return holder_of(name);
}

std::optional<pid> core::whereis(std::string_view name, std::type_index type) const {
  interleave_quietly();
  const auto found = names_->find(name);
  return found && found->type == type && find(found->who) != nullptr ? std::optional(found->who) : std::nullopt;
}

std::optional<pid> core::holder_of(std::string_view name) const {
  const auto found = names_->find(name);
  return found && find(found->who) != nullptr ? std::optional(found->who) : std::nullopt;
}

std::string core::name_of(pid id) const {
  auto names = names_->names_of(id);
  return names.empty() ? std::string() : std::move(names.front());
}

std::vector<std::pair<std::string, pid>> core::registered() const {
  interleave_quietly();
  auto all = names_->all();
  std::erase_if(all, [this](const auto& row) { return find(row.second) == nullptr; });
  std::ranges::sort(all);
  return all;
}

// Birth ----------------------------------------------------------------------------------------------------------

process& core::create(birth what) {
  interleave();
  auto* const parent = current_process != nullptr && current_process->home == this ? current_process : nullptr;
  if ((what.link || what.monitor != nullptr) && parent == nullptr) {
    throw std::logic_error("spawn_link, spawn_monitor: only a process can be tied to its child");
  }
  // What may fail for want of memory comes first.
  std::unique_ptr<relations> bonds;
  std::unique_ptr<exit_notice> to_child;
  if (what.link || what.monitor != nullptr) bonds = std::make_unique<relations>();
  if (what.link) {
    bonds->links.insert(std::make_unique<exit_notice>(signal::op::link_exit, parent->id()));
    to_child = std::make_unique<exit_notice>(signal::op::link_exit, pid{});
    parent->ties();
  }
  if (what.monitor != nullptr) {
    *what.monitor = next_ref(*parent);
    bonds->watchers.insert(
        std::make_unique<down_notice>(signal::op::monitor, down{parent->id(), {}, *what.monitor, {}}));
    parent->business().monitoring.reserve(parent->business().monitoring.size() + 1);
  }
  const bool parent_has_reserve = parent != nullptr && parent->may_use_reserve();
  auto* const p = slots_.take(&what.body->type(), what.on_reserve || parent_has_reserve);
  if (p == nullptr) throw std::runtime_error("the runtime is shutting down: nothing can be started");
  live_.fetch_add(1, std::memory_order_relaxed);
  p->body = std::move(what.body);
  p->state = p->body->state();
  p->is_leaf.store(what.leaf, std::memory_order_relaxed);
  p->has_reserve = what.on_reserve;
  p->starts_on_reserve = parent_has_reserve;
  if (parent != nullptr) {
    p->parent = parent->id();
    if (const auto* const own = parent->business_if_any()) p->restarts = own->next_restarts;
  } else if (!what.leaf) {
    p->root_serial.store(root_serials_.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  p->bonds = std::move(bonds);
  if (what.link) {
    to_child->news.from = p->id();
    parent->ties().links.insert(std::move(to_child));
    if (auto* const own = parent->business_if_any(); own != nullptr && own->births != nullptr)
      own->births->note(p->id());
  }
  if (what.monitor != nullptr) parent->business().monitoring.emplace(what.monitor->id, p->id());
  observe(*p, step::kind::starts, &p->body->type(), p->parent);
  if (what.name.empty()) return *p;
  try {
    register_name(std::move(what.name), p->id());
  } catch (...) {
    abandon(*p);
    throw;
  }
  return *p;
}

void core::abandon(process& p) noexcept {
  p.end_with(exit_reason::normal);
  if (current_process != nullptr) untie(*current_process, p.id());
  const run_as as(p);  // what it may have of a user's is its own
  finish(p);
}

/// A child that could not be started is nobody's.
void core::untie(process& parent, pid child) noexcept {
  if (!parent.bonds) return;
  parent.bonds->links.take(child);
  if (auto* const own = parent.business_if_any()) {
    boost::unordered::erase_if(own->monitoring, [child](const auto& row) { return row.second == child; });
  }
}

void core::start_inline(process& p, action& start) {
  std::exception_ptr failure;
  {
    const run_as as(p);
    try {
      const callback here(*this, p);
      start.run(p.body.get());
    } catch (const unwind&) {
    } catch (...) {
      failure = std::current_exception();
    }
  }
  p.state = p.body->state();
  if (failure) p.end_with(exit_reason::error(failure));
  if (!p.must_exit()) {
    p.life.store(stage::running, std::memory_order_relaxed);
    release(p);
    return;
  }
  const auto reason = p.reason;
  const auto& type = p.body->type();
  abandon(p);
  throw start_error("start of " + type_name(type) + ": " + to_string(reason), reason);
}

void core::start_elsewhere(process& p, std::unique_ptr<request> start) {
  const auto id = p.id();
  const auto* const type = &p.body->type();
  std::optional<caller> who;
  std::unique_ptr<exit_notice> undo;  // in time
  try {
    undo = std::make_unique<exit_notice>(signal::op::exit, pid{}, exit_reason::kill);
    who.emplace(waits_at("start a process that may block"));
    // Else the child would be started, and its parent not know.
    who->self().home->executor_->prepare_wait(who->self());
  } catch (...) {
    abandon(p);
    throw;
  }
  auto& self = who->self();
  suspension waiting{.awaited = ++self.refs_given, .callee = id, .wanted = {&type, 1}};
  start->caller = self.id();
  start->ref = waiting.awaited;
  start_detached(p, std::move(start), executor::urgency::handoff);
  try {
    while (!waiting.reply) {
      if (!self.home->wait(self, waiting, time_point::max()) && !waiting.reply)
        throw call_error(why_none_came(self), id);
    }
  } catch (const call_error&) {        // it has to end
    send_signal(id, std::move(undo));  // no one would ever learn its pid
    throw;
  }
  const auto& reply = static_cast<request&>(*waiting.reply);
  if (!reply.failed) return;
  untie(self, id);
  throw start_error("start of " + type_name(*type) + ": " + to_string(reply.failure), reply.failure);
}

void core::start_detached(process& p, message_ptr start, executor::urgency how) noexcept {
  start->generation = p.id().generation;
  // Nobody waits for the start of a function.
  if (start->kind == message_kind::action) p.life.store(stage::running, std::memory_order_relaxed);
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

// A plain thread's stand-in --------------------------------------------------------------------------------------

process& core::open_external(bool with_reserve) {
  auto* const p = slots_.take(nullptr, with_reserve);
  if (p == nullptr) throw std::runtime_error("the runtime is shutting down: nothing can be called");
  p->has_thread = true;
  p->is_stand_in = true;
  p->traps_exits = true;
  p->life.store(stage::running, std::memory_order_relaxed);
  return *p;
}

void core::close_external(process& p) noexcept {
  drain(p);
  p.end_with(exit_reason::normal);
  finish(p);
}

caller::caller(core& c, bool with_reserve) : core_(c) {
  if (current_process != nullptr && current_process->home == &c) {
    self_ = current_process;
  } else {
    self_ = stand_in_ = &c.open_external(with_reserve);
  }
}

caller::~caller() {
  if (stand_in_ != nullptr) core_.close_external(*stand_in_);
}

}  // namespace kv::detail
