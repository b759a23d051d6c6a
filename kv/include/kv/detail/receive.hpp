// Selective receive.
#pragma once

#include <type_traits>
#include <utility>

#include <kv/detail/core.hpp>
#include <kv/detail/message.hpp>

namespace kv::detail {

/// Returns the calling process. Throws std::logic_error on a plain thread.
process& this_process();

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

/// Hands the first message that fits to its handler, waiting for it until the deadline; false when none came.
template <class... Handlers>
bool receive_until(process& self, time_point deadline, Handlers&... handlers) {
  const auto fits = [](message& m) {
    return m.kind == message_kind::letter && ((static_cast<letter&>(m).as<argument_of<Handlers>>() != nullptr) || ...);
  };
  suspension waiting;
  for (bool in_time = true;;) {
    if (const auto found = self.queue.take_first(fits)) {
      auto& message = static_cast<letter&>(*found);
      static_cast<void>((offer(message, handlers) || ...));
      return true;
    }
    if (!in_time) return false;
    in_time = self.home->wait(self, waiting, deadline);
  }
}

}  // namespace kv::detail
