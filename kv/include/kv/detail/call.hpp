// How a function of the caller's gets into another process, and its result back.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <kv/detail/arguments.hpp>
#include <kv/detail/core.hpp>
#include <kv/detail/message.hpp>
#include <kv/detail/receive.hpp>
#include <kv/detail/shortage.hpp>
#include <kv/detail/visit.hpp>
#include <kv/errors.hpp>
#include <kv/from.hpp>
#include <kv/pending.hpp>

namespace kv::detail {

/// Marks a server whose functions never block.
template <class T>
concept leaf_server = requires {
  { T::leaf } -> std::convertible_to<bool>;
  requires T::leaf;
};

/// What a function owes its caller, by its first parameter (after the state): an `R` for `from<R>`, else nothing.
template <class Signature>
struct owed_by : std::type_identity<void> {
  static constexpr bool later = false;
};
template <class R>
struct owed_by<from<R>> : std::type_identity<R> {
  static constexpr bool later = true;
};
template <class C, class X, class First, class... Rest>
struct owed_by<X (C::*)(First, Rest...)> : owed_by<std::remove_cvref_t<First>> {};
template <class C, class X, class First, class... Rest>
struct owed_by<X (C::*)(First, Rest...) const> : owed_by<std::remove_cvref_t<First>> {};
template <class C, class X, class First, class... Rest>
struct owed_by<X (C::*)(First, Rest...) noexcept> : owed_by<std::remove_cvref_t<First>> {};
template <class X, class State, class First, class... Rest>
struct owed_by<X (*)(State, First, Rest...)> : owed_by<std::remove_cvref_t<First>> {};

/// The same for a function object: of its one operator().
template <class C, class X, class... Params>
auto without_object(X (C::*)(Params...)) -> X (*)(Params...);
template <class C, class X, class... Params>
auto without_object(X (C::*)(Params...) const) -> X (*)(Params...);

template <class F>
struct owed : owed_by<F> {};
template <class F>
  requires requires { without_object(&F::operator()); }
struct owed<F> : owed_by<decltype(without_object(&F::operator()))> {};

template <class F>
inline constexpr bool answers_later = owed<std::decay_t<F>>::later;

/// The result of a call: by value, because a reference would reach into another process.
template <class T, class F, class... Args>
struct result_of_call : std::decay<std::invoke_result_t<std::decay_t<F>, T&, kept<Args>...>> {};
template <class T, class F, class... Args>
  requires answers_later<F>
struct result_of_call<T, F, Args...> : owed<std::decay_t<F>> {};
template <class T, class F, class... Args>
using call_result = typename result_of_call<T, F, Args...>::type;

/// Runs a function in a server; returns what it threw for want of a resource, if the server outlives that.
template <class T, class F>
std::exception_ptr shortage_if_outlived(F&& function) {
  if constexpr (outlives_shortage<T>) return shortage_in(function);
  function();
  return nullptr;
}

template <class T, class R, class F>
class request_of final : public request_for<R> {
 public:
  explicit request_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(typename F::function_type); }
  void run(void* state) override {
    const auto lacking = shortage_if_outlived<T>(
        [&] { this->result.fill([&]() -> decltype(auto) { return function_(*static_cast<T*>(state)); }); });
    if (lacking) this->fail_with(exit_reason::error(lacking));
  }

 private:
  F function_;
};

/// A request whose function gets its caller, and answers when it likes.
template <class T, class R, class F>
class deferred_request_of final : public request_for<R> {
 public:
  explicit deferred_request_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(typename F::function_type); }
  void run(void* state) override {
    if (!function_) return this->fail_with(this->no_reply());  // it was given up
    // Out of this node, which may be on its way back before the function is through.
    auto function = std::move(*function_);
    function_.reset();
    auto& self = *current_process;
    std::unique_ptr<request_for<R>> mine(static_cast<request_for<R>*>(self.current.release()));
    // Should it throw for want of a resource, and the server go on, then the function has dropped the caller.
    shortage_if_outlived<T>([&] { function(*static_cast<T*>(state), from<R>(std::move(mine))); });
  }

 private:
  std::optional<F> function_;
};

/// Makes the request that runs this.
template <class T, class F, class... Args>
auto make_request(F&& function, Args&&... args) {
  using result = call_result<T, F, Args...>;
  auto later = keep<T>(std::forward<F>(function), std::forward<Args>(args)...);
  if constexpr (answers_later<F>) {
    return std::make_unique<deferred_request_of<T, result, decltype(later)>>(std::move(later));
  } else {
    return std::make_unique<request_of<T, result, decltype(later)>>(std::move(later));
  }
}

