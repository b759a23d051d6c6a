// The rows of a table: a sharded hash map behind reader-biased locks.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include <kv/detail/reader_bias.hpp>
#include <kv/detail/string_hash.hpp>
#include <kv/detail/table_directory.hpp>
#include <kv/detail/table_guard.hpp>

namespace kv::detail {

template <class Key>
using key_view = std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, const Key&>;

/// A key with its hash, which is computed once to choose the shard and to find the row.
template <class Key>
struct hashed_key {
  key_view<Key> key;
  std::size_t hash;
};

template <class Key>
std::size_t hash_of(key_view<Key> key) noexcept {
  if constexpr (std::is_same_v<Key, std::string>) {
    return string_hash{}(key);
  } else {
    return std::hash<Key>{}(key);
  }
}

template <class Key>
struct row_hash {
  using is_transparent = void;
  std::size_t operator()(const Key& key) const noexcept { return hash_of<Key>(key); }
  std::size_t operator()(const hashed_key<Key>& probe) const noexcept { return probe.hash; }
};

template <class Key>
struct row_equal {
  using is_transparent = void;
  bool operator()(const Key& a, const Key& b) const { return a == b; }
  bool operator()(const hashed_key<Key>& probe, const Key& key) const { return probe.key == key; }
  bool operator()(const Key& key, const hashed_key<Key>& probe) const { return probe.key == key; }
};

/// Rights and owner are checked under the lock of the shard: a table that is dropped loses its owner before its rows, so
/// who still sees an owner there sees every row. Checked before, it might find a key absent that was never erased.
template <class Key, class Value>
class table_storage final : public table_base {
 public:
  using key_arg = key_view<Key>;
  using table_base::table_base;

  template <class Visit>  // Visit(const Value*), null when the key is absent
  auto read(key_arg key, Visit visit) const {
    home().interleave();
    const hashed_key<Key> probe{key, hash_of<Key>(key)};
    const auto& shard = shard_of(probe.hash);
    [[maybe_unused]] const table_guard guard;
    const reader_biased_lock::reading lock(shard.lock);
    check_read();
    const auto row = shard.rows.find(probe);
    return visit(row == shard.rows.end() ? nullptr : &row->second);
  }

  template <class Change>  // Change(row_map&, row iterator or end, probe)
  auto write(key_arg key, Change change) {
    home().interleave();
    const hashed_key<Key> probe{key, hash_of<Key>(key)};
    auto& shard = shard_of(probe.hash);
    [[maybe_unused]] const table_guard guard;
    const reader_biased_lock::writing lock(shard.lock);
    check_write();
    return change(shard.rows, shard.rows.find(probe));
  }

  /// Copies one shard's rows.
  std::vector<std::pair<Key, Value>> copy_shard(std::size_t index) const {
    const auto& shard = shards_[index];
    [[maybe_unused]] const table_guard guard;
    const reader_biased_lock::reading lock(shard.lock);
    check_read();
    return {shard.rows.begin(), shard.rows.end()};
  }

  std::size_t size() const override {
    return sum([](const row_map& r) { return r.size(); });
  }
  std::size_t memory() const override {
    // A flat map holds fifteen rows and sixteen bytes of their hashes in a group.
    return sizeof(*this) + sum([](const row_map& r) { return r.bucket_count() * (sizeof(std::pair<Key, Value>) + 1); });
  }
  void discard_rows() override {
    for (auto& shard : shards_) {
      row_map gone;  // destroyed outside the lock
      const reader_biased_lock::writing lock(shard.lock);
      gone.swap(shard.rows);
    }
  }

  static constexpr std::size_t shard_count = 64;

 private:
  using row_map = boost::unordered_flat_map<Key, Value, row_hash<Key>, row_equal<Key>>;

  struct alignas(64) shard_type {
    reader_biased_lock lock;
    row_map rows;  // under lock
  };

  // The map uses the low bits of the (mixed) hash, so the shard is chosen by the high bits of another mix.
  static std::size_t shard_index(std::size_t hash) noexcept {
    constexpr int bits = std::bit_width(shard_count) - 1;
    return (hash * 0x9e3779b97f4a7c15U) >> (64 - bits);
  }
  shard_type& shard_of(std::size_t hash) noexcept { return shards_[shard_index(hash)]; }
  const shard_type& shard_of(std::size_t hash) const noexcept { return shards_[shard_index(hash)]; }

  template <class F>
  std::size_t sum(F of_shard) const {
    std::size_t total = 0;
    for (const auto& shard : shards_) {
      const reader_biased_lock::reading lock(shard.lock);
      total += of_shard(shard.rows);
    }
    return total;
  }

  std::array<shard_type, shard_count> shards_;
};

}  // namespace kv::detail
