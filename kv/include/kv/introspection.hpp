// What can be seen of a process from outside.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <kv/pid.hpp>

namespace kv {

enum class process_state : std::uint8_t {
  idle,     ///< it has nothing to do
  waiting,  ///< a callback of it is blocked
  running   ///< it handles a message, or is about to
};

/// A look at a process, taken by another. It need not answer for it, so a process that is stuck can be looked at, too.
/// Mirrors `Process.info/1`.
struct process_info {
  pid who;
  std::vector<std::string> names;  ///< registered ones
  std::string type;                ///< class of its state, or the function that it is
  process_state state = process_state::idle;
  pid parent;                                                  ///< nobody, when no process started it
  std::string doing;                                           ///< the message that it handles, or what it waits for
  std::optional<std::chrono::steady_clock::time_point> since;  ///< when it began to wait
  std::uint64_t handled = 0;                                   ///< messages and calls, its start not counted
  std::uint32_t restarts = 0;                                  ///< how often its supervisor has restarted it
  std::uint64_t dropped = 0;                                   ///< messages for which its mailbox had no room

  /// What only a process that is not running can be asked for.
  struct inside {
    std::size_t mailbox = 0;  ///< messages that wait
    std::vector<pid> links;
    std::vector<pid> monitors;      ///< whom it watches
    std::vector<pid> monitored_by;  ///< who watches it
    bool traps_exits = false;
  };
  std::optional<inside> within;
};

/// Returns `idle`, `waiting` or `running`.
std::string to_string(process_state state);
/// Prints it in a line.
std::ostream& operator<<(std::ostream& out, const process_info& info);

}  // namespace kv
