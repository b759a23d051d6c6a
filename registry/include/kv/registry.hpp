// The registry: names to buckets.
#pragma once

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
  /// `server` is the registered name of the registry's process, `names` its table.
  registry(runtime& home, std::string server, names_table names)
      : home_(&home), server_(std::move(server)), names_(std::move(names)) {}

  /// Returns the bucket of that name, if there is one and it is alive. Reads the table: sends no message, takes no lock
  /// that other readers take, never blocks, and works while the registry is down. The bucket may die at any moment
  /// after. O(1).
  std::optional<ref<bucket>> lookup(std::string_view name) const {
    const auto found = names_.lookup(name);
    return found ? home_->as<bucket>(*found) : std::nullopt;
  }

  /// Returns the bucket of that name, which is started if there is none: one bucket, whoever races. When this returns,
  /// lookup() finds it and `created` has reached every handler of the events, or was left to the event manager's
  /// return. Can block: the registry does one thing at a time. Throws registry_error when no bucket can be started,
  /// call_error when the registry is down, ends meanwhile or takes longer than the timeout.
  ref<bucket> create(std::string_view name) const;

  /// Returns every name with its living bucket, by name. O(buckets).
  std::vector<std::pair<std::string, ref<bucket>>> list() const;

  /// Returns the number of rows; those of buckets that have just died count until they are removed.
  std::size_t size() const { return names_.size(); }

  /// Returns the pid of the registry's process, if it is alive.
  std::optional<pid> server_pid() const { return home_->whereis(server_); }

 private:
  runtime* home_;
  std::string server_;
  names_table names_;
};

}  // namespace kv
