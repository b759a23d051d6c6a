// A bucket: the state that the guide keeps in an Agent.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// A process's worth of key-value state: strings, byte-exact, any content. A leaf: no function of it blocks, so a call
/// to an idle bucket runs at once on the caller's stack.
///
///     auto shopping = runtime.spawn<kv::bucket>();
///     shopping.call(&kv::bucket::put, "milk", "3");
///
/// Not synchronised by itself: the process that owns it is what keeps others out. All functions are O(log entries)
/// unless they say otherwise. Mirrors `KV.Bucket`.
class bucket {
 public:
  static constexpr bool leaf = true;

  /// Returns what the key holds.
  std::optional<std::string> get(std::string_view key) const;
  void put(std::string_view key, std::string_view value);
  /// Removes the key; returns what it held.
  std::optional<std::string> erase(std::string_view key);
  /// Returns the number of entries. O(1).
  std::size_t size() const noexcept { return entries_.size(); }
  /// Returns all keys in order. O(entries).
  std::vector<std::string> keys() const;

 private:
  std::map<std::string, std::string, std::less<>> entries_;
};

}  // namespace kv
