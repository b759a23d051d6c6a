// The rows of a table behind one lock: an engine so simple that it is right, to compare the real ones with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <kv/detail/key_view.hpp>
#include <kv/detail/rows.hpp>

/// Rows stand in the order of their hashes or, in an ordered table, of their keys. Those of one place are in no order.
template <class Key, class Stored, bool is_ordered, class Counts = kv::detail::one>
class locked_rows {
 public:
  struct row {
    Key key;
    Stored value;
  };
  using owned = std::unique_ptr<row>;
  using kept = std::shared_ptr<const row>;
  using key_arg = kv::detail::key_view<Key>;
  using expectation = kv::detail::expectation<row, kept>;
  using written = kv::detail::write_result<kept>;

  explicit locked_rows(std::uint64_t seed) : seed_(seed) {}

  template <class K>
  owned make(K&& key, Stored value) const {
    return owned(new row{Key(std::forward<K>(key)), std::move(value)});
  }

  kept find(key_arg key) const {
    const auto place = place_of(key);
    const std::lock_guard lock(mutex_);
    const auto group = rows_.find(place);
    if (group == rows_.end()) return nullptr;
    const auto found = find_in(group->second, key);
    return found == group->second.end() ? nullptr : *found;
  }
  template <class Visit>
  auto visit(key_arg key, Visit f) const {
    return f(static_cast<const row*>(find(key).get()));
  }

  template <class Check>
  written put(owned next, const expectation& when, Check check) {
    const auto& key = next->key;
    const auto place = place_of(key);
    const std::lock_guard lock(mutex_);
    check();
    return replace(place, key, when, std::move(next));
  }
  template <class Check>
  written remove(key_arg key, const expectation& when, Check check) {
    const auto place = place_of(key);
    const std::lock_guard lock(mutex_);
    check();
    return replace(place, key, when, nullptr);
  }
  template <class Check>
  std::optional<std::size_t> put_all(std::vector<owned> rows, bool only_new, Check check) {
    std::vector<written> gone;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    check();
    for (std::size_t i = 0; only_new && i < rows.size(); ++i) {
      const auto group = rows_.find(place_of(rows[i]->key));
      if (group != rows_.end() && find_in(group->second, rows[i]->key) != group->second.end()) return i;
    }
    for (auto& next : rows) {
      const auto& key = next->key;
      gone.push_back(replace(place_of(key), key, {}, std::move(next)));
    }
    return std::nullopt;
  }

  template <class Visit>
  bool walk(const Key* after, std::size_t limit, Visit f) const {
    const std::lock_guard lock(mutex_);
    auto group = after == nullptr ? rows_.begin() : rows_.lower_bound(place_of(*after));
    for (std::size_t seen = 0; group != rows_.end() && seen < limit; ++group) {
      for (const auto& each : in_order(group->second)) {
        if (after != nullptr && !precedes(*after, each->key)) continue;
        f(*each), ++seen;
      }
    }
    return group != rows_.end();
  }
  template <class Visit>
  bool walk_back(const Key* before, std::size_t limit, Visit f) const {
    const std::lock_guard lock(mutex_);
    auto end = before == nullptr ? rows_.end() : rows_.upper_bound(place_of(*before));
    for (std::size_t seen = 0; end != rows_.begin() && seen < limit;) {
      --end;
      auto group = in_order(end->second);
      std::ranges::reverse(group);
      for (const auto& each : group) {
        if (before != nullptr && !precedes(each->key, *before)) continue;
        f(*each), ++seen;
      }
    }
    return end != rows_.begin();
  }

  template <class Check, class Pause>
  void clear(Check check, Pause) {
    decltype(rows_) gone;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    check();
    gone.swap(rows_);
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    std::size_t total = 0;
    for (const auto& [place, group] : rows_) {
      for (const auto& each : group) total += Counts::of(each->value);
    }
    return total;
  }
  std::size_t memory() const { return sizeof(*this) + size() * sizeof(row); }

 private:
  using place_type = std::conditional_t<is_ordered, Key, std::uint64_t>;
  using group_type = std::vector<kept>;

  place_type place_of(key_arg key) const {
    if constexpr (is_ordered) {
      return Key(key);
    } else {
      return kv::detail::seeded_hash<Key>(key, seed_);
    }
  }
  static auto find_in(const group_type& rows, key_arg key) {
    return std::ranges::find_if(rows, [&](const kept& each) { return each->key == key; });
  }
  bool precedes(const Key& a, const Key& b) const {
    const auto left = place_of(a), right = place_of(b);
    if (left != right) return left < right;
    if constexpr (std::totally_ordered<Key>) return a < b;
    return false;
  }
  group_type in_order(group_type rows) const {
    std::ranges::sort(rows, [&](const kept& a, const kept& b) { return precedes(a->key, b->key); });
    return rows;
  }
  written replace(const place_type& where, key_arg key, const expectation& when, owned next) {
    auto& rows = rows_[where];
    const auto found = find_in(rows, key);
    written result{.before = found == rows.end() ? nullptr : *found};
    result.done = when.met_by(result.before.get());
    if (result.done) {
      when.let_go();
      if (found != rows.end()) rows.erase(found);
      if (next) rows.emplace_back(std::move(next));
    }
    if (rows.empty()) rows_.erase(where);
    return result;
  }

  const std::uint64_t seed_;
  mutable std::mutex mutex_;
  std::map<place_type, group_type> rows_;  // under mutex_
};
