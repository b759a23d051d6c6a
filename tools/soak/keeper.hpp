// Who starts the tree, and starts it again.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include <kv/kv.hpp>

#include "soak/calamities.hpp"
#include "soak/event_log.hpp"
#include "soak/restart_log.hpp"

namespace kv::soak {

/// One life of the tree.
struct world {
  kv::tree tree;
  ref<event_log> log;  // hears of everything in it
  std::uint64_t life = 0;
};

/// What has become of the handler that every tree has, in a process with a thread. Any thread; two values that order
/// nothing.
struct hearing {
  std::atomic<std::uint64_t> events{0};  // that it has heard
  std::atomic<bool> is_removed{false};   // so it was reported, or it could not be added
};

/// A process that keeps a tree. Who asks for the world while the tree is being renewed waits for the new one.
class keeper {
 public:
  struct surroundings {
    runtime& home;
    findings& found;
    calamities& kills;
    restart_log& restarts;
    hearing& ears;
  };
  explicit keeper(const surroundings& where);

  world current() const { return *world_; }
  /// Ends the tree, by force or in order, and starts another once nothing is left of it.
  void renew(bool by_force);
  /// Starts another tree if this one has ended by itself, which only a want of memory excuses.
  void mend();
  /// Adds the handler anew.
  void renew_handler();
  /// Returns the process of the handler, if it has one.
  pid runner_of_handler() const;
  /// Ends the tree in order.
  void close();

  void handle(const exit_signal& signal);

 private:
  void start();
  void start_once();
  void add_handler();
  static void end_what_is_left(runtime& home);

  surroundings in_;
  std::optional<world> world_;
  handler_id handler_;
  bool is_closed_ = false;
};

}  // namespace kv::soak
