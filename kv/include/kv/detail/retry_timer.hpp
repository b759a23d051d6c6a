// For what a server tries again because there was no memory for it.
#pragma once

#include <utility>

#include <kv/detail/core.hpp>
#include <kv/detail/receive.hpp>
#include <kv/detail/timer.hpp>

namespace kv::detail {

/// A timer that is made with the server it belongs to, so that turning it on needs no memory. While it is on, the server
/// gets the same message once in every period; one more may be on its way when it is turned off.
class retry_timer {
 public:
  /// A process, which is who gets the message. Throws std::bad_alloc.
  template <class M>
  retry_timer(duration period, M message)
      : home_(*this_process().home),
        period_(period),
        number_(home_.set_timer(this_process().id(), infinity, repeatedly(std::move(message), period))) {}

  bool is_on() const noexcept { return is_on_; }
  /// Does nothing when it is on.
  void turn_on() noexcept {
    if (!is_on_) turn_on_at(home_.deadline_after(period_));
  }
  /// The first message comes then.
  void turn_on_at(time_point first) noexcept {
    is_on_ = true;
    home_.move_timer(number_, first);
  }
  void turn_off() noexcept {
    if (std::exchange(is_on_, false)) home_.move_timer(number_, time_point::max());
  }

 private:
  core& home_;
  duration period_;
  std::uint64_t number_;
  bool is_on_ = false;
};

}  // namespace kv::detail
