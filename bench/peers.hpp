// What somebody would write who wants named maps and no processes: the bare C++ that kv is measured against.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include <kv/registry.hpp>

namespace kv::bench {

/// Names to pids without any lock: what a lookup cannot be faster than.
class flat_map {
 public:
  void create(const std::string& name) { rows_.emplace(name, pid{static_cast<std::uint32_t>(rows_.size()), 1, 1}); }
  std::optional<pid> find(const std::string& name) const {
    const auto row = rows_.find(name);
    return row == rows_.end() ? std::nullopt : std::optional(row->second);
  }

 private:
  boost::unordered_flat_map<std::string, pid> rows_;
};

/// The same for many readers at a time.
class shared_map {
 public:
  void create(const std::string& name) {
    const std::unique_lock lock(mutex_);
    rows_.create(name);
  }
  std::optional<pid> find(const std::string& name) const {
    const std::shared_lock lock(mutex_);
    return rows_.find(name);
  }

 private:
  mutable std::shared_mutex mutex_;
  flat_map rows_;
};

/// What a bucket holds, behind a mutex.
class mutex_bucket {
 public:
  std::optional<std::string> get(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(key);
    return entry == entries_.end() ? std::nullopt : std::optional(entry->second);
  }
  void put(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(std::string(key), std::string(value));
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> entries_;
};

/// Named buckets: a mutex map of mutex maps. The lock of the names is not held while a bucket is used.
class mutex_maps {
 public:
  using bucket_ptr = std::shared_ptr<mutex_bucket>;

  /// Returns the bucket of that name, new or not.
  bucket_ptr start(const std::string& name);
  /// Returns it with the entry that all buckets of the benchmarks have.
  bucket_ptr create(const std::string& name);
  bool erase(const std::string& name);
  bucket_ptr find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto row = rows_.find(name);
    return row == rows_.end() ? nullptr : row->second;
  }
  std::optional<std::string> get(const std::string& name) const;
  /// Calls visit(name, bucket) for each, under the lock.
  template <class F>
  void for_each(F visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, bucket] : rows_) visit(name, bucket);
  }

 private:
  mutable std::mutex mutex_;
  boost::unordered_flat_map<std::string, bucket_ptr> rows_;
};

/// Events for somebody else: a queue behind a mutex, as a mailbox is.
template <class Event>
class event_queue {
 public:
  void push(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::optional<Event> pop() {
    const std::lock_guard lock(mutex_);
    if (events_.empty()) return std::nullopt;
    std::optional<Event> first(std::move(events_.front()));
    events_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::deque<Event> events_;
};

}  // namespace kv::bench
