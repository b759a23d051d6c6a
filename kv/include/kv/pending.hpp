// Requests whose answers are looked for later.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include <kv/from.hpp>

namespace kv {

/// How long a call waits when nothing else is said. As gen_server's.
inline constexpr std::chrono::nanoseconds default_timeout = std::chrono::seconds(5);

/// A wait without end.
inline constexpr std::chrono::nanoseconds infinity = detail::infinity;

namespace detail {

/// The part of a pending request that does not depend on its answer.
class pending_base {
 public:
  pending_base(pid owner, std::uint64_t number, pid callee) noexcept
      : owner_(owner), number_(number), callee_(callee) {}
  pending_base(pending_base&& other) noexcept;
  pending_base& operator=(pending_base&& other) noexcept;
  ~pending_base();

  /// Returns whom it was sent to.
  pid callee() const noexcept { return callee_; }
  /// Tells whether the answer is there, so that get() would not wait. Never blocks.
  bool ready() const;
  /// For wait_any().
  std::uint64_t number() const;

 protected:
  std::unique_ptr<request> take(std::chrono::nanoseconds timeout);
  /// It works for the owner alone: `kill`, made in time, is what it is sent when nobody waits for it any more.
  void set_worker(pid who, std::unique_ptr<signal> kill) noexcept {
    callee_ = who;
    kill_ = std::move(kill);
  }
  /// Kills the process that works on the answer, unless it has ended; the owner hears nothing of it.
  void cancel(pid worker) noexcept;

 private:
  bool is_owner() const noexcept;

  pid owner_;  // nobody once it was moved from
  std::uint64_t number_;
  pid callee_;
  std::unique_ptr<signal> kill_;
};

std::optional<std::size_t> wait_for_any(const std::vector<std::uint64_t>& requests, duration timeout);

}  // namespace detail

/// A request that is under way, made by ref::send_request. It belongs to the process that made it: only that one can
/// wait for the answer. Once it is destroyed, an answer that comes is dropped. It may be destroyed anywhere, also when the
/// runtime has ended. Mirrors the request id of
/// `gen_server:send_request/2`.
template <class R>
class pending : public detail::pending_base {
 public:
  using pending_base::pending_base;

  /// Waits for the answer and returns it, once. Throws call_error: `timeout` when it has not come in time, and then the
  /// request is still under way and can be waited for again; else as ref::call does. Throws std::logic_error in another
  /// process than the one that made it, and the second time. Mirrors `gen_server:wait_response/2`.
  R get(std::chrono::nanoseconds timeout = default_timeout) {
    return static_cast<detail::request_for<R>&>(*take(timeout)).result.take();
  }
};

/// Waits until one of these requests is answered, whatever the answer; returns which, by its place among them, the first
/// if there are several. Nothing when none is in time, or there are none. Throws std::logic_error like pending::get.
/// O(requests). Mirrors `gen_server:wait_response/3` with a collection of request ids.
template <std::ranges::input_range Requests>
[[nodiscard]] std::optional<std::size_t> wait_any(const Requests& requests,
                                                  std::chrono::nanoseconds timeout = default_timeout) {
  std::vector<std::uint64_t> numbers;
  for (const auto& each : requests) numbers.push_back(each.number());
  return detail::wait_for_any(numbers, timeout);
}

}  // namespace kv
