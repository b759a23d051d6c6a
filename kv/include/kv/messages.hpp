// The messages that the runtime itself sends.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>

namespace kv {

/// Names one monitor of one owner, as the reference that `erlang:monitor/2` returns.
struct monitor_ref {
  std::uint64_t id = 0;
  friend auto operator<=>(const monitor_ref&, const monitor_ref&) = default;
};

/// A monitored process has ended. Arrives exactly once for each monitor, after everything that the process sent
/// to the owner. Links are told before monitors, and both before callers who wait for an answer: who has got the `down`
/// of a child, or the error of a call to it, and then calls its supervisor, is answered after the supervisor has dealt
/// with the death. Mirrors `{'DOWN', Ref, process, Pid, Reason}`.
struct down {
  pid from;
  exit_reason reason;  ///< `noproc` when it was dead before the monitor was set
  monitor_ref ref;
  std::string tag;  ///< what the owner gave to `monitor`
};

/// A linked process has ended, or somebody asks this one to end, and this one traps exits.
/// Mirrors `{'EXIT', Pid, Reason}`.
struct exit_signal {
  pid from;  ///< nobody (false) when a plain thread asks, or the runtime, because it ends
  exit_reason reason;
};

/// Nothing has come for as long as the receiver has set with idle_after().
struct idle {};

std::ostream& operator<<(std::ostream& out, const down& message);
std::ostream& operator<<(std::ostream& out, const exit_signal& message);

}  // namespace kv
