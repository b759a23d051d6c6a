// Selective receive.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <kv/detail/core.hpp>
#include <kv/detail/message.hpp>

namespace kv::detail {

/// Returns the calling process. Throws std::logic_error on a plain thread.
process& this_process();

/// Throws std::invalid_argument, which names both, when the process is one of another runtime that lives. `what` it cannot
/// be there.
void check_same_runtime(const core& home, pid who, const char* what);
/// As kv::monitor, but for a server that was given the pid by others: one of another runtime is dead to it.
monitor_ref watch(pid target, std::string tag = {});
/// Throws std::invalid_argument when it is not more than 0.
void check_period(duration period);
/// Puts an action before all messages of the calling process.
void continue_with(std::unique_ptr<action> what);

/// What a handler wants: the type of its one argument.
template <class F>
struct handler_argument : handler_argument<decltype(&F::operator())> {};
template <class C, class R, class M>
struct handler_argument<R (C::*)(M) const> : std::type_identity<std::remove_cvref_t<M>> {};
template <class C, class R, class M>
struct handler_argument<R (C::*)(M)> : std::type_identity<std::remove_cvref_t<M>> {};
template <class R, class M>
struct handler_argument<R (*)(M)> : std::type_identity<std::remove_cvref_t<M>> {};

template <class F>
using argument_of = typename handler_argument<std::remove_cvref_t<F>>::type;

template <class F>
bool offer(letter& message, F& handler) {
  auto* const body = message.as<argument_of<F>>();
  if (body != nullptr) handler(*body);
  return body != nullptr;
}

/// For those who ask what a process waits for.
template <class... M>
inline constexpr const std::type_info* types_of[] = {&typeid(M)...};

/// How long a receive waits. One that does not give up has nothing to say when nothing comes.
struct patience {
  time_point deadline = time_point::max();
  bool gives_up = false;
};

/// Takes the first letter that `fits(letter&)`, waiting for it; null when none came.
template <class Predicate>
message_ptr take_letter(process& self, patience how_long, std::span<const std::type_info* const> types,
                        Predicate fits) {
  const message* spoilt = nullptr;
  const auto is_of = [&](const letter& m) {
    return std::ranges::any_of(types, [&](const auto* type) { return *type == m.type(); });
  };
  const auto wanted = [&](message& m) {
    if (m.kind != message_kind::letter) return false;
    auto& each = static_cast<letter&>(m);
    if (each.is_made_late && is_of(each) && !self.home->make_ready(self, each)) spoilt = &m;
    return spoilt == &m || fits(each);
  };
  self.home->check_signals(self);
  suspension waiting{.gives_up = how_long.gives_up, .wanted = types};
  for (bool in_time = true;;) {
    if (auto found = self.queue.take_first(wanted)) {
      self.home->taken(self, *found);
      if (found.get() != std::exchange(spoilt, nullptr)) return found;
      continue;
    }
    if (!in_time) return nullptr;
    in_time = self.home->wait(self, waiting, how_long.deadline);
  }
}

/// Hands the first message that fits to its handler; false when none came.
template <class... Handlers>
bool receive_any(process& self, patience how_long, Handlers&... handlers) {
  const auto found = take_letter(self, how_long, types_of<argument_of<Handlers>...>,
                                 [](letter& m) { return ((m.as<argument_of<Handlers>>() != nullptr) || ...); });
  return found != nullptr && (offer(static_cast<letter&>(*found), handlers) || ...);
}

}  // namespace kv::detail
