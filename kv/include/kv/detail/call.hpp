// How a function of the caller's gets into another process, and its result back.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <kv/detail/core.hpp>
#include <kv/detail/message.hpp>
#include <kv/errors.hpp>

namespace kv::detail {

/// Marks a server whose functions never block.
template <class T>
concept leaf_server = requires {
  { T::leaf } -> std::convertible_to<bool>;
  requires T::leaf;
};

/// What is kept of an argument until the call runs: a copy, and of text that somebody else owns, its characters.
template <class Arg>
using kept =
    std::conditional_t<std::is_convertible_v<Arg, std::string_view> && !std::is_same_v<std::decay_t<Arg>, std::string>,
                       std::string, std::decay_t<Arg>>;

/// A function with its arguments, for later: called with the state.
template <class T, class F, class... Args>
class kept_call {
 public:
  using function_type = F;  // what reports name

  template <class... Given>
  explicit kept_call(F function, Given&&... args)
      : function_(std::move(function)), args_(std::forward<Given>(args)...) {}

  decltype(auto) operator()(T& state) {
    return std::apply(
        [&](Args&... each) -> decltype(auto) { return std::invoke(function_, state, std::move(each)...); }, args_);
  }

 private:
  F function_;
  std::tuple<Args...> args_;
};

template <class T, class F, class... Args>
auto keep(F&& function, Args&&... args) {
  return kept_call<T, std::decay_t<F>, kept<Args>...>(std::forward<F>(function), std::forward<Args>(args)...);
}

/// The result of a call: by value, because a reference would reach into another process.
template <class T, class F, class... Args>
using call_result = std::decay_t<std::invoke_result_t<std::decay_t<F>, T&, kept<Args>...>>;

template <class R>
struct result_slot {
  std::optional<R> value;
  template <class F>
  void fill(F&& produce) {
    value.emplace(std::forward<F>(produce)());
  }
  R take() { return std::move(*value); }
};

template <>
struct result_slot<void> {
  template <class F>
  void fill(F&& produce) {
    std::forward<F>(produce)();
  }
  void take() {}
};

template <class T, class R, class F>
class request_of final : public request {
 public:
  explicit request_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(typename F::function_type); }
  void run(void* state) override {
    result_.fill([&]() -> decltype(auto) { return function_(*static_cast<T*>(state)); });
  }
  R take() { return result_.take(); }

 private:
  F function_;
  result_slot<R> result_;
};

/// The claim of a leaf that runs on its caller's stack.
class inline_turn {
 public:
  inline_turn(core& home, process& p) noexcept
      : home_(home), process_(p), previous_(std::exchange(current_process, &p)) {}
  inline_turn(const inline_turn&) = delete;
  inline_turn& operator=(const inline_turn&) = delete;
  ~inline_turn() {
    if (ended_) return;
    current_process = previous_;
    home_.release(process_);
    home_.interleave_quietly();
  }
  /// Ends the process and tells the caller by a call_error.
  [[noreturn]] void fail(std::exception_ptr why, const std::type_info& message) {
    ended_ = true;
    current_process = previous_;
    home_.fail_inline(process_, std::move(why), message);
  }

 private:
  core& home_;
  process& process_;
  process* previous_;
  bool ended_ = false;
};

/// Some parameters take only what a queued call would bring, such as std::string where text was given as a view.
template <class T, class F, class... Args>
inline constexpr bool takes_as_given = std::is_invocable_v<F, T&, Args...>;

template <class T, class R, class F, class... Args>
R call_inline(core& home, process& p, F&& function, Args&&... args) {
  home.observe(p, step::kind::is_called, &typeid(F), current_process == nullptr ? pid{} : current_process->id());
  inline_turn turn(home, p);
  std::exception_ptr failure;
  try {
    const core::callback here(home, p);
    auto& state = *static_cast<T*>(p.state);
    if constexpr (takes_as_given<T, F, Args...>) {
      return std::invoke(std::forward<F>(function), state, std::forward<Args>(args)...);
    } else {
      return std::invoke(std::forward<F>(function), state, kept<Args>(std::forward<Args>(args))...);
    }
  } catch (const unwind&) {
  } catch (...) {
    failure = std::current_exception();
  }
  turn.fail(std::move(failure), typeid(F));
}

template <class T, class F, class... Args>
auto call(core* home, pid id, duration timeout, F&& function, Args&&... args) -> call_result<T, F, Args...> {
  using result = call_result<T, F, Args...>;
  if (home == nullptr) throw call_error(call_error::code::noproc, id);
  home->interleave();
  if constexpr (leaf_server<T>) {
    // A leaf must not call, not even where it would not have to wait this time: transact() tells it so.
    const bool may_call = current_process == nullptr || !current_process->is_leaf.load(std::memory_order_relaxed);
    if (auto* const p = may_call ? home->claim_leaf(id) : nullptr) {
      return call_inline<T, result>(*home, *p, std::forward<F>(function), std::forward<Args>(args)...);
    }
  }
  auto later = keep<T>(std::forward<F>(function), std::forward<Args>(args)...);
  auto reply = home->transact(id, std::make_unique<request_of<T, result, decltype(later)>>(std::move(later)), timeout);
  if (reply->failed) throw call_error(call_error::code::exited, id, reply->failure);
  return static_cast<request_of<T, result, decltype(later)>&>(*reply).take();
}

template <class T, class F>
class cast_of final : public action {
 public:
  explicit cast_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(typename F::function_type); }
  void run(void* state) override { function_(*static_cast<T*>(state)); }

 private:
  F function_;
};

template <class T, class F, class... Args>
message_ptr make_cast(F&& function, Args&&... args) {
  auto later = keep<T>(std::forward<F>(function), std::forward<Args>(args)...);
  return std::make_unique<cast_of<T, decltype(later)>>(std::move(later));
}

void stop(core* home, pid id, const exit_reason& reason, duration timeout);

}  // namespace kv::detail
