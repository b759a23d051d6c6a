// What the events tell of every name, and whether it can be.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include <kv/registry.hpp>

#include "soak/findings.hpp"

namespace kv::soak {

/// Somebody has been given a new bucket, whose `created` must therefore come or have come. Only for names that nobody
/// else creates: then it arrives before the `created` of the name's next bucket.
struct handed_out {
  std::string name;
  pid bucket;
};

/// A process that hears the events of one tree. Each name's story must be: created, exited of that bucket, created of
/// another, … An event may come again at once, because the registry promises it at least once.
class event_log {
 public:
  static constexpr bool leaf = true;
  using messages = message_types<created, exited, handed_out>;

  explicit event_log(findings& found) : found_(found) {}

  void handle(const created& event);
  void handle(const exited& event);
  void handle(const handed_out& news);
  /// Every bucket has ended, and everything was announced.
  void finish();

 private:
  struct story {
    pid bucket;  // of the last event
    bool has_exited = true;
    std::deque<pid> awaited;  // their `created` is to come, in this order; the event manager may be down for long
  };

  findings& found_;
  std::unordered_map<std::string, story> stories_;
};

}  // namespace kv::soak
