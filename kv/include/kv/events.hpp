// Events: who wants to know is told, and cannot hold up who tells.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <kv/detail/event_manager.hpp>
#include <kv/process.hpp>
#include <kv/runtime.hpp>

namespace kv {

/// Names one subscription of one event manager. In another manager, or in another runtime's, it names nothing.
struct handler_id {
  std::uint64_t value = 0;
  friend auto operator<=>(const handler_id&, const handler_id&) = default;
};

/// Sent to the owner of a monitored handler that was removed against his will: it threw, or took too long. And to the
/// receiver of a forward whose filter threw.
struct handler_removed {
  handler_id id;
  std::string why;
};

/// How an event manager is started.
struct event_manager_options {
  /// How long sync_notify waits for a handler before it detaches it.
  std::chrono::nanoseconds handler_deadline = std::chrono::seconds(1);
  /// Registered name of a process that is sent `event_manager_started` whenever the manager starts. Empty: nobody.
  std::string greet = {};
};

/// Greets whoever waits for an event manager to come back.
struct event_manager_started {
  pid manager;
};

/// A way to an event manager: publishes events of the types `E…` and subscribes to them. A small value, to be copied
/// freely. The manager is found by its registered name at every use, so the same value works again once a supervisor
/// has restarted it; until then it is call_error{noproc}.
///
/// Every handler runs in a process with a thread of its own, one event at a time and in order. So a handler may block
/// in any way, throw or hang, and hold up neither the manager nor the others: one that throws is removed and reported,
/// and one that lets sync_notify wait longer than the deadline is detached and reported. Where that is too dear, because
/// every event wakes a thread, forward_to() costs no more than a message. Subscriptions are rows of a table that somebody
/// else owns and survive the manager. Mirrors GenEvent.
///
/// Every function may be called from any thread and from processes that are no leaves.
template <class... E>
class events {
  using any_event = std::variant<E...>;

 public:
  events(runtime& home, std::string manager) : home_(&home), manager_(std::move(manager)) {}

  /// Tells every handler, some time. Returns at once; never blocks; nothing happens when the manager is down.
  template <class Event>
    requires(std::is_same_v<Event, E> || ...)
  void notify(Event event) const {
    if (const auto found = manager()) found->cast(&server::notify, wrap(std::move(event)));
  }
  /// Tells every handler and returns when all of them are through with it, or detached. Throws call_error when there
  /// is no manager, or when it ends meanwhile: then some may have been told.
  template <class Event>
    requires(std::is_same_v<Event, E> || ...)
  void sync_notify(Event event) const {
    must_find().call_for(infinity, &server::sync_notify, wrap(std::move(event)));
  }

  /// Calls `handler(const Event&)` for every event that it can be called with, in a process of its own. A handler must
  /// not wait for whoever publishes with sync_notify, who waits for it: it would sit out the deadline and be detached.
  template <class Handler>
  handler_id add_handler(Handler handler) const {
    return add({.run = adapt(std::move(handler)), .label = detail::type_name(typeid(Handler))});
  }
  /// The same, until the calling process ends, which must be one of the manager's runtime: else throws
  /// std::invalid_argument. If the handler is removed for another reason, the caller is sent
  /// handler_removed. Mirrors `GenEvent.add_mon_handler/3`.
  template <class Handler>
  handler_id add_monitored_handler(Handler handler) const {
    return add({.run = adapt(std::move(handler)), .owner = self(), .label = detail::type_name(typeid(Handler))});
  }
  /// Sends every event to a process as a message, until that process ends. Throws std::invalid_argument when it is one of
  /// another runtime that lives.
  handler_id forward_to(pid receiver) const {
    return forward_to(receiver, [](const auto&) { return true; });
  }
  /// The same with those events only of which `wanted(const Event&)` is true; none of a type that it does not take. It
  /// runs in the manager, between all events: it must be quick and not block. One that throws is removed and reported.
  template <class Filter>
  handler_id forward_to(pid receiver, Filter wanted) const {
    static_assert((std::is_invocable_r_v<bool, const Filter&, const E&> || ...), "the filter takes none of the events");
    auto* const core = &home_->core();
    auto send_on = [core, receiver, wanted = std::move(wanted)](const detail::event_body& event) {
      std::visit(
          [&]<class Event>(const Event& e) {
            if constexpr (std::is_invocable_r_v<bool, const Filter&, const Event&>) {
              if (wanted(e)) core->deliver(receiver, std::make_unique<detail::letter_of<Event>>(e));
            }
          },
          event.as<any_event>());
    };
    return add(
        {.run = std::move(send_on), .owner = receiver, .forwards = true, .label = "forward to " + to_string(receiver)});
  }
  /// Removes a handler; tells whether it was there. Once this has returned the handler is never called again, nor is
  /// it running, unless it was called from the handler itself or the handler hangs.
  bool remove(handler_id id) const {
    const auto found = must_find();
    if (id != name_of(id.value & detail::counted_up)) return false;  // another manager's
    return found.call_for(infinity, &server::remove, id.value & detail::counted_up, self_if_any().value_or(pid{}));
  }
  /// Returns how many handlers there are.
  std::size_t count() const { return must_find().call(&server::count); }
  /// Returns the manager's pid, if it is alive.
  std::optional<pid> manager_pid() const { return home_->whereis(manager_); }

 private:
  using server = detail::event_manager;

  template <class Event>
  static detail::event_body wrap(Event event) {
    return detail::event_body::of(any_event(std::move(event)));
  }
  template <class Handler>
  static std::function<void(const detail::event_body&)> adapt(Handler handler) {
    static_assert((std::is_invocable_v<Handler&, const E&> || ...), "the handler takes none of the events");
    return [handler = std::move(handler)](const detail::event_body& event) mutable {
      std::visit(
          [&]<class Event>(const Event& e) {
            if constexpr (std::is_invocable_v<Handler&, const Event&>) handler(e);
          },
          event.as<any_event>());
    };
  }
  std::optional<ref<server>> manager() const { return home_->whereis<server>(manager_); }
  ref<server> must_find() const {
    if (const auto found = manager()) return *found;
    throw call_error(manager_);
  }
  handler_id name_of(std::uint64_t number) const {
    return {detail::handler_number(home_->core().node(), manager_, number)};
  }
  handler_id add(detail::subscription what) const {
    detail::check_same_runtime(home_->core(), what.owner, "told of the events");
    return name_of(must_find().call(&server::add, std::move(what)));
  }

  runtime* home_;
  std::string manager_;
};

}  // namespace kv
