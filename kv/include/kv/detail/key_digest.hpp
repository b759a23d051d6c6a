// Keys at a glance: numbers that are in the order of the keys, so that most comparisons need not look at a key.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace kv::detail {

/// of(key, skip) of a smaller key is not larger, where keys have their first `skip` characters in common. Of most types
/// nothing is known, and all keys look alike.
template <class Key>
struct key_digest {
  static std::size_t common(const Key& /*a*/, const Key& /*b*/) noexcept { return 0; }
  static int compare_start(const Key& /*a*/, const Key& /*b*/, std::size_t /*length*/) noexcept { return 0; }
  static std::uint64_t of(const Key& /*key*/, std::size_t /*skip*/) noexcept { return 0; }
};

template <std::integral Key>
struct key_digest<Key> {
  static std::size_t common(Key /*a*/, Key /*b*/) noexcept { return 0; }
  static int compare_start(Key /*a*/, Key /*b*/, std::size_t /*length*/) noexcept { return 0; }
  static std::uint64_t of(Key key, std::size_t /*skip*/) noexcept {
    // Negative numbers come first.
    return static_cast<std::uint64_t>(key) ^ (std::signed_integral<Key> ? std::uint64_t{1} << 63U : 0);
  }
};

template <>
struct key_digest<std::string> {
  static std::size_t common(std::string_view a, std::string_view b) noexcept {
    return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  }
  static int compare_start(std::string_view a, std::string_view b, std::size_t length) noexcept {
    return a.substr(0, length).compare(b.substr(0, length));
  }
  static std::uint64_t of(std::string_view key, std::size_t skip) noexcept {
    std::uint64_t result = 0;
    for (auto i = skip; i < skip + sizeof(result); ++i) {
      result = result << 8U | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0U);
    }
    return result;
  }
};

}  // namespace kv::detail
