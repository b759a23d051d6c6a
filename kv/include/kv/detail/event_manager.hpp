// The process behind kv::events, without the events' types.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <kv/process.hpp>
#include <kv/table.hpp>

namespace kv {
struct event_manager_options;
}

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

/// A row of the subscriptions: everything that is needed to attach the handler again.
struct subscription {
  std::function<void(const event_body&)> run;
  pid owner = {};         // goes with him; nobody: stays
  bool forwards = false;  // runs at once in the manager, because it only sends
  std::string label;      // for reports
  pid runner = {};        // the process that runs it; survives the manager, so that no two ever run it at a time
};

using subscriptions = table<std::uint64_t, subscription>;

/// What users get to see of the number of a manager's handler. It tells the managers of a program apart by what outlives
/// a restart: the number of the runtime and the manager's name.
inline std::uint64_t handler_number(std::uint32_t node, std::string_view manager, std::uint64_t number) noexcept {
  const auto whose = std::hash<std::string_view>{}(manager) + std::uint64_t{node} * 0x9e3779b97f4a7c15U;
  return (whose & ~counted_up) | (number & counted_up);
}

/// A handler's process is through with an event that somebody waits for.
struct handled {
  std::uint64_t handler;
  std::uint64_t ticket;
};

/// A process around a Boost.Signals2 signal, whose slots pass events on to the handlers' processes.
class event_manager {
 public:
  static constexpr bool reserved_stack = true;  // see runtime_options::reserved_stacks

  /// `rows` must be writable by this process. Handlers that it names are attached again.
  event_manager(std::string name, subscriptions rows, event_manager_options options);
  event_manager(event_manager&&) = delete;
  ~event_manager();

  void notify(const event_body& event);
  void sync_notify(const event_body& event);
  std::uint64_t add(subscription what);
  bool remove(std::uint64_t id, pid caller);
  std::size_t count() const;

  using messages = message_types<handled>;
  void handle(const handled& news);
  void handle(const down& news);

 private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

}  // namespace kv::detail

namespace kv {

struct event_manager_options;

/// The rows of an event manager's subscriptions. Whoever shall outlive the manager creates this table, public.
using subscription_table = detail::subscriptions;

/// Starts an event manager under a name, linked to the calling process. See kv::events for the way to it.
pid start_event_manager(const std::string& name, const subscription_table& rows, const event_manager_options& options);

}  // namespace kv
