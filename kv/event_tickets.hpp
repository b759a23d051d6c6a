// Who waits for an event to have been handled, and for how long one handler may keep them waiting.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include <kv/detail/event_manager.hpp>
#include <kv/detail/process.hpp>
#include <kv/events.hpp>

namespace kv::detail {

/// Who has published an event and wants to know when it was handled.
class publisher {
 public:
  explicit publisher(from<void> caller) : caller_(std::move(caller)) {}
  publisher(pid who, receipt_letter receipt) : who_(who), receipt_(std::move(receipt)) {}

  /// Tells that everybody had it; or, with a failure, that somebody had not.
  void answer(const std::exception_ptr& failure) noexcept;

 private:
  std::optional<from<void>> caller_;
  pid who_;
  receipt_letter receipt_;
};

/// What a handler still owes. A handler answers in the order in which it was told, so a line is enough.
struct debts {
  std::deque<std::uint64_t> tickets;
  time_point since{};      // when it began to owe; it owed nothing before
  bool has_entry = false;  // in the queue of deadlines
};

/// The tickets of the events under way. Each is counted down by the handlers that owe it.
class event_tickets {
 public:
  /// Returns its number. It is kept open until seal(), because handlers are told one by one.
  std::uint64_t open(publisher& whose);
  /// That handler will answer, too. Throws std::bad_alloc, and then nothing has changed.
  void owe(debts& whose, std::uint64_t ticket, time_point now);
  /// The last debt of a handler could not be told to it.
  void take_back(debts& whose);
  /// Not everybody had that event.
  void fail(std::uint64_t ticket, const std::exception_ptr& why) noexcept;
  /// Everybody was told.
  void seal(std::uint64_t ticket) noexcept { count_down(ticket); }
  /// That handler is through with its oldest debt, if it is that one.
  void pay(debts& whose, std::uint64_t ticket) noexcept;
  /// It will not answer any more; with a reason, because it has not heard what it owes. O(what it owes).
  void forgive(debts& whose, const std::exception_ptr& why = nullptr) noexcept;

 private:
  struct open_ticket {
    explicit open_ticket(publisher&& p) : whose(std::move(p)) {}

    publisher whose;
    std::size_t left = 1;  // handlers that have not answered yet, and one until it is sealed
    std::exception_ptr failure = {};
  };

  void count_down(std::uint64_t number) noexcept;

  std::map<std::uint64_t, open_ticket> tickets_;
  std::uint64_t last_ = 0;
};

/// When to look next at which handler. An entry is looked at when it is due and moved on then, so a handler costs
/// O(log handlers) once in a deadline, and nothing while nobody waits for it.
class event_deadlines {
 public:
  struct entry {
    time_point due;
    std::uint64_t handler;
    friend auto operator<=>(const entry&, const entry&) = default;
  };
  void add(entry e) { queue_.push(e); }
  bool empty() const noexcept { return queue_.empty(); }
  time_point next() const noexcept { return queue_.empty() ? time_point::max() : queue_.top().due; }
  /// Returns the next one that is due.
  std::optional<std::uint64_t> take_due(time_point now) {
    if (queue_.empty() || queue_.top().due > now) return std::nullopt;
    const auto result = queue_.top().handler;
    queue_.pop();
    return result;
  }

 private:
  std::priority_queue<entry, std::vector<entry>, std::greater<>> queue_;
};

}  // namespace kv::detail
