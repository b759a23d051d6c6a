// What a timer holds until it is due.
#pragma once

#include <memory>
#include <utility>

#include <kv/detail/message.hpp>
#include <kv/detail/process.hpp>

namespace kv::detail {

/// A message that is sent again and again. What is sent shares one value; each receiver copies it when it takes it.
class repeating_letter {
 public:
  virtual ~repeating_letter() = default;
  /// Returns one more to send. Runs none of the user's code. Throws std::bad_alloc.
  virtual message_ptr again() const = 0;
};

struct timed_message {
  message_ptr next = nullptr;  // what is sent when it is due; null when the timer is the runtime's own
  duration period{0};          // 0: once
  std::shared_ptr<const repeating_letter> pattern = nullptr;  // of what is sent after that
};

template <class M>
class repeated final : public repeating_letter, public std::enable_shared_from_this<repeated<M>> {
 public:
  explicit repeated(M content) : content_(std::move(content)) {}

  message_ptr again() const override { return std::make_unique<copy>(this->shared_from_this()); }

 private:
  class copy final : public late_letter<M> {
   public:
    explicit copy(std::shared_ptr<const repeated> of) noexcept : of_(std::move(of)) {}

   private:
    M make() override { return of_->content_; }

    std::shared_ptr<const repeated> of_;
  };

  M content_;
};

template <class M>
timed_message once(M body) {
  return {.next = std::make_unique<letter_of<M>>(std::move(body))};
}

template <class M>
timed_message repeatedly(M body, duration period) {
  const auto pattern = std::make_shared<const repeated<M>>(std::move(body));
  return {.next = pattern->again(), .period = period, .pattern = pattern};
}

}  // namespace kv::detail
