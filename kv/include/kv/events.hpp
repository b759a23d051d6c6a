// Events: who wants to know is told, and cannot hold up who tells.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
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

/// Sent to the owner of a monitored handler that was removed for another reason than its own wish: it threw, or took too
/// long. And to the receiver of a forward whose filter threw. Dropped when the mailbox is full.
struct handler_removed {
  handler_id id;
  std::string why;
};

/// The answer to events::notify_with_receipt.
struct event_receipt {
  std::uint64_t number = 0;
  bool is_complete = true;  ///< false when there was no memory to tell every handler
};

/// How an event manager is started.
struct event_manager_options {
  /// How long sync_notify waits for a handler to be through with one event before it detaches it. More than 0; infinity
  /// for never.
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
/// in any way, throw or hang, and hold up neither the manager nor the others: one that throws is removed and reported.
/// Where that is too dear, because every event wakes a thread, forward_to() costs no more than a message. Subscriptions
/// are rows of a table that another process owns, and survive the manager. Mirrors GenEvent.
///
/// The deadline: a handler that has neither begun nor ended an event for longer than handler_deadline, while a sync_notify
/// waited for it all that time, is detached and reported, whatever else is published meanwhile. So sync_notify waits at
/// most the deadline for each event that a handler still has before it, its own included. A handler that is only behind is
/// not detached, however many events it has before it. One that hangs while no sync_notify waits is left alone.
///
/// What is given to it (handlers, filters) is moved into place in the calling thread and neither copied nor moved again.
/// It is destroyed in the handler's process or in one of its own; at the end of the table that holds the subscriptions, by
/// the end of that. An event is destroyed where it was used last, so its destructor must not wait.
///
/// Every function may be called from any thread and from processes that are no leaves.
template <class... E>
class events {
  using any_event = std::variant<E...>;

 public:
  events(runtime& home, std::string manager) : home_(&home), manager_(std::move(manager)) {}

  /// Tells every handler, some time. Returns at once; never blocks; nothing happens when the manager is down. A handler
  /// for which there is no memory to tell it misses the event, which is reported.
  template <class Event>
    requires(std::is_same_v<Event, E> || ...)
  void notify(Event event) const {
    if (const auto found = manager()) found->cast(&server::notify, wrap(std::move(event)));
  }
  /// Tells every handler and returns when all of them are through with it, or detached. How many wait in it at a time is
  /// limited by memory, and in processes by runtime_options::max_stacks. Throws call_error when there is no manager; when
  /// it ends meanwhile, or there is no memory to tell all: then some may have been told.
  template <class Event>
    requires(std::is_same_v<Event, E> || ...)
  void sync_notify(Event event) const {
    must_find().call_for(infinity, &server::sync_notify, wrap(std::move(event)));
  }
  /// The same for a server, which does not wait: the calling process is sent event_receipt{number} when all are through.
  /// Returns the manager that was asked, nothing when there is none. If that ends first, no receipt comes.
  template <class Event>
    requires(std::is_same_v<Event, E> || ...)
  std::optional<pid> notify_with_receipt(Event event, std::uint64_t number) const {
    const auto found = manager();
    if (!found) return std::nullopt;
    auto receipt = std::make_unique<detail::letter_of<event_receipt>>(event_receipt{number, true});
    found->cast(&server::notify_with_receipt, wrap(std::move(event)), self(), std::move(receipt));
    return found->id();
  }

