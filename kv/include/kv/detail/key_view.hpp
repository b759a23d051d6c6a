// How keys are passed, and hashed with the seed of their table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

namespace kv::detail {

/// A lookup by std::string_view builds no string.
template <class Key>
using key_view = std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, const Key&>;

/// Keyed, so that who chooses the names cannot choose where they lie.
std::uint64_t hash_text(std::string_view text, std::uint64_t seed) noexcept;

/// A bijection for each seed: spreads what std::hash leaves as it is, and lets no two hashes meet that were different.
constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t seed) noexcept {
  hash ^= seed;
  hash = (hash ^ hash >> 32U) * 0xd6e8feb86659fd93U;
  hash = (hash ^ hash >> 32U) * 0xd6e8feb86659fd93U;
  return hash ^ hash >> 32U;
}

template <class Key>
std::uint64_t seeded_hash(key_view<Key> key, std::uint64_t seed) {
  if constexpr (std::is_same_v<Key, std::string>) {
    return hash_text(key, seed);
  } else {
    return mix(std::hash<Key>{}(key), seed);
  }
}

}  // namespace kv::detail
