// Messages that will be sent.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index_container.hpp>

#include <kv/detail/process.hpp>
#include <kv/detail/timer.hpp>

namespace kv::detail {

/// The timers of one runtime, by time. A timer is in the queue until its message is taken out to be sent, so a cancel
/// that finds it keeps the message from ever being sent. Any thread; locks nothing else. Adding, taking and cancelling
/// are O(log timers).
class timer_queue {
 public:
  /// What a timer sends. Without a message it is the runtime's own: it has a look at the process.
  struct mail {
    pid to;
    message_ptr what;
  };

  /// Returns the timer's number, and whether it is the next one.
  std::pair<std::uint64_t, bool> add(time_point due, pid to, timed_message what);
  /// Removes a timer; returns when it was due, nothing when it is gone.
  std::optional<time_point> cancel(std::uint64_t number);
  std::optional<time_point> find(std::uint64_t number) const;
  /// Sets when a timer is due next, if it is still there.
  void move(std::uint64_t number, time_point due) noexcept;
  /// Removes the timers of a process. What they would have sent is destroyed by the caller.
  void forget(pid who) noexcept;

  /// Takes the mail of the first timer that is due; nothing when none is. One that repeats stays, for the next time that
  /// lies in the future: who was late does not send a burst. Without memory for what it sends then, that time is left out.
  std::optional<mail> take_due(time_point now) noexcept;
  /// Returns when the next one is due; time_point::max() for never.
  time_point next() const;

 private:
  struct timer {
    time_point due;
    std::uint64_t number;
    pid to;
    mutable timed_message what;  // no key
  };
  struct by_time {};
  struct by_number {};
  struct by_receiver {};
  using index = boost::multi_index_container<
      timer,
      boost::multi_index::indexed_by<
          boost::multi_index::ordered_non_unique<boost::multi_index::tag<by_time>,
                                                 boost::multi_index::member<timer, time_point, &timer::due>>,
          boost::multi_index::hashed_unique<boost::multi_index::tag<by_number>,
                                            boost::multi_index::member<timer, std::uint64_t, &timer::number>>,
          boost::multi_index::hashed_non_unique<boost::multi_index::tag<by_receiver>,
                                                boost::multi_index::member<timer, pid, &timer::to>, std::hash<pid>>>>;

  static void prepare(timed_message& what, message_ptr& due) noexcept;

  mutable std::mutex mutex_;
  index timers_;                   // under mutex_
  std::uint64_t last_number_ = 0;  // the same
};

}  // namespace kv::detail
