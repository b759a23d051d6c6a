// The arguments of a call. What the caller hands over is copied and converted by the caller, before the callee has
// anything to do with it: so what a copy or a conversion throws is the caller's exception, and ends no callee.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <kv/from.hpp>

namespace kv::detail {

/// What is kept of an argument until the call runs: a copy, and of text that something else owns, its characters.
template <class Arg>
using kept =
    std::conditional_t<std::is_convertible_v<Arg, std::string_view> && !std::is_same_v<std::decay_t<Arg>, std::string>,
                       std::string, std::decay_t<Arg>>;

// Parameters -------------------------------------------------------------------------------------------------------

template <class... T>
struct types {};

/// The parameters of a function of a server, without those that are no arguments: the state and a `from<R>`.
template <class First, class... Rest>
auto arguments_among(types<First, Rest...>) -> types<First, Rest...>;
template <class R, class... Rest>
auto arguments_among(types<from<R>, Rest...>) -> types<Rest...>;
auto arguments_among(types<>) -> types<>;

template <class C, class R, class... P>
auto parameters_of(R (C::*)(P...)) -> types<P...>;
template <class C, class R, class... P>
auto parameters_of(R (C::*)(P...) const) -> types<P...>;
template <class C, class R, class... P>
auto parameters_of(R (C::*)(P...) &) -> types<P...>;
template <class C, class R, class... P>
auto parameters_of(R (C::*)(P...) const&) -> types<P...>;
template <class State, class R, class... P>
auto parameters_of(R (*)(State, P...)) -> types<P...>;

template <class State, class... P>
auto without_state(types<State, P...>) -> types<P...>;

/// As `types`, if they can be known: not of an overloaded function object or a template.
template <class F>
struct parameters : std::type_identity<void> {};
template <class F>
  requires requires(F f) { parameters_of(f); }
struct parameters<F> : std::type_identity<decltype(arguments_among(parameters_of(std::declval<F>())))> {};
template <class F>
  requires requires { without_state(parameters_of(&F::operator())); }
struct parameters<F> : std::type_identity<decltype(arguments_among(without_state(parameters_of(&F::operator()))))> {};

/// Whether a parameter takes that argument without anything that can throw: by reference, or by a copy or conversion that
/// does not.
template <class P, class Arg>
inline constexpr bool takes_directly = std::is_nothrow_convertible_v<Arg&&, P>;

/// What an argument is made before the call: the parameter's type, if it converts to that.
template <class P, class Arg>
using made_of = std::conditional_t<std::is_convertible_v<Arg&&, P>, std::remove_cvref_t<P>, kept<Arg>>;

template <class T, class Arg>
T convert(Arg&& given) {
  if constexpr (std::is_convertible_v<Arg&&, T>) {
    return std::forward<Arg>(given);
  } else {
    return T(std::forward<Arg>(given));
  }
}

// For a call that runs at once -------------------------------------------------------------------------------------

/// An argument for a parameter of type P. Lives as long as the call's own arguments.
template <class P, class Arg, bool = takes_directly<P, Arg>>
class prepared {
 public:
  explicit prepared(Arg&& given) noexcept : given_(std::forward<Arg>(given)) {}
  Arg&& for_now() noexcept { return std::forward<Arg>(given_); }
  Arg&& for_later() noexcept { return std::forward<Arg>(given_); }

 private:
  Arg&& given_;
};

template <class P, class Arg>
class prepared<P, Arg, false> {
  using made = made_of<P, Arg>;
  // What is trivial to copy owns nothing. It may look into what was given, which a copy for later must not.
  static constexpr bool may_be_view = std::is_trivially_copyable_v<made>;

 public:
  explicit prepared(Arg&& given) : given_(std::forward<Arg>(given)), made_(convert<made>(std::forward<Arg>(given))) {}
  made&& for_now() noexcept { return std::move(made_); }
  std::conditional_t<may_be_view, Arg&&, made&&> for_later() noexcept {
    if constexpr (may_be_view) {
      return std::forward<Arg>(given_);
    } else {
      return std::move(made_);
    }
  }

