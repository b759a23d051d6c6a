// Who is called what.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include <kv/detail/inbox.hpp>
#include <kv/detail/message.hpp>
#include <kv/detail/string_hash.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

/// The registered names of one runtime, and who waits for one. Many readers at a time. Locks nothing else.
class name_directory {
 public:
  struct entry {
    pid who;
    std::type_index type;  // of its state, so that a typed lookup cannot get the wrong class
  };
  /// What has become of a name.
  struct added {
    pid holder;                  // who has it already; else it is the new one's
    message* waiting = nullptr;  // requests of those who wait for it: to be answered by the caller
  };

  template <class Alive>
  added add(const std::string& name, const entry& who, Alive alive) {
    const std::unique_lock lock(mutex_);
    const auto [row, is_new] = names_.try_emplace(name, who);
    if (!is_new && alive(row->second.who)) return {.holder = row->second.who};
    added result{.holder = {}};
    row->second = who;
    const auto [first, last] = waiting_.equal_range(name);
    message_queue waiting;
    for (auto each = first; each != last; ++each) waiting.push(std::move(each->second));
    waiting_.erase(first, last);
    result.waiting = waiting.take_all();
    return result;
  }

  /// Returns the holder of the name if it is `alive(pid)`. Otherwise keeps the request until somebody gets the name.
  template <class Alive>
  std::optional<pid> find_or_wait(std::string_view name, std::unique_ptr<request> wish, Alive alive) {
    const std::unique_lock lock(mutex_);
    const auto row = names_.find(name);
    if (row != names_.end() && alive(row->second.who)) return row->second.who;
    waiting_.emplace(name, std::move(wish));
    return std::nullopt;
  }
  /// Forgets that request, if it still waits.
  void stop_waiting(std::string_view name, pid caller, std::uint64_t ref) {
    const std::unique_lock lock(mutex_);
    const auto [first, last] = waiting_.equal_range(name);
    const auto mine =
        std::find_if(first, last, [&](const auto& w) { return w.second->caller == caller && w.second->ref == ref; });
    if (mine != last) waiting_.erase(mine);
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

  /// A signal handler. Calls use(name) with a name of `who`, unless somebody is changing names; allocates nothing. O(names).
  template <class Use>
  void read_one(pid who, Use use) const noexcept {
    const std::shared_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    for (const auto& [name, holder] : names_) {
      if (holder.who == who) return use(std::string_view(name));
    }
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
  // Under mutex_.
  boost::unordered_flat_map<std::string, entry, string_hash, std::equal_to<>> names_;
  std::multimap<std::string, std::unique_ptr<request>, std::less<>> waiting_;
};

}  // namespace kv::detail
