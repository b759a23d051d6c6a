// The handlers of an event manager: how they come, hear and go.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/signals2/signal.hpp>

#include <kv/detail/event_manager.hpp>
#include <kv/timer.hpp>

#include "event_guest.hpp"
#include "event_runner.hpp"
#include "event_tickets.hpp"

namespace kv::detail {

class event_handlers {
 public:
  event_handlers(std::string name, subscriptions rows, duration deadline);

  /// Attaches what the rows name, in the order of old.
  void attach_rows();
  /// Tries it again with those that could not be.
  void attach_again();
  /// Throws what keeps it from being attached, and then there is no row.
  std::uint64_t add(subscription what);
  /// Answers when it does not run any more. Throws, and then nothing has changed and the caller is to be told.
  void remove(from<bool>& caller, std::uint64_t id);
  void stop_awaiting(std::uint64_t id);
  bool lacks_handlers();
  std::size_t size() const noexcept { return handlers_.size() + unattached_.size(); }

  void notify(const event_body& event);
  /// Throws before any handler was told; `whose` is the caller's then.
  void notify(const event_body& event, publisher& whose);
  void is_through(const handled& news);
  void check_deadlines();
  /// False when that was no monitor of these.
  bool lost(const down& news);
  bool has_table() const { return static_cast<bool>(rows_.owner()); }

 private:
  using slot = void(const delivery&);

  struct attached {
    boost::signals2::scoped_connection connection;
    std::shared_ptr<listener> what;
    std::string label;
    pid runner;         // nobody for a forward
    monitor_ref watch;  // of the runner, or of the receiver of a forward
    monitor_ref owner_watch;
    std::unique_ptr<debts> owed;  // null for a forward
    std::exception_ptr failure;   // of the filter, at this event
  };
  using handler_map = std::unordered_map<std::uint64_t, attached>;

  /// A handler that is none any more, and whose process has not ended yet.
  struct leaving {
    std::shared_ptr<listener> what;
    pid runner;
    bool hangs = false;
    std::vector<std::pair<from<bool>, bool>> removers = {};  // each with its answer
    timer_ref timer = {};
  };
  using leaving_map = std::unordered_map<std::uint64_t, leaving>;

  enum class parting : std::uint8_t { killed, hanging, retired, dead };
  enum class role : std::uint8_t { worker, owner };
  struct watched {
    std::uint64_t handler;
    role what;
  };

  void attach(std::uint64_t id, subscription& what, bool has_row);
  void tie(std::uint64_t id, attached& entry, const subscription& what);
  void attach_or_keep(std::uint64_t id, subscription& what, bool is_first);
  void attach_later();
  monitor_ref watch(pid whom, std::uint64_t id, role what);
  void unwatch(monitor_ref ref);
  void undo(handler_map::iterator which);
  void leave(handler_map::iterator which, parting how);
  void kill(pid runner);
  void set_aside(std::uint64_t id, const std::string& why, parting how);
  void detach_failed();
  void has_left(leaving_map::iterator which);
  timer_ref limit_of(std::uint64_t id);
  void join(leaving_map::iterator which, from<bool>& caller, bool answer);
  std::optional<subscription> row_of(std::uint64_t id) const;
  bool erase_row(std::uint64_t id);

  void tell(const delivery& d);
  void pass_on(std::uint64_t id, attached& entry, const delivery& d);
  void hand_over(std::uint64_t id, attached& entry, const delivery& d);
  void forward(attached& entry, const delivery& d);
  void missed(const attached& entry, const delivery& d, const std::exception_ptr& why);
  void report(std::string what) const;
  void arm();

  core& home_;
  std::string name_;
  subscriptions rows_;
  duration deadline_;
  boost::signals2::signal<slot> signal_;
  handler_map handlers_;  // after the signal, from which they disconnect
  leaving_map leaving_;
  std::unordered_map<std::uint64_t, watched> watches_;  // by monitor
  // Rows for which there was no thread or memory, and whether events have to wait for them: not for want of a thread, which
  // may last, and of which a forward needs none.
  std::unordered_map<std::uint64_t, bool> unattached_;
  bool is_retrying_ = false;
  std::uint64_t last_id_ = 0;
  std::size_t runners_ = 0;  // handlers with a process of their own

  event_tickets tickets_;
  event_deadlines deadlines_;
  time_point armed_ = time_point::max();  // when the timer goes off that looks at the deadlines
  time_point now_{};                      // of the event that is told
  event_guest* guest_ = nullptr;          // while one is
  bool any_failed_ = false;
};

}  // namespace kv::detail
