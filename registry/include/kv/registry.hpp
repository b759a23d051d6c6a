// The registry: names to buckets.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/events.hpp>
#include <kv/registry_server.hpp>
#include <kv/runtime.hpp>
#include <kv/table.hpp>

namespace kv {

/// A bucket could not be created, because there is nobody to start it.
class registry_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A way to a registry: finds buckets by name and creates them. A small value, to be copied freely. The registry's
/// process is found by its registered name at every use, so the same value works again once a supervisor has restarted
/// it. Every function may be called from any thread; create() not from a leaf. Mirrors `KV.Registry`.
class registry {
 public:
  /// `server` is the registered name of the registry's process; the others are what it works with.
  registry(runtime& home, std::string server, names_table names, waiting_table waiting, registry_events events)
      : home_(&home),
        server_(std::move(server)),
        names_(std::move(names)),
        waiting_(std::move(waiting)),
        events_(std::move(events)) {}

  /// Returns the bucket of that name, if there is one and it is alive. Reads the table: sends no message, takes no lock
  /// that other readers take, never blocks, and works while the registry is down. The bucket may die at any moment
  /// after. Throws table_error when the table of names is gone, which it is once its tree has ended. O(1).
  std::optional<ref<bucket>> lookup(std::string_view name) const {
    const auto found = names_.lookup(name);
    return found ? home_->as<bucket>(*found) : std::nullopt;
  }

  /// Returns the bucket of that name, which is started if there is none: one bucket, whoever races. When this returns,
  /// lookup() finds it and `created` has reached every handler of the events, or was left to the event manager's
  /// return. Blocks until then; the registry serves others meanwhile. Throws registry_error when there is no bucket
  /// supervisor; call_error when the registry is down, ends meanwhile or takes longer than the timeout, and when there is
  /// no memory for a bucket: then there is none.
  ref<bucket> create(std::string_view name) const;

  /// Returns the bucket of that name as soon as there is one, at once if it is there; nothing when there is none until
  /// the timeout has passed. One that dies before it could be returned does not count. Waits without asking again and
  /// again, also while the registry or the event manager is down; not in a leaf. Throws table_error when the tree ends.
  std::optional<ref<bucket>> await(std::string_view name, std::chrono::nanoseconds timeout = default_timeout) const;

  // What there is ----------------------------------------------------------------------------------------------------
  // Snapshots of the living buckets, taken from the table: they work while the registry is down. O(buckets).

  using row = std::pair<std::string, ref<bucket>>;

  /// Returns every name with its bucket, by name.
  std::vector<row> list() const {
    return select([](const std::string&, const ref<bucket>&) { return true; });
  }
  /// Returns those of which `wanted(name, bucket)` is true, by name. It may do what it likes, also call the bucket.
  /// Mirrors `Registry.select/2`.
  template <std::predicate<const std::string&, const ref<bucket>&> Predicate>
  std::vector<row> select(Predicate wanted) const {
    std::vector<row> result;
    for_each([&](const std::string& name, const ref<bucket>& b) {
      if (wanted(name, b)) result.emplace_back(name, b);
    });
    std::ranges::sort(result, {}, &row::first);
    return result;
  }
  /// Returns how many these are. Mirrors `Registry.count_select/2`.
  template <std::predicate<const std::string&, const ref<bucket>&> Predicate>
  std::size_t count(Predicate wanted) const {
    std::size_t result = 0;
    for_each([&](const std::string& name, const ref<bucket>& b) { result += wanted(name, b) ? 1 : 0; });
    return result;
  }
  /// Returns the names of a bucket, in order: one, or none when it is dead or has none. Mirrors `Registry.keys/2`.
  std::vector<std::string> keys(pid bucket) const;
  /// Returns the number of rows; those of buckets that have just died count until they are removed. O(1). Mirrors
  /// `Registry.count/1`.
  std::size_t size() const { return names_.size(); }

  // Hear of it -------------------------------------------------------------------------------------------------------

  /// From now on a process is sent every `created` and `exited` of that name, until it ends or unlisten() is called. Each
  /// call is a subscription of its own. Blocks until the event manager has answered, and throws call_error when that is
  /// down; later the subscription survives it. As the `:listeners` of Registry, for one name.
  handler_id listen(std::string name, pid who) const;
  /// Ends such a subscription; tells whether it was there. What was sent before may still be in the mailbox.
  bool unlisten(handler_id id) const;

  /// Returns the pid of the registry's process, if it is alive.
  std::optional<pid> server_pid() const { return home_->whereis(server_); }

 private:
  template <class F>
  void for_each(F visit) const {
    names_.for_each([&](const std::string& name, pid who) {
      if (const auto found = home_->as<bucket>(who)) visit(name, *found);
    });
  }

  runtime* home_;
  std::string server_;
  names_table names_;
  waiting_table waiting_;
  registry_events events_;
};

}  // namespace kv
