// The process in which a handler of events runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <kv/detail/event_manager.hpp>
#include <kv/detail/failure_of.hpp>
#include <kv/events.hpp>
#include <kv/messages.hpp>
#include <kv/report.hpp>

namespace kv::detail {

/// An event for a handler's process. With a ticket, the manager waits to hear that it was handled, for which it brings the
/// message along.
struct delivery {
  event_body event;
  pid manager;
  std::uint64_t ticket = 0;
  std::unique_ptr<letter_of<handled>> answer = nullptr;
};

/// The handler has removed itself, and ends when it returns.
struct retire {};

/// The table of the subscriptions had no owner, and is looked at again.
struct look_for_owner {};

/// Why a handler was removed. May throw std::bad_alloc, and then nothing is known but that it was.
using reason_maker = std::function<std::string()>;

/// Tells of a removal that the owner did not ask for. Made before, so that nothing is lost for want of memory then.
class removal_notice {
 public:
  removal_notice() = default;
  removal_notice(std::uint64_t id, const subscription& what, const std::string& manager);
  /// Reports it, and tells the owner if its mailbox has room.
  void give(const reason_maker& why) noexcept;

 private:
  handler_report report_;
  pid owner_;
  std::unique_ptr<letter_of<handler_removed>> letter_;
};

/// The function that is a handler's process: one event at a time. It ends with the table that says that it should be
/// there, by its own fault, or when it is told to.
class event_runner {
 public:
  event_runner(std::uint64_t id, subscription what, subscriptions rows, std::string manager, pid starter)
      : id_(id), what_(std::move(what)), rows_(std::move(rows)), manager_(std::move(manager)), starter_(starter) {}
  void operator()();

 private:
  void serve();
  bool has_row() const;
  bool is_wanted() const;
  void hear(delivery& d);
  void lost(const down& news);
  void watch_table();
  void end();

  std::uint64_t id_;
  subscription what_;
  subscriptions rows_;
  std::string manager_;
  pid starter_;
  monitor_ref table_watch_ = {};
  monitor_ref starter_watch_ = {};
  bool goes_on_ = true;
  std::exception_ptr failure_;
};

/// Tells whether there is a table, also one that waits for its owner.
bool is_there(const subscriptions& rows);

/// Tells whether that process is a handler's: rows are public, and may name any.
bool is_runner(const core& home, pid who) noexcept;

/// What a client gave, on its way to be destroyed.
struct dropped {
  std::shared_ptr<listener> what;

  dropped() = default;
  dropped(dropped&&) = default;
  dropped& operator=(dropped&&) = delete;
  ~dropped() {
    if (what) what->drop();
  }
};
using way_out = std::unique_ptr<letter_of<dropped>>;

/// Destroys what a client gave, in a process of its own, so that nothing waits for that. Where there can be none, the
/// disposer does it, for which `how` is made in time.
void let_go(std::shared_ptr<listener> what, way_out how = nullptr) noexcept;

std::string to_text(std::exception_ptr failure);

}  // namespace kv::detail
