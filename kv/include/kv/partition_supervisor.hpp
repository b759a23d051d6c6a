// Many supervisors in the place of one, so that what they do does not queue behind each other.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <kv/child_spec.hpp>
#include <kv/dynamic_supervisor.hpp>
#include <kv/ref.hpp>
#include <kv/runtime.hpp>

namespace kv {

class supervisor;

/// How a partition supervisor is set up.
struct partition_options {
  /// Registered name of its process; that of partition 3 is `name.3`. Not empty.
  std::string name;
  /// More than 0. One per core by default, as many as do something at the same time.
  std::size_t partitions = std::max(1U, std::thread::hardware_concurrency());
  unsigned max_restarts = 3;  ///< as supervisor_options
  std::chrono::nanoseconds period = std::chrono::seconds(5);
};

namespace detail {

/// Starts the supervisor of the partitions; linked, inside a process.
ref<supervisor> start_partitions(runtime& home, const partition_options& options, bool supervise,
                                 const std::function<pid(const std::string& name)>& start_one);
std::string partition_name(const partition_options& options, std::size_t index);
void check_partitions(const partition_options& options);
/// Spreads a hash that may be the number itself.
constexpr std::size_t spread(std::size_t hash) noexcept { return (hash * 0x9e3779b97f4a7c15U) >> 32U; }

}  // namespace detail

/// A way to a supervisor of `T`s, each under a name, of which the hash of a key chooses one: by default dynamic
/// supervisors, of which a single one would be what a million children queue behind. A small value, to be copied and
/// used by any thread. A partition is found by its name at every use, so the same value works again once a partition
/// has been restarted. Mirrors Elixir's `PartitionSupervisor`.
///
///     auto sessions = kv::partition_supervisor<>::start(runtime, {.name = "sessions", .partitions = 8});
///     auto mary = sessions.start_child<session>("mary", "mary");
template <class T = dynamic_supervisor>
class partition_supervisor {
 public:
  /// A way to one that runs, or will. Throws std::invalid_argument for an empty name and for no partitions.
  partition_supervisor(runtime& home, partition_options options) : home_(&home), options_(std::move(options)) {
    detail::check_partitions(options_);
  }

  /// Starts all partitions, each as `T(args...)`, of copies of the arguments. Inside a process it is linked to that, so
  /// it can be a child: the start of its spec returns `partition_supervisor<>::start(home, options).root()`. Blocks
  /// while they start. Throws name_taken, start_error, and std::invalid_argument as the constructor.
  template <class... Args>
  static partition_supervisor start(runtime& home, partition_options options, Args... args) {
    partition_supervisor result(home, std::move(options));
    const auto start_one = [=](const std::string& name) { return spawn_link_named<T>(name, args...).id(); };
    constexpr bool supervises = requires(const T& state) { state.which_children(); };
    detail::start_partitions(home, result.options_, supervises, start_one);
    return result;
  }

  /// Returns the process over the partitions; nobody when it is down.
  pid root() const { return home_->whereis(options_.name).value_or(pid{}); }
  std::size_t partitions() const noexcept { return options_.partitions; }

  /// Returns which partition a key belongs to: always the same. Whole numbers and what they name are spread, too.
  template <class Key>
  std::size_t index_of(const Key& key) const {
    return detail::spread(hash(key)) % options_.partitions;
  }
  /// Returns the partition of that number. Throws call_error with `noproc` when it is down, as it is for the moment of
  /// a restart.
  ref<T> at(std::size_t index) const {
    const auto name = detail::partition_name(options_, index);
    if (const auto found = home_->whereis<T>(name)) return *found;
    throw call_error(name);
  }
  /// Returns the partition that a key belongs to. Throws call_error as at().
  template <class Key>
  ref<T> of(const Key& key) const {
    return at(index_of(key));
  }

  /// Starts a `C` in the partition of that key, as dynamic_supervisor::try_start_child. Throws call_error.
  template <class C, class Key, class... Args>
    requires std::derived_from<T, dynamic_supervisor>
  child_result start_child(const Key& key, Args&&... args) const {
    const auto start = [](T& self, auto&&... each) {
      return self.template try_start_child<C>(std::forward<decltype(each)>(each)...);
    };
    return of(key).call(start, std::forward<Args>(args)...);
  }
  /// Returns the counts of all partitions together. Asks one after the other. Throws call_error.
  child_counts count_children() const
    requires std::derived_from<T, dynamic_supervisor>
  {
    child_counts sum;
    for (std::size_t i = 0; i < options_.partitions; ++i) sum += at(i).call(&T::count_children);
    return sum;
  }
  /// Returns the living children of all partitions, in no order. Throws call_error.
  std::vector<pid> children() const
    requires std::derived_from<T, dynamic_supervisor>
  {
    std::vector<pid> all;
    for (std::size_t i = 0; i < options_.partitions; ++i) {
      const auto some = at(i).call(&T::children);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

 private:
  template <class Key>
  static std::size_t hash(const Key& key) {
    if constexpr (std::is_convertible_v<const Key&, std::string_view>) {
      return std::hash<std::string_view>{}(key);  // not of the pointer to a text
    } else {
      return std::hash<Key>{}(key);
    }
  }

  runtime* home_;
  partition_options options_;
};

}  // namespace kv
