// Who is owed an answer.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <kv/detail/core.hpp>
#include <kv/detail/message.hpp>

namespace kv {

namespace detail {

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

/// A request that is answered by an `R`.
template <class R>
class request_for : public request {
 public:
  result_slot<R> result;
};

/// One that nothing has to run for: somebody has it and owes the answer.
template <class R>
class open_request final : public request_for<R> {
 public:
  const std::type_info& type() const noexcept override { return typeid(R); }
  void run(void*) override { this->fail_with(this->no_reply()); }
};

/// Nobody will answer that request.
void give_up(std::unique_ptr<request> what) noexcept;

}  // namespace detail

/// The caller of a function that answers later, from wherever the answer comes to be: the function takes a `from<R>` as
/// its first parameter (after the state, if it is no member), and its caller gets an `R`.
///
///     class printer {
///       std::deque<kv::from<std::string>> waiting_;
///      public:
///       void next_page(kv::from<std::string> caller) { waiting_.push_back(std::move(caller)); }
///       void print(std::string page) { … waiting_.front().reply(page); … }
///     };
///     std::string page = p.call(&printer::next_page);
///
/// It can be moved into a message, into another process and to another thread, also beyond the end of its caller's
/// runtime: then the answer is dropped. One that is destroyed without a reply tells its caller so: by the reason of the
/// process in which that happens, if it happens because it ends, or else by `no reply`. Mirrors the `from` of
/// `GenServer.reply/2`.
template <class R>
class from {
 public:
  explicit from(std::unique_ptr<detail::request_for<R>> call) noexcept : call_(std::move(call)) {}
  from(from&&) noexcept = default;
  from& operator=(from&& other) noexcept {
    std::swap(call_, other.call_);
    return *this;
  }
  ~from() {
    if (call_) detail::give_up(std::move(call_));
  }

  /// Returns who called; a plain thread calls as a process of its own.
  pid caller() const noexcept { return call_ ? call_->caller : pid{}; }
  /// Answers, once; another answer is dropped, and so is one that comes after the caller's deadline. Any thread, never
  /// blocks.
  template <class... Value>
  void reply(Value&&... value) {
    if (!call_) return;
    if constexpr (!std::is_void_v<R>) call_->result.value.emplace(std::forward<Value>(value)...);
    detail::answer(std::move(call_), nullptr);
  }
  /// Tells the caller that there is no answer: his call throws call_error with that reason. The process goes on.
  void refuse(const exit_reason& why) {
    if (!call_) return;
    detail::answer(std::move(call_), &why);
  }

 private:
  std::unique_ptr<detail::request_for<R>> call_;
};

}  // namespace kv