  /// Calls `handler(const Event&)` for every event that it can be called with, in a process of its own. A handler must
  /// not wait for a process that publishes with sync_notify, which waits for it: it would sit out the deadline and be
  /// detached. Throws call_error when there is no manager; std::system_error when there is no thread, std::bad_alloc when
  /// there is no memory: then nothing has been added.
  template <class Handler>
  handler_id add_handler(Handler handler) const {
    return add(handler_of(std::move(handler), {}));
  }
  /// The same, until the calling process ends, which must be one of the manager's runtime: else throws
  /// std::invalid_argument. If the handler is removed for another reason, the caller is sent
  /// handler_removed. Mirrors `GenEvent.add_mon_handler/3`.
  template <class Handler>
  handler_id add_monitored_handler(Handler handler) const {
    return add(handler_of(std::move(handler), self()));
  }
  /// Sends every event to a process as a message, until that process ends. One whose mailbox is full misses it, whatever
  /// it wants senders to do. It copies the event when it takes it: if that throws, it misses the event, which is reported.
  /// Throws std::invalid_argument when it is one of another runtime that lives.
  handler_id forward_to(pid receiver) const { return add(forward_of(receiver, every_event{}, false)); }
  /// The same with those events only of which `wanted(const Event&)` is true; none of a type that it does not take.
  ///
  /// It runs between all events, on the manager's stack, as a process that is there for that event only: it must be quick,
  /// cannot wait (that throws leaf_blocked, also a call) and has nothing of the manager's in its hands. One that throws,
  /// whatever that is, is removed and reported, and its receiver is told.
  template <class Filter>
  handler_id forward_to(pid receiver, Filter wanted) const {
    static_assert((std::is_invocable_r_v<bool, const Filter&, const E&> || ...), "the filter takes none of the events");
    return add(forward_of(receiver, std::move(wanted), true));
  }
  /// Removes a handler; tells whether it was there. Once this has returned the handler is never called again, nor is
  /// it running, unless it was called from the handler itself or the handler hangs: it waits for the end of its last call,
  /// at most the deadline, and keeps waiting no one else.
  bool remove(handler_id id) const {
    const auto found = must_find();
    if (id != name_of(id.value & detail::counted_up)) return false;  // another manager's
    return found.call_for(infinity, &server::remove, id.value & detail::counted_up);
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
  struct every_event {
    bool operator()(const auto&) const { return true; }
  };

  template <class F>
  static std::shared_ptr<detail::listener> share(F function, bool has_user_code) {
    return std::make_shared<detail::listener_of<F>>(std::move(function), has_user_code);
  }
  template <class Handler>
  static detail::subscription handler_of(Handler handler, pid owner) {
    static_assert((std::is_invocable_v<Handler&, const E&> || ...), "the handler takes none of the events");
    auto run = [handler = std::move(handler)](const detail::event_body& event) mutable -> std::exception_ptr {
      std::visit(
          [&]<class Event>(const Event& e) {
            if constexpr (std::is_invocable_v<Handler&, const Event&>) handler(e);
          },
          event.as<any_event>());
      return nullptr;
    };
    return {.what = share(std::move(run), true), .owner = owner, .label = detail::type_name(typeid(Handler))};
  }
  template <class Filter>
  detail::subscription forward_of(pid receiver, Filter wanted, bool has_user_code) const {
    auto* const core = &home_->core();
    auto send_on = [core, receiver, wanted = std::move(wanted)](const detail::event_body& event) {
      std::exception_ptr failure;
      std::visit(
          [&]<class Event>(const Event& e) {
            if constexpr (std::is_invocable_r_v<bool, const Filter&, const Event&>) {
              if (wanted(e)) failure = pass_on<Event>(*core, receiver, event);
            }
          },
          event.as<any_event>());
      return failure;
    };
    return {.what = share(std::move(send_on), has_user_code),
            .owner = receiver,
            .forwards = true,
            .label = "forward to " + to_string(receiver)};
  }
  /// The receiver copies the event when it takes it, so that neither the manager nor the filter has to.
  template <class Event>
  class forwarded final : public detail::late_letter<Event> {
   public:
    explicit forwarded(detail::event_body event) noexcept : event_(std::move(event)) {}

   private:
    Event make() override { return std::get<Event>(event_.template as<any_event>()); }

    detail::event_body event_;
  };
  /// Returns why there is no memory for it, which is not the filter's fault.
  template <class Event>
  static std::exception_ptr pass_on(detail::core& home, pid receiver, const detail::event_body& event) noexcept {
    try {
      home.deliver(receiver, std::make_unique<forwarded<Event>>(event));
    } catch (const std::bad_alloc&) {
      return std::current_exception();
    }
    return nullptr;
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
    const auto result = must_find().call(&server::add, std::move(what));
    if (result.failure) std::rethrow_exception(result.failure);
    return name_of(result.id);
  }

  runtime* home_;
  std::string manager_;
};

}  // namespace kv