/// The claim of a leaf that runs on its caller's stack.
class inline_turn {
 public:
  inline_turn(core& home, process& p, const std::type_info& message) noexcept
      : home_(home), process_(p), previous_(std::exchange(current_process, &p)) {
    p.handles(&message);
    p.counts_one();
  }
  inline_turn(const inline_turn&) = delete;
  inline_turn& operator=(const inline_turn&) = delete;
  ~inline_turn() {
    if (ended_) return;
    process_.handles(nullptr);
    current_process = previous_;
    home_.release(process_);
    home_.interleave_quietly();
  }
  /// Ends the process and tells the caller by a call_error.
  [[noreturn]] void fail(std::exception_ptr why) {
    ended_ = true;
    current_process = previous_;
    home_.fail_inline(process_, std::move(why));
  }

 private:
  core& home_;
  process& process_;
  process* previous_;
  bool ended_ = false;
};

template <class T, class R, class F, class... Args>
R call_inline(core& home, process& p, F&& function, Args&&... args) {
  home.observe(p, step::kind::is_called, &typeid(F), current_process == nullptr ? pid{} : current_process->id());
  const auto id = p.id();
  std::exception_ptr failure;
  {
    inline_turn turn(home, p, typeid(F));
    try {
      const core::callback here(home, p);
      return std::invoke(std::forward<F>(function), *static_cast<T*>(p.state), std::forward<Args>(args)...);
    } catch (const unwind&) {
    } catch (...) {
      failure = std::current_exception();
    }
    if (!outlives_shortage<T> || !is_shortage(failure)) turn.fail(std::move(failure));
  }
  throw call_error(call_error::code::exited, id, exit_reason::error(failure));  // here, as the caller
}

template <class T, class R, class F, class... Args>
R call_later(core& home, pid id, duration timeout, F&& function, Args&&... args) {
  auto reply = home.transact(id, make_request<T>(std::forward<F>(function), std::forward<Args>(args)...), timeout);
  if (reply->failed) throw call_error(call_error::code::exited, id, reply->failure);
  return static_cast<request_for<R>&>(*reply).result.take();
}

template <class T, class F, class... Args>
auto call(core* home, pid id, duration timeout, F&& function, Args&&... args) -> call_result<T, F, Args...> {
  using result = call_result<T, F, Args...>;
  if (home == nullptr) throw call_error(call_error::code::noproc, id);
  home->interleave();
  if constexpr (leaf_server<T> && !answers_later<F>) {
    using arguments = typename preparation<T, F, typename parameters<std::decay_t<F>>::type, Args...>::type;
    return std::apply(
        [&](auto&&... each) -> result {
          // A leaf must not call, not even where it would not have to wait this time: transact() tells it so.
          const bool may_call = current_process == nullptr || !current_process->is_leaf.load(std::memory_order_relaxed);
          {
            const crossing there(id);
            if (auto* const p = may_call && there.is_open() ? home->claim_leaf(id) : nullptr) {
              return call_inline<T, result>(*home, *p, std::forward<F>(function), each.for_now()...);
            }
          }
          return call_later<T, result>(*home, id, timeout, std::forward<F>(function), each.for_later()...);
        },
        arguments(std::forward<Args>(args)...));
  } else {
    return call_later<T, result>(*home, id, timeout, std::forward<F>(function), std::forward<Args>(args)...);
  }
}

template <class T, class F, class... Args>
auto send_request(core* home, pid id, F&& function, Args&&... args) -> pending<call_result<T, F, Args...>> {
  auto& self = this_process();
  if (home == nullptr) throw call_error(call_error::code::noproc, id);
  if (self.id() == id) throw call_error(call_error::code::calling_self, id);
  auto what = make_request<T>(std::forward<F>(function), std::forward<Args>(args)...);
  const auto number = self.home->expect_reply(self, *what);
  pending<call_result<T, F, Args...>> result(self.id(), number, id);
  home->send_request(id, std::move(what));
  return result;
}

/// What was cast could not be done for want of a resource, and there is no caller to tell.
void report_dropped_cast(const std::exception_ptr& why) noexcept;

template <class T, class F>
class cast_of final : public action {
 public:
  explicit cast_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(typename F::function_type); }
  void run(void* state) override {
    using function = owed<typename F::function_type>;
    const auto lacking = shortage_if_outlived<T>([&] {
      if constexpr (function::later) {
        using answer = typename function::type;
        function_(*static_cast<T*>(state),
                  from<answer>(std::unique_ptr<request_for<answer>>()));  // none waits for it
      } else {
        function_(*static_cast<T*>(state));
      }
    });
    if (lacking) report_dropped_cast(lacking);
  }

 private:
  F function_;
};

template <class T, class F, class... Args>
message_ptr make_cast(F&& function, Args&&... args) {
  auto later = keep<T>(std::forward<F>(function), std::forward<Args>(args)...);
  return std::make_unique<cast_of<T, decltype(later)>>(std::move(later));
}

/// By a handle, from wherever.
inline void send_across(core& home, pid to, message_ptr what) {
  if (crossing::comes_from_elsewhere(to)) [[unlikely]]
    return home.send_from_elsewhere(to, std::move(what));
  home.send(to, std::move(what));
}

void stop(core* home, pid id, const exit_reason& reason, duration timeout);

}  // namespace kv::detail
