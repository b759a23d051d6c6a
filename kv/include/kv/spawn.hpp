// How a process is born.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>

#include <kv/detail/call.hpp>
#include <kv/detail/class_name.hpp>
#include <kv/detail/core.hpp>
#include <kv/ref.hpp>

namespace kv {

/// The messages that a server takes from senders who know only its pid:
/// `using messages = kv::message_types<kv::created, kv::exited>;`. The runtime's own need not be listed.
template <class... M>
struct message_types {};

namespace detail {

template <class T, class M>
concept handles = requires(T& state, const M& message) { state.handle(message); };

template <class T, class M>
bool hand_over(T& state, letter& message) {
  if constexpr (handles<T, M>) {
    if (const auto* const body = message.as<M>()) {
      state.handle(*body);
      return true;
    }
  }
  return false;
}

template <class T, class... M>
bool hand_over_any(T& state, letter& message, message_types<M...>) {
  static_assert((handles<T, M> && ...), "a class lists a message that it has no handle(const M&) for");
  return (hand_over<T, M>(state, message) || ...);
}

/// Reports what the destructor of the current process's state has thrown. To be called in a catch block.
void report_thrown_at_end(const std::type_info& type) noexcept;

/// A server that many depend on says `static constexpr bool reserved_stack = true`, and so do the classes derived from
/// it: where the processes have used up the stacks, it goes on with the reserve, and with it those that it starts.
template <class T>
concept on_reserve = requires { requires T::reserved_stack; };

/// The state of a server, from its construction inside the process to its end.
template <class T>
class server final : public behaviour {
 public:
  server() noexcept {}
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() noexcept override {
    if (!is_there_) return;
    try {
      std::destroy_at(&state_);
    } catch (...) {
      report_thrown_at_end(typeid(T));
    }
  }

  template <class... Args>
  void construct(Args&&... args) {
    std::construct_at(&state_, std::forward<Args>(args)...);
    is_there_ = true;
  }
  void* state() noexcept override { return is_there_ ? &state_ : nullptr; }
  const std::type_info& type() const noexcept override { return typeid(T); }
  std::string_view class_name() const noexcept override { return name_of_class<T>(); }
  bool handle(letter& message) override {
    if constexpr (requires { typename T::messages; }) {
      if (hand_over_any(state_, message, typename T::messages{})) return true;
    }
    return hand_over<T, down>(state_, message) || hand_over<T, exit_signal>(state_, message) ||
           hand_over<T, idle>(state_, message);
  }
  bool has_last_words() const noexcept override {
    return requires(T& state, const exit_reason& reason) { state.on_exit(reason); };
  }
  void on_exit(const exit_reason& reason) override {
    if constexpr (requires(T& state) { state.on_exit(reason); }) state_.on_exit(reason);
  }

 private:
  union {
    T state_;
  };
  bool is_there_ = false;
};

/// A process that is a function: it takes its messages with receive().
template <class F>
class script final : public behaviour {
 public:
  void* state() noexcept override { return nullptr; }
  const std::type_info& type() const noexcept override { return typeid(F); }
  std::string_view class_name() const noexcept override { return name_of_class<F>(); }
  bool handle(letter&) override { return false; }
};

struct spawn_options {
  bool link = false;
  monitor_ref* monitor = nullptr;  // where the reference goes, if the caller monitors it
  std::string name;
};

template <class T, class... Args>
ref<T> spawn_server(core& home, spawn_options options, Args&&... args) {
  // Whatever may fail for want of memory comes before the process is there.
  birth as{std::make_unique<server<T>>(), leaf_server<T>, options.link, options.monitor,
           std::move(options.name),       on_reserve<T>};
  if constexpr (leaf_server<T>) {
    auto& p = home.create(std::move(as));
    const ref<T> result(home, p.id());
    auto construct = [&](void* body) { static_cast<server<T>*>(body)->construct(std::forward<Args>(args)...); };
    action_of<decltype(construct)> start(construct);
    home.start_inline(p, start);
    return result;
  } else {
    // Copies, because a caller that is killed while it waits takes its arguments along.
    auto construct = keep<server<T>>([](server<T>& body, auto&&... each) { body.construct(std::move(each)...); },
                                     std::forward<Args>(args)...);
    auto start = std::make_unique<request_of<server<T>, void, decltype(construct)>>(std::move(construct));
    auto& p = home.create(std::move(as));
    const ref<T> result(home, p.id());
    home.start_elsewhere(p, std::move(start));
    return result;
  }
}

/// The one action of such a process: runs the function and ends the process.
template <class F>
class whole_life final : public action {
 public:
  explicit whole_life(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(F); }
  void run(void*) override {
    function_();
    auto& self = *current_process;
    self.home->check_signals(self);  // whoever was told to end before it was through has not ended by itself
    self.end_with(exit_reason::normal);
  }

 private:
  F function_;
};

template <class F>
pid spawn_on_thread(core& home, F function) {
  auto life = std::make_unique<whole_life<F>>(std::move(function));
  auto& p = home.create({.body = std::make_unique<script<F>>()});
  const auto result = p.id();
  home.start_on_thread(p, std::move(life));
  return result;
}

template <class F>
pid spawn_function(core& home, const spawn_options& options, F function) {
  auto life = std::make_unique<whole_life<F>>(std::move(function));
  auto& p = home.create(
      {.body = std::make_unique<script<F>>(), .link = options.link, .monitor = options.monitor, .name = options.name});
  const auto result = p.id();
  home.start_detached(p, std::move(life), executor::urgency::soon);
  return result;
}

}  // namespace detail
}  // namespace kv
