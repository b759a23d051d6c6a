// The KV application: everything started, watched over and stopped together.
#pragma once

#include <chrono>
#include <string>

#include <kv/events.hpp>
#include <kv/registry.hpp>
#include <kv/runtime.hpp>
#include <kv/supervision.hpp>

namespace kv {

/// How the KV tree is built.
struct tree_options {
  /// Registered names and table names begin with it: two trees of one runtime need two.
  std::string name = "kv";
  /// More restarts than `max_restarts` within `period`, and the whole tree ends.
  unsigned max_restarts = 3;
  std::chrono::nanoseconds period = std::chrono::seconds(5);
  /// How long create() waits for a handler of the events at most; a handler that takes longer is detached.
  std::chrono::nanoseconds handler_deadline = std::chrono::seconds(1);
  /// Asked of every row whenever the registry starts: one with which it finds fault goes to the table `<name>.quarantine`,
  /// a names_quarantine, and is reported; its bucket lives on, without a name. See names_validator.
  names_validator validate = {};
};

/// A running KV tree. A small value, to be copied freely.
///
///     root supervisor, one_for_one: owns the tables of names, of those who wait for one, of names in
///     │            quarantine, of events under way and of subscriptions
///     ├── events    the event manager
///     ├── buckets   the bucket supervisor, and under it the buckets
///     └── registry
///
/// The tables make the three independent of each other, so each is restarted alone. Mirrors `KV.Supervisor`.
struct tree {
  ref<supervisor> root;
  kv::registry registry;
  registry_events events;

  /// Stops it in order: registry, buckets, events; then the tables go. Waits for that.
  void stop() const { root.stop(exit_reason::shutdown, infinity); }
};

/// Starts a KV tree. Called inside a process it is linked to that process; otherwise it ends with the runtime. Throws
/// name_taken when another tree has its name, start_error when a part does not start.
tree start_tree(runtime& home, const tree_options& options = {});

}  // namespace kv
