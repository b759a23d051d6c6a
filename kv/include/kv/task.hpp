// Work in processes of their own, whose results somebody waits for.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <kv/process.hpp>

namespace kv {

/// A process that computes an `R` for the process that started it: a pending request, whose get() waits for the result
/// (Elixir's `Task.await/2`) and throws call_error with the reason when the process ends without one. When the handle is
/// destroyed, the process is killed unless it has ended; so it never outlives its caller, whatever ends him. Mirrors
/// `Task`.
template <class R>
class task : public pending<R> {
 public:
  /// `kill` ends the process.
  task(pending<R> result, pid who, std::unique_ptr<detail::signal> kill) noexcept : pending<R>(std::move(result)) {
    this->set_worker(who, std::move(kill));
  }
  task(task&&) noexcept = default;
  task& operator=(task&&) noexcept = default;
  ~task() { cancel(); }

  /// Returns the process that does the work.
  pid id() const noexcept { return this->callee(); }
  operator pid() const noexcept { return id(); }
  /// Kills the process; get() then throws call_error, unless the result was there already. Mirrors `Task.shutdown/2` with
  /// `:brutal_kill`.
  void cancel() noexcept { pending<R>::cancel(id()); }
};

namespace detail {

template <class F>
auto start_task(F function, bool link) {
  using result = std::decay_t<std::invoke_result_t<F&>>;
  auto& self = this_process();
  auto call = std::make_unique<open_request<result>>();
  pending<result> answer(self.id(), self.home->expect_reply(self, *call), {});
  // Whoever holds what is owed answers it, even by its death.
  auto work = [function = std::move(function), owed = from<result>(std::move(call))]() mutable {
    if constexpr (std::is_void_v<result>) {
      function();
      owed.reply();
    } else {
      owed.reply(function());
    }
  };
  auto kill = std::make_unique<exit_notice>(signal::op::exit, self.id(), exit_reason::kill);
  const auto who = spawn_function(*self.home, {.link = link, .name = {}}, std::move(work));
  return task<result>(std::move(answer), who, std::move(kill));
}

}  // namespace detail

/// Starts a function in a process that is linked to the caller: an exception of it ends the caller, too, unless he traps
/// exits. Mirrors `Task.async/1`.
template <std::invocable F>
auto async(F function) {
  return detail::start_task(std::move(function), true);
}
/// The same without the link: the caller learns of the failure by get() alone. Mirrors `Task.Supervisor.async_nolink/2`.
template <std::invocable F>
auto async_nolink(F function) {
  return detail::start_task(std::move(function), false);
}

/// How async_stream() works.
struct stream_options {
  /// How many processes work at a time; at least 1. One for each core by default.
  std::size_t max_concurrency = std::max(1U, std::thread::hardware_concurrency());
  /// How long each element may take from its start, before its process is killed.
  std::chrono::nanoseconds timeout = default_timeout;
};

/// What became of one element.
template <class R>
class outcome {
 public:
  outcome(R value) : what_(std::move(value)) {}
  outcome(call_error why) : what_(std::move(why)) {}

  bool has_value() const noexcept { return what_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  /// Returns the result. Throws the call_error when there is none.
  const R& value() const {
    if (!has_value()) throw error();
    return std::get<0>(what_);
  }
  /// Returns why there is none: the reason of its process, or timeout. Throws std::bad_variant_access when there is one.
  const call_error& error() const { return std::get<1>(what_); }

 private:
  std::variant<R, call_error> what_;
};

namespace detail {

/// Results of tasks, in the order of their starts.
template <class R>
class task_stream {
 public:
  template <class F>
  void start(F function, const stream_options& options) {
    running_.push_back({start_task(std::move(function), false), results_.size(), kv::now() + options.timeout});
    results_.emplace_back();
  }
  std::size_t running() const noexcept { return running_.size(); }

  /// Waits until one more is through.
  void finish_one() {
    std::vector<std::uint64_t> numbers;
    for (const auto& each : running_) numbers.push_back(each.work.number());
    // Started in this order with the same time to go, so the first is the next to be late.
    const auto left = std::max(running_.front().deadline - kv::now(), duration{0});
    const auto ready = wait_for_any(numbers, left).value_or(0);
    auto& through = running_[ready];
    results_[through.index].emplace(outcome_of(through.work));
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(ready));
  }

  std::vector<outcome<R>> results() && {
    std::vector<outcome<R>> all;
    for (auto& each : results_) all.push_back(std::move(*each));
    return all;
  }

 private:
  struct element {
    task<R> work;
    std::size_t index;
    time_point deadline;
  };

  static outcome<R> outcome_of(task<R>& work) {
    try {
      return work.get(duration{0});
    } catch (const call_error& e) {
      return e;
    }
  }

  std::deque<element> running_;
  std::vector<std::optional<outcome<R>>> results_;
};

}  // namespace detail

/// Calls `function(element)` for each element of a range, in a process for each, at most `max_concurrency` at a time, and
/// returns what became of each, in their order. An element that fails or takes too long spoils no other; all are killed
/// when the caller ends meanwhile. Elements are copied. Blocks the calling process. Throws std::invalid_argument when
/// max_concurrency is 0. Mirrors `Task.Supervisor.async_stream_nolink/4`.
template <std::ranges::input_range Range, class F>
auto async_stream(Range&& elements, F function, const stream_options& options = {}) {
  using element = std::ranges::range_value_t<Range>;
  using result = std::decay_t<std::invoke_result_t<F&, element&>>;
  static_assert(!std::is_void_v<result>, "async_stream: the function must return something for each element");
  if (options.max_concurrency == 0) throw std::invalid_argument("stream_options::max_concurrency is 0; at least 1");
  detail::task_stream<result> stream;
  for (auto&& each : elements) {
    if (stream.running() == options.max_concurrency) stream.finish_one();
    stream.start([function, element_copy = element(each)]() mutable { return function(element_copy); }, options);
  }
  while (stream.running() > 0) stream.finish_one();
  return std::move(stream).results();
}

}  // namespace kv
