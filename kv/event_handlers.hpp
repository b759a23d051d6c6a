// The handlers of an event manager: how they come, hear and go.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kv/detail/event_manager.hpp>
#include <kv/detail/retry_timer.hpp>
#include <kv/detail/shortage.hpp>
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
  bool has_table() const { return is_there(rows_); }

 private:
  // Rows for which there was no thread or memory, and whether events have to wait for them: not for want of a thread, which
  // may last, and of which a forward needs none.
  using waiting_rows = std::map<std::uint64_t, bool>;

  struct attached {
    std::shared_ptr<listener> what;
    std::string label;
    pid runner;         // none for a forward
    monitor_ref watch;  // of the runner, or of the receiver of a forward
    monitor_ref owner_watch;
    std::unique_ptr<debts> owed;       // null for a forward
    std::unique_ptr<exit_notice> end;  // for the runner; made in time, as the next
    removal_notice farewell;           // for the owner
    way_out to_be_dropped;             // for `what`
    waiting_rows::node_type if_lost;   // should its process end for want of a resource
    std::exception_ptr failure;        // of the filter, at this event
  };
  using handler_map = std::map<std::uint64_t, attached>;  // in the order in which they are told

  /// A handler that is none any more, and whose process has not ended yet.
  struct leaving {
    std::shared_ptr<listener> what;
    pid runner;
    way_out to_be_dropped;
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
  void prepare_end(std::uint64_t id, attached& entry, const subscription& what);
  std::exception_ptr attach_or_set_aside(std::uint64_t id, subscription& what);
  monitor_ref watch(pid whom, std::uint64_t id, role what);
  void unwatch(monitor_ref ref);
  void undo(handler_map::iterator which, pid started);
  void leave(handler_map::iterator which, parting how);
  void attach_later(handler_map::iterator which, const exit_reason& why);
  leaving_map::iterator is_leaving(std::uint64_t id, attached& entry, bool hangs);
  void set_aside(std::uint64_t id, parting how, const reason_maker& why);
  void detach_failed() noexcept;
  void has_left(leaving_map::iterator which);
  timer_ref limit_of(std::uint64_t id);
  void join(leaving_map::iterator which, from<bool>& caller, bool answer);
  bool erase_row(std::uint64_t id);

  void tell(const delivery& d) noexcept;
  void hand_over(std::uint64_t id, attached& entry, const delivery& d);
  static void forward(attached& entry, const delivery& d, event_guest& guest);
  void missed(const attached& entry, const delivery& d, const std::exception_ptr& why) noexcept;
  void pass_on(std::uint64_t id, attached& entry, const delivery& d, event_guest& guest) noexcept;
  void arm() noexcept;

  core& home_;
  std::string name_;
  subscriptions rows_;
  duration deadline_;
  handler_map handlers_;
  leaving_map leaving_;
  std::unordered_map<std::uint64_t, watched> watches_;  // by monitor
  waiting_rows unattached_;
  retry_timer attaching_;
  std::uint64_t last_id_ = 0;

  event_tickets tickets_;
  event_deadlines deadlines_;
  retry_timer alarm_;  // looks at the deadlines
  time_point now_{};   // of the event that is told
};

}  // namespace kv::detail
