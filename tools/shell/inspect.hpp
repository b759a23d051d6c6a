// What there is, as text for a person. Each is a snapshot: what it shows may have ended meanwhile.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <kv/kv.hpp>

namespace kv::shell {

/// Returns a line for each bucket, by name: name, pid, entries.
std::string list_buckets(const registry& names);

/// Returns a line for each table, by name: name, type, access, owner, heir, rows, bytes.
std::string list_tables(const runtime& home);

/// Returns the supervision tree, drawn. Asks the root, for as long as that takes. Throws call_error when it has ended.
std::string draw_tree(const tree& kv);

/// Returns a line for each process: pid, names, class, state, messages that wait. A `-` is for no name, and for what only
/// a process that does not run can be asked for.
std::string list_processes(const runtime& home);

/// Returns the living process whose pid is written so, as TREE and PS print it; nothing when there is none.
std::optional<pid> find_process(const runtime& home, std::string_view written);

/// Returns all that is known of a process, a line for each thing that there is; nothing when it has ended.
std::optional<std::string> describe_process(const runtime& home, const registry& names, pid who);

/// Returns a line for each of the last restarts by the root, the oldest first: how long ago, of what, and why. Asks the
/// root, as draw_tree does. Throws call_error when it has ended.
std::string list_restarts(const tree& kv, std::chrono::steady_clock::time_point now);

}  // namespace kv::shell
