// What there is, as text for a person. Each is a snapshot: what it shows may have ended meanwhile.
#pragma once

#include <string>

#include <kv/kv.hpp>

namespace kv::shell {

/// Returns a line for each bucket, by name: name, pid, entries.
std::string list_buckets(const registry& names);

/// Returns a line for each table, by name: name, type, access, owner, heir, rows, bytes.
std::string list_tables(const runtime& home);

/// Returns the supervision tree, drawn. Asks the root, for as long as that takes. Throws call_error when it has ended.
std::string draw_tree(const tree& kv);

}  // namespace kv::shell
