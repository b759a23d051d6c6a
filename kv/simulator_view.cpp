// What a simulation tells of itself.
#include "simulator.hpp"

namespace kv::detail {

void simulator::observe(step what) noexcept {
  const reliable_memory here;
  trace_.add(steps_, now_.time_since_epoch(), std::move(what));
}

void simulator::note(const process& p, step::kind what, pid other) noexcept {
  observe({.who = p.is_stand_in ? pid{} : p.id(), .what = what, .other = other});
}

std::string simulator::circumstances() const {
  constexpr std::size_t shown = 20;
  std::string text = "seed " + std::to_string(fate_.seed()) + ", the last steps:";
  for (const auto& line : trace_.last(shown)) text += "\n  " + line;
  return text;
}

std::string simulator::list() const {
  std::string text;
  for (const auto id : core_.processes()) {
    if (const auto* const p = core_.find(id)) text += "  " + describe(*p) + '\n';
  }
  return text;
}

std::string simulator::describe(const process& p) const {
  const auto name = core_.name_of(p.id());
  const auto* const type = p.type.load(std::memory_order_relaxed);
  auto text = p.is_stand_in ? "the test, as " + to_string(p.id())
                            : to_string(p.id()) + ' ' + (type == nullptr ? "" : portable_name(*type));
  if (!name.empty()) text += " (" + name + ')';
  return text + ": " + state_of(p) + (is_held(p.id()) ? ", held by the test" : "");
}

std::string simulator::state_of(const process& p) const {
  const auto is_it = [&p](const candidate& c) { return c.who == &p; };
  if (std::ranges::any_of(runnable_, is_it)) return "can run";
  const auto* const waiting = wait_of(p);
  if (waiting == nullptr) return p.mailbox.looks_idle() ? "has nothing to do" : "runs";
  return wish_of(*p.waiting) + " since " + to_text(waiting->since.time_since_epoch());
}

}  // namespace kv::detail
