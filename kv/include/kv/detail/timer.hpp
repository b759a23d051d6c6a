// What a timer holds until it is due.
#pragma once

#include <kv/detail/message.hpp>
#include <kv/detail/process.hpp>

namespace kv::detail {

struct timed_message {
  message_ptr first = nullptr;
  duration period{0};                            // 0: once
  message_ptr (*copy)(message& from) = nullptr;  // for the next time
};

template <class M>
timed_message once(M body) {
  return {.first = std::make_unique<letter_of<M>>(std::move(body))};
}

template <class M>
timed_message repeatedly(M body, duration period) {
  return {.first = std::make_unique<letter_of<M>>(std::move(body)), .period = period, .copy = [](message& from) {
            return message_ptr(std::make_unique<letter_of<M>>(*static_cast<letter&>(from).as<M>()));
          }};
}

}  // namespace kv::detail
