// Events that have come and that nobody has asked for yet.
#pragma once

#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <kv/pid.hpp>

namespace kv::shell {

/// Events of one kind, `created` or `exited`, found by the bucket's name. Every event is kept until it is taken: about
/// 100 bytes each. All functions are O(log events).
template <class Event>
class event_log {
 public:
  /// Adds an event. One of the same bucket as the last is that one again, and dropped: the registry announces each at
  /// least once, in order, and a bucket is created and ends only once.
  void add(const Event& event) {
    if (std::exchange(last_, event.bucket) != event.bucket) events_.insert(event);
  }

  /// Removes and returns the oldest event of that name.
  std::optional<Event> take(std::string_view name) {
    const auto oldest = events_.lower_bound(name);
    if (oldest == events_.end() || oldest->name != name) return std::nullopt;
    return std::move(events_.extract(oldest).value());
  }

 private:
  struct by_name {
    using is_transparent = void;
    bool operator()(const Event& a, const Event& b) const { return a.name < b.name; }
    bool operator()(const Event& event, std::string_view name) const { return event.name < name; }
    bool operator()(std::string_view name, const Event& event) const { return name < event.name; }
  };

  std::multiset<Event, by_name> events_;  // equal names in the order they came
  pid last_;
};

}  // namespace kv::shell
