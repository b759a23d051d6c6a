// What a runtime tells its operator: plain structs that print themselves.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <variant>
#include <vector>

#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>

namespace kv {

/// An exception left a callback, and the process ended.
struct crash_report {
  pid who;
  std::string name;          ///< registered name, or empty
  std::string type;          ///< class of the server
  std::string last_message;  ///< type of the message it was handling
  exit_reason reason;
};

/// A message that its receiver has no handle() for was dropped.
struct unhandled_report {
  pid who;
  std::string type;     ///< class of the server
  std::string message;  ///< type of the message
};

/// A supervisor started a child for the first time. As OTP's progress report, not printed by default.
struct start_report {
  pid supervisor;
  std::string child;
  pid who;
};

/// A supervisor restarted a child.
struct restart_report {
  pid supervisor;
  std::string child;
  pid old_pid;
  pid new_pid;  ///< nobody, when the start failed
  exit_reason reason;
};

/// A supervisor gave up: too many restarts in too short a time.
struct give_up_report {
  pid supervisor;
  std::string child;  ///< the child whose end was one too many
  unsigned restarts = 0;
  exit_reason reason;
};

/// An event handler was removed against its owner's will.
struct handler_report {
  std::string manager;
  std::string handler;
  std::string why;
};

/// A mailbox has reached its limit, and what is sent to it from now on is dropped. Reported once until it has emptied to
/// half of the limit. See limit_mailbox.
struct overload_report {
  pid who;
  std::string name;  ///< registered name, or empty
  std::string type;  ///< class of the server
  std::uint32_t limit = 0;
};

/// A process was told to end and has not: its callback neither returns nor blocks.
struct watchdog_report {
  pid who;
  std::string name;  ///< registered name, or empty
  std::string type;  ///< class of the server
  exit_reason told;  ///< `kill`, or `shutdown` when the runtime ends and asks first
  std::chrono::nanoseconds since{};
  std::string doing;   ///< what it runs, or waits for
  std::string others;  ///< when the runtime ends: the processes that live, a line for each
};

/// Something was found that should not be there, and was put right: an unknown message, a row that names no bucket.
struct oddity_report {
  pid who;
  std::string what;
};

/// A table was still there when every process of the runtime had ended, and went with it: it was ownerless and nobody has
/// dropped it, or it was waiting for an heir before the end began.
struct forgotten_report {
  std::string name = {};                ///< of the table, or empty
  std::size_t rows = 0;                 ///< that went with it
  std::vector<std::string> heirs = {};  ///< the names for which it waited; empty when it was ownerless
};

/// A row that could not be used was moved to a quarantine. See quarantine_rows.
struct quarantine_report {
  pid who;
  std::string table;   ///< the name of that from which it was taken, or empty
  std::string key;     ///< empty when keys cannot be printed
  std::string reason;  ///< why it could not be used
};

using report =
    std::variant<crash_report, unhandled_report, start_report, restart_report, give_up_report, overload_report,
                 watchdog_report, handler_report, oddity_report, forgotten_report, quarantine_report>;

/// Where reports go. Called from any thread, possibly from several at once; what it throws is dropped.
using report_sink = std::function<void(const report&)>;

std::ostream& operator<<(std::ostream& out, const report& entry);

/// Prints the report to standard error, one block a report, however many there are; start_report is left out. A runtime
/// that is given no sink does the same, but prints no more than 20 a second.
void print_report(const report& entry);

}  // namespace kv
