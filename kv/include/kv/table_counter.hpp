// Steps of a counter: what table::update_counter does to a number.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace kv {

namespace detail {

/// Holds the sum of any two whole numbers. As in OTP, whose numbers have no bounds, a sum is compared with the threshold
/// before it has to fit anywhere.
__extension__ typedef __int128 wide_integer;

template <class T>
concept number = std::is_arithmetic_v<T> && !std::same_as<std::remove_cv_t<T>, bool>;

/// Whether a value has that to count; std::monostate is the value itself.
template <class Value, class Member>
concept has_number =
    (std::same_as<Member, std::monostate> && number<Value>) || requires(Value& value, Member member) { value.*member; };

}  // namespace detail

/// Adds to a number that is a value of a table, or a member of it. Made by kv::add:
///
///     kv::add(1).to(&traffic::packets)
///     kv::add(-1).to(&traffic::credit).wrap_past(0, 100)
///
/// A plain value: small and copied freely. Mirrors an `UpdateOp` of `ets:update_counter/3`.
template <class Wide, class Member = std::monostate>
class counter_step {
 public:
  constexpr explicit counter_step(Wide increment, Member member = {}) : increment_(increment), member_(member) {}

  /// To that member of the value, rather than to the value itself.
  template <class Row, detail::number Number>
  constexpr counter_step<Wide, Number Row::*> to(Number Row::* member) const {
    counter_step<Wide, Number Row::*> result(increment_, member);
    return limit_ ? result.wrap_past(limit_->threshold, limit_->start) : result;
  }
  /// Beyond the threshold the number becomes `start`: when it is greater, or less if the increment is negative. At the
  /// threshold it stays. Mirrors `Threshold` and `SetValue`.
  constexpr counter_step wrap_past(Wide threshold, Wide start) const {
    auto result = *this;
    result.limit_ = limit{threshold, start};
    return result;
  }

  /// Does it, and returns what the number is now. Throws std::overflow_error when its type cannot hold that, and changes
  /// nothing.
  template <detail::has_number<Member> Value>
  auto operator()(Value& value) const {
    if constexpr (std::same_as<Member, std::monostate>) {
      return value = after(value);
    } else {
      return value.*member_ = after(value.*member_);
    }
  }

 private:
  struct limit {
    Wide threshold;
    Wide start;
  };

  template <detail::number Number>
  Number after(Number old) const {
    static_assert(std::floating_point<Number> || !std::floating_point<Wide>, "a whole number takes a whole increment");
    using sum_type = std::conditional_t<std::floating_point<Number>, Number, Wide>;
    auto sum = static_cast<sum_type>(static_cast<sum_type>(old) + static_cast<sum_type>(increment_));
    if (limit_) {
      const auto threshold = static_cast<sum_type>(limit_->threshold);
      if (increment_ < 0 ? sum < threshold : sum > threshold) sum = static_cast<sum_type>(limit_->start);
    }
    if constexpr (!std::floating_point<Number>) {
      using range = std::numeric_limits<Number>;
      if (sum < range::min() || sum > range::max())
        throw std::overflow_error("a counter at " + std::to_string(old) + " would leave the range of its type");
    }
    return static_cast<Number>(sum);
  }

  Wide increment_;
  [[no_unique_address]] Member member_;
  std::optional<limit> limit_;
};

/// Adds that to a value that is a number, or with counter_step::to to a number in it. Whole numbers of any type, also
/// negative; to floating point ones also such.
template <detail::number Increment>
constexpr auto add(Increment increment) {
  if constexpr (std::floating_point<Increment>) {
    return counter_step<Increment>(increment);
  } else {
    return counter_step<detail::wide_integer>(increment);
  }
}

namespace detail {

// Does one step or all, and returns the number or numbers.

template <number Increment, number Value>
auto count(Increment increment, Value& value) {
  return add(increment)(value);
}
template <class Wide, class Member, has_number<Member> Value>
auto count(const counter_step<Wide, Member>& step, Value& value) {
  return step(value);
}
template <class Wide, class Member, has_number<Member> Value>
auto count(const std::vector<counter_step<Wide, Member>>& steps, Value& value) {
  std::vector<decltype(steps.front()(value))> result;
  for (const auto& step : steps) result.push_back(step(value));
  return result;
}

template <class Op, class Value>
concept counts = requires(const Op& op, Value& value) { count(op, value); };

}  // namespace detail
}  // namespace kv
