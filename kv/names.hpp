// Who is called what.
#pragma once

#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include <kv/detail/string_hash.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

/// The registered names of one runtime. Many readers at a time. Locks nothing else.
class name_directory {
 public:
  struct entry {
    pid who;
    std::type_index type;  // of its state, so that a typed lookup cannot get the wrong class
  };

  /// Returns the holder when the name is taken by a process that `alive(pid)`, nobody when it is now `who`'s.
  template <class Alive>
  std::optional<pid> add(const std::string& name, const entry& who, Alive alive) {
    const std::unique_lock lock(mutex_);
    const auto [row, is_new] = names_.try_emplace(name, who);
    if (is_new) return std::nullopt;
    if (alive(row->second.who)) return row->second.who;
    row->second = who;  // the holder is dead and about to give the name back; it will find it is not its any more
    return std::nullopt;
  }

  /// Frees the name if it is still `who`'s; tells whether it was.
  bool remove(std::string_view name, pid who) {
    const std::unique_lock lock(mutex_);
    const auto row = names_.find(name);
    if (row == names_.end() || row->second.who != who) return false;
    names_.erase(row);
    return true;
  }

  /// Frees every name of `who`. O(names).
  void forget(pid who) {
    const std::unique_lock lock(mutex_);
    boost::unordered::erase_if(names_, [who](const auto& row) { return row.second.who == who; });
  }

  /// Returns the names of `who`. O(names).
  std::vector<std::string> names_of(pid who) const {
    const std::shared_lock lock(mutex_);
    std::vector<std::string> result;
    for (const auto& [name, holder] : names_) {
      if (holder.who == who) result.push_back(name);
    }
    return result;
  }

  std::vector<std::pair<std::string, pid>> all() const {
    const std::shared_lock lock(mutex_);
    std::vector<std::pair<std::string, pid>> result;
    for (const auto& [name, holder] : names_) result.emplace_back(name, holder.who);
    return result;
  }

  std::optional<entry> find(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const auto row = names_.find(name);
    return row == names_.end() ? std::nullopt : std::optional(row->second);
  }

 private:
  mutable std::shared_mutex mutex_;
  boost::unordered_flat_map<std::string, entry, string_hash, std::equal_to<>> names_;
};

}  // namespace kv::detail
