// Tables of names and numbers: kv's, and what somebody would take who wants no processes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include <tbb/concurrent_hash_map.h>
#include <boost/unordered/unordered_flat_map.hpp>
#include <kv/kv.hpp>
#include <libcuckoo/cuckoohash_map.hh>

namespace kv::bench {

using number = std::uint64_t;

/// kv's table of that kind, that everybody may write.
template <class Kind>
class kv_numbers {
 public:
  void put(const std::string& name, number n) { rows_.insert(name, n); }
  std::optional<number> find(const std::string& name) const { return rows_.lookup(name); }
  bool erase(const std::string& name) { return rows_.erase(name); }

 private:
  using table_type = table<std::string, number, Kind>;

  runtime home_{{.threads = 1, .on_report = [](const report&) {}}};
  table_type rows_ = table_type::create(home_, {.access = table_access::public_, .ownerless = true});
};

/// A map that nobody else uses: what a table cannot be faster than.
class flat_numbers {
 public:
  void put(const std::string& name, number n) { rows_.insert_or_assign(name, n); }
  std::optional<number> find(const std::string& name) const {
    const auto row = rows_.find(name);
    return row == rows_.end() ? std::nullopt : std::optional(row->second);
  }
  bool erase(const std::string& name) { return rows_.erase(name) != 0; }

 private:
  boost::unordered_flat_map<std::string, number> rows_;
};

/// As many of those as a table has shards, a lock for each.
class sharded_numbers {
 public:
  void put(const std::string& name, number n) {
    auto& s = shard_of(name);
    const std::lock_guard lock(s.mutex);
    s.rows.put(name, n);
  }
  std::optional<number> find(const std::string& name) const {
    auto& s = shard_of(name);
    const std::lock_guard lock(s.mutex);
    return s.rows.find(name);
  }
  bool erase(const std::string& name) {
    auto& s = shard_of(name);
    const std::lock_guard lock(s.mutex);
    return s.rows.erase(name);
  }

 private:
  struct alignas(64) shard {
    std::mutex mutex;
    flat_numbers rows;
  };
  shard& shard_of(const std::string& name) const {
    return shards_[std::hash<std::string>{}(name) * 0x9e3779b97f4a7c15U >> 58U];
  }

  mutable std::array<shard, 64> shards_;
};

class tbb_numbers {
 public:
  void put(const std::string& name, number n) {
    map::accessor row;
    rows_.insert(row, name);
    row->second = n;
  }
  std::optional<number> find(const std::string& name) const {
    map::const_accessor row;
    return rows_.find(row, name) ? std::optional(row->second) : std::nullopt;
  }
  bool erase(const std::string& name) { return rows_.erase(name); }

 private:
  using map = tbb::concurrent_hash_map<std::string, number>;
  map rows_;
};

class cuckoo_numbers {
 public:
  void put(const std::string& name, number n) { rows_.insert_or_assign(name, n); }
  std::optional<number> find(const std::string& name) const {
    number n = 0;
    return rows_.find(name, n) ? std::optional(n) : std::nullopt;
  }
  bool erase(const std::string& name) { return rows_.erase(name); }

 private:
  libcuckoo::cuckoohash_map<std::string, number> rows_;
};

/// An ordered map for many readers at a time.
class shared_ordered_numbers {
 public:
  void put(const std::string& name, number n) {
    const std::unique_lock lock(mutex_);
    rows_.insert_or_assign(name, n);
  }
  std::optional<number> find(const std::string& name) const {
    const std::shared_lock lock(mutex_);
    const auto row = rows_.find(name);
    return row == rows_.end() ? std::nullopt : std::optional(row->second);
  }
  bool erase(const std::string& name) {
    const std::unique_lock lock(mutex_);
    return rows_.erase(name) != 0;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, number, std::less<>> rows_;
};

}  // namespace kv::bench
