#include <kv/introspection.hpp>

#include <algorithm>
#include <ostream>
#include <sstream>

#include <kv/detail/core.hpp>

#include "names.hpp"
#include "trace.hpp"

namespace kv {

std::string to_string(process_state state) {
  switch (state) {
    case process_state::idle: return "idle";
    case process_state::waiting: return "waiting";
    case process_state::running: break;
  }
  return "running";
}

std::ostream& operator<<(std::ostream& out, const process_info& info) {
  out << info.who << ' ' << info.type;
  for (const auto& name : info.names) out << " (" << name << ')';
  out << ": " << to_string(info.state);
  if (!info.doing.empty()) out << ", " << info.doing;
  if (info.within) {
    out << ", mailbox " << info.within->mailbox << ", links " << info.within->links.size() << ", monitors "
        << info.within->monitors.size() << ", monitored by " << info.within->monitored_by.size();
  }
  out << ", handled " << info.handled;
  if (info.restarts > 0) out << ", restarts " << info.restarts;
  if (info.dropped > 0) out << ", dropped " << info.dropped;
  return out;
}

namespace detail {

namespace {

process_info::inside within(process& p) {
  process_info::inside result{
      .mailbox = p.queue.size(), .links = {}, .monitors = {}, .monitored_by = {}, .traps_exits = p.traps_exits};
  if (!p.bonds) return result;
  p.bonds->links.for_each([&](const exit_notice& to) { result.links.push_back(to.news.from); });
  p.bonds->watchers.for_each([&](const down_notice& to) { result.monitored_by.push_back(to.news.from); });
  if (!p.bonds->own) return result;
  for (const auto& [ref, target] : p.bonds->own->monitoring) result.monitors.push_back(target);
  return result;
}

/// The claim of a process that does not run, for a scope; or none, when it runs.
class inspection {
 public:
  inspection(core& home, process& p, pid id) noexcept : home_(home), process_(p) {
    if (&p == current_process) {
      reads_ = p.id() == id;
      return;
    }
    claimed_ = p.mailbox.try_claim();
    // Under the claim the generation stands still.
    reads_ = claimed_ && p.id() == id;
  }
  inspection(const inspection&) = delete;
  inspection& operator=(const inspection&) = delete;
  ~inspection() {
    if (claimed_) home_.put_back(process_);
  }
  explicit operator bool() const noexcept { return reads_; }

 private:
  core& home_;
  process& process_;
  bool claimed_ = false;
  bool reads_ = false;
};

}  // namespace

std::optional<process_info> core::info(pid id) {
  interleave_quietly();
  auto* const p = find(id);
  if (p == nullptr) return std::nullopt;
  process_info result;
  result.who = id;
  result.state = process_state::running;
  result.handled = p->handled.load(std::memory_order_relaxed);
  if (p->is_bounded.load(std::memory_order_acquire)) result.dropped = p->bound->dropped();
  if (const auto* const type = p->running.load(std::memory_order_relaxed))
    result.doing = "handles " + portable_name(*type);
  {
    const inspection look(*this, *p, id);
    if (look) {
      result.within = within(*p);
      result.parent = p->parent;
      result.restarts = p->restarts;
      if (p != current_process) result.state = p->waiting != nullptr ? process_state::waiting : process_state::idle;
      if (p->waiting != nullptr) {
        result.doing = wish_of(*p->waiting);
        result.since = p->waiting->since;
      }
    }
  }
  result.type = class_name(*p);
  if (p->has_names.load(std::memory_order_relaxed)) result.names = names_->names_of(id);
  if (find(id) == nullptr) return std::nullopt;  // what was read may be another one's
  return result;
}

std::string core::class_name(const process& p) {
  const auto* const type = p.type.load(std::memory_order_acquire);
  return type == nullptr ? "a plain thread" : portable_name(*type);
}

std::string core::dump(std::size_t most) {
  std::ostringstream out;
  const auto all = processes();
  const auto shown = std::min(most, all.size());
  for (std::size_t i = 0; i < shown; ++i) {
    if (const auto found = info(all[i])) out << *found << '\n';
  }
  if (shown < all.size()) out << "and " << all.size() - shown << " more\n";
  return out.str();
}

}  // namespace detail
}  // namespace kv