 private:
  Arg&& given_;
  made made_;
};

/// Where the parameters are not known, a copy for what cannot be copied without a throw; the function takes it as it likes.
template <class T, class F, class... Args>
inline constexpr bool takes_as_given =
    std::is_invocable_v<F, T&, Args...> && (std::is_nothrow_constructible_v<std::decay_t<Args>, Args> && ...);

/// The prepared arguments of a call of F, as a tuple to be used at once.
template <class T, class F, class Parameters, class... Args>
struct preparation {
  using type = std::conditional_t<takes_as_given<T, F, Args...>, std::tuple<prepared<Args&&, Args>...>,
                                  std::tuple<prepared<kept<Args>, Args, false>...>>;
};
template <class T, class F, class... P, class... Args>
  requires(sizeof...(P) == sizeof...(Args))
struct preparation<T, F, types<P...>, Args...> {
  using type = std::tuple<prepared<P, Args>...>;
};

// For a call that runs later ---------------------------------------------------------------------------------------

/// A function with its arguments, for later: called with the state.
template <class T, class F, class... Args>
class kept_call {
 public:
  using function_type = F;  // what reports name

  template <class... Given>
  explicit kept_call(F function, Given&&... args)
      : function_(std::move(function)), args_(std::forward<Given>(args)...) {}

  template <class... First>
  decltype(auto) operator()(T& state, First&&... first) {
    return std::apply(
        [&](Args&... each) -> decltype(auto) {
          return std::invoke(function_, state, std::forward<First>(first)..., std::move(each)...);
        },
        args_);
  }

 private:
  F function_;
  std::tuple<Args...> args_;
};

/// Of an argument that needs no conversion.
struct unconverted {
  template <class Arg>
  explicit unconverted(Arg&&) noexcept {}
};

/// The same for arguments that have to be converted, which the caller does. A result of that may look into what it was made
/// of, so both stay where they are.
template <class T, class F, class Parameters, class... Args>
class converted_call;
template <class T, class F, class... P, class... Args>
class converted_call<T, F, types<P...>, Args...> {
 public:
  using function_type = F;

  template <class... Given>
  explicit converted_call(F function, Given&&... args)
      : function_(std::move(function)), args_(std::make_unique<arguments>(std::forward<Given>(args)...)) {}

  template <class... First>
  decltype(auto) operator()(T& state, First&&... first) {
    return invoke(std::index_sequence_for<Args...>{}, state, std::forward<First>(first)...);
  }

 private:
  template <class Param, class Arg>
  using converted = std::conditional_t<takes_directly<Param, Arg>, unconverted, made_of<Param, Arg>>;

  struct arguments {
    template <class... Given>
    explicit arguments(Given&&... args) : arguments(types<Given...>{}, std::forward<Given>(args)...) {}
    template <class... Given>
    arguments(types<Given...>, Given&&... args)
        : given(std::forward<Given>(args)...),
          made(std::apply(
              [](Args&... each) {
                return std::tuple<converted<P, Args>...>(convert<converted<P, Args>>(std::move(each))...);
              },
              given)) {}

    std::tuple<Args...> given;
    std::tuple<converted<P, Args>...> made;
  };

  template <std::size_t... Place, class... First>
  decltype(auto) invoke(std::index_sequence<Place...>, T& state, First&&... first) {
    return std::invoke(function_, state, std::forward<First>(first)..., argument<Place>()...);
  }
  template <std::size_t Place>
  auto&& argument() noexcept {
    auto& made = std::get<Place>(args_->made);
    if constexpr (std::is_same_v<decltype(made), unconverted&>) {
      return std::move(std::get<Place>(args_->given));
    } else {
      return std::move(made);
    }
  }

  F function_;
  std::unique_ptr<arguments> args_;
};

template <class T, class F, class Parameters, class... Args>
struct call_for_later : std::type_identity<kept_call<T, F, Args...>> {};
template <class T, class F, class... P, class... Args>
  requires(sizeof...(P) == sizeof...(Args) && !(takes_directly<P, Args> && ...))
struct call_for_later<T, F, types<P...>, Args...> : std::type_identity<converted_call<T, F, types<P...>, Args...>> {};

template <class T, class F, class... Args>
auto keep(F&& function, Args&&... args) {
  using function_type = std::decay_t<F>;
  using call = typename call_for_later<T, function_type, typename parameters<function_type>::type, kept<Args>...>::type;
  return call(std::forward<F>(function), std::forward<Args>(args)...);
}

}  // namespace kv::detail
