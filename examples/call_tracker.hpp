// Phone calls in progress: what examples/call_tracker.cpp shows, and tests/call_tracker_example_test.cpp kills at every
// point.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <kv/ghost.hpp>
#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>

namespace tracking {

using namespace std::chrono_literals;

/// The line of a caller. It lives until it breaks.
class line {};

// [call]
/// A line may come back. Its ghost stays for the time that it has for that.
using line_ghost = kv::ghost<std::string>;

struct call {
  std::string callee;
  std::chrono::steady_clock::time_point since;
  kv::ref<line_ghost> ghost;
};
using call_table = kv::table<std::string, call, kv::ordered_set>;
// [/call]

// [tracker]
class tracker {
 public:
  tracker() {
    kv::continue_with([this] { adopt(kv::claim_table<call_table>("manager", "calls")); });
  }

  void begin(const std::string& caller, const std::string& callee, kv::pid line) {
    const auto ghost = kv::haunt(line, 30s, caller);
    kv::monitor(ghost, caller);
    calls_->insert(caller, {callee, kv::now(), ghost});
  }
  void hang_up(const std::string& caller) {
    const auto ended = calls_->take(caller).value();  // or so they thought
    kv::exit(ended.ghost, kv::exit_reason::shutdown);
  }
  // [/tracker]
  // [back]
  /// The caller has a new line; tells whether he still has a call.
  bool come_back(const std::string& caller, kv::pid line) {
    const auto row = calls_->lookup(caller);
    if (!row) return false;
    try {
      row->ghost.call(&line_ghost::follow, line);
      return true;
    } catch (const kv::call_error&) {
      return false;  // it has faded a moment ago, and its down is on its way
    }
  }
  // [/back]

  // [down]
  void handle(const kv::down& news) {
    const auto row = calls_->lookup(news.tag);
    if (row && row->ghost == news.from) calls_->erase(news.tag);  // else it is another call by now
  }

 private:
  void adopt(const call_table& calls) {
    calls_ = calls;
    calls.for_each([](const std::string& caller, const call& each) { kv::monitor(each.ghost, caller); });
  }

  std::optional<call_table> calls_;
};
// [/down]

inline kv::ref<kv::supervisor> start(kv::runtime& home) {
  const auto children = [] {
    const auto table = kv::manage<call_table>({.name = "calls"}, "tracker", kv::handover::pull);
    return std::vector{kv::worker("manager", kv::start_table_manager("manager", {table})),
                       kv::worker("tracker", [] { return kv::spawn_link_named<tracker>("tracker").id(); })};
  };
  return home.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 100}, children);
}

}  // namespace tracking
