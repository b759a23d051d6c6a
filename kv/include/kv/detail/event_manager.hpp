// The process behind kv::events, without the events' types.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <kv/from.hpp>
#include <kv/process.hpp>
#include <kv/table.hpp>

namespace kv {
struct event_manager_options;
struct event_receipt;
}  // namespace kv

namespace kv::detail {

/// An event on its way to many handlers, which share it.
class event_body {
 public:
  template <class T>
  static event_body of(T event) {
    event_body result;
    result.body_ = std::make_shared<const T>(std::move(event));
    return result;
  }
  template <class T>
  const T& as() const noexcept {
    return *static_cast<const T*>(body_.get());
  }

 private:
  std::shared_ptr<const void> body_;
};

/// What a client has given to be run at events. It is made at the client and shared from then on: neither the manager
/// nor the table ever copies, moves or destroys an object of a client's.
class listener {
 public:
  listener() = default;
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  virtual ~listener() = default;

  /// One at a time. Throws what the client's code throws. Returns why the event itself could not be passed on.
  virtual std::exception_ptr hear(const event_body& event) = 0;
  /// Whether code of a client's runs in hear(), besides the copying of the event.
  virtual bool has_user_code() const noexcept = 0;
  /// Any thread, once hear() is called no more. Destroys the client's object, the first time. By its handler's process at
  /// its end, or when that is over.
  virtual void drop() noexcept = 0;
  /// Any thread. Whether nobody has begun to destroy it.
  virtual bool is_whole() const noexcept = 0;

  /// When its handler has begun or ended an event for the last time. Written by the handler's process, read by the
  /// manager, which compares it with a deadline; orders nothing.
  std::atomic<std::chrono::steady_clock::time_point> last_progress{};
};

template <class F>
class listener_of final : public listener {
 public:
  listener_of(F function, bool has_user_code) : function_(std::move(function)), has_user_code_(has_user_code) {}
  std::exception_ptr hear(const event_body& event) override { return (*function_)(event); }
  bool has_user_code() const noexcept override { return has_user_code_; }
  void drop() noexcept override {
    if (is_whole_.exchange(false, std::memory_order_relaxed)) function_.reset();
  }
  bool is_whole() const noexcept override { return is_whole_.load(std::memory_order_relaxed); }

 private:
  std::optional<F> function_;
  const bool has_user_code_;
  // Chooses the one that destroys the function, among the manager's successor, the handler's process and who ends it. It
  // orders nothing: each has learned by a message that the function runs no more.
  std::atomic<bool> is_whole_{true};
};

/// A row of the subscriptions: everything that is needed to attach the handler again.
struct subscription {
  std::shared_ptr<listener> what;
  pid owner = {};         // goes with it; nobody: stays
  bool forwards = false;  // runs at once in the manager, because it only sends
  std::string label;      // for reports
  pid runner = {};        // the process that runs it; survives the manager, so that no two ever run it at a time
};

using receipt_letter = std::unique_ptr<letter_of<event_receipt>>;
using subscriptions = table<std::uint64_t, subscription>;

/// What users get to see of the number of a manager's handler. It tells the managers of a program apart by what outlives
/// a restart: the number of the runtime and the manager's name.
inline std::uint64_t handler_number(std::uint32_t node, std::string_view manager, std::uint64_t number) noexcept {
  const auto whose = std::hash<std::string_view>{}(manager) + std::uint64_t{node} * 0x9e3779b97f4a7c15U;
  return (whose & ~counted_up) | (number & counted_up);
}

/// A handler's process is through with an event that a publisher waits for.
struct handled {
  std::uint64_t handler;
  std::uint64_t ticket;
};

/// A timer of the manager's: some handler may have been at one event for too long.
struct deadline_check {};
/// The same: it is time to try again to attach what could not be attached.
struct attach_again {};
/// The same: who removes that handler has waited long enough for its last call to return.
struct removal_due {
  std::uint64_t handler;
};

/// What became of a new subscription: its id, or what was thrown.
struct added_handler {
  std::uint64_t id = 0;
  std::exception_ptr failure = {};
};

/// The process that passes events on to the handlers' processes, one after the other, in the order in which they were
/// added. It waits for none: who must wait for something is kept as data, and answered when it has come about.
///
/// (V1) No function of it waits, and none runs inside another.
/// (V2) A request is all or nothing: when it fails, its client gets the error, and nothing has changed.
/// (V3) What a client gave runs in the client, in the handler's process or, for a filter, as a guest (see event_guest.hpp).
/// (V4) Work for an event is proportional to the handlers, and for a handler's end to what is asked of that handler.
/// (V5) A row that cannot be attached hurts that handler only.
/// (V6) What the end of a handler needs, and what is tried again for want of memory, was allocated before.
class event_manager {
 public:
  static constexpr bool outlives_shortage = true;  // a request that fails for want of a resource is refused
  static constexpr bool reserved_stack = true;     // see runtime_options::reserved_stacks

  /// `rows` must be writable by this process. Handlers that it names are attached again.
  event_manager(std::string name, subscriptions rows, event_manager_options options);
  event_manager(event_manager&&) = delete;
  ~event_manager();

  void notify(const event_body& event);
  /// Answers when every handler had the event, or was detached.
  void sync_notify(from<void> caller, const event_body& event);
  /// The same by a message, which the publisher brings along, because telling it must not fail.
  void notify_with_receipt(const event_body& event, pid publisher, receipt_letter receipt);
  added_handler add(subscription what);
  /// Answers when the handler does not run any more; whether it was there.
  void remove(from<bool> caller, std::uint64_t id);
  std::size_t count() const;

  using messages = message_types<handled, deadline_check, attach_again, removal_due>;
  void handle(const handled& news);
  void handle(const down& news);
  void handle(const deadline_check&);
  void handle(const attach_again&);
  void handle(const removal_due& which);

 private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

}  // namespace kv::detail

namespace kv {

struct event_manager_options;

/// The rows of an event manager's subscriptions. Who shall outlive the manager creates this table, public.
using subscription_table = detail::subscriptions;

/// Starts an event manager under a name, linked to the calling process. See kv::events for the way to it.
pid start_event_manager(const std::string& name, const subscription_table& rows, const event_manager_options& options);

}  // namespace kv
