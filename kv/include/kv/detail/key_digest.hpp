// Keys at a glance: numbers that are in the order of the keys, so that most comparisons need not look at a key.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include <boost/endian/conversion.hpp>

namespace kv::detail {

/// of(key, skip) of a smaller key is not larger, where keys have their first `skip` characters in common. Of most types
/// nothing is known, and all keys look alike.
template <class Key>
struct key_digest {
  static std::size_t common(const Key& /*a*/, const Key& /*b*/) noexcept { return 0; }
  static std::uint64_t of(const Key& /*key*/, std::size_t /*skip*/) noexcept { return 0; }
};

template <std::integral Key>
struct key_digest<Key> {
  static std::size_t common(Key /*a*/, Key /*b*/) noexcept { return 0; }
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
  static std::uint64_t of(std::string_view key, std::size_t skip) noexcept {
    std::uint64_t result = 0;
    if (skip < key.size()) std::memcpy(&result, key.data() + skip, std::min(key.size() - skip, sizeof(result)));
    return boost::endian::big_to_native(result);
  }
};

/// What some keys have in common at their beginning: so many characters. Keys of most types have none.
template <class Key>
struct key_start {
  static std::size_t size() noexcept { return 0; }
  static void set(const Key& /*key*/, std::size_t /*size*/) noexcept {}
  /// How a key stands to all that begin like this: before them, perhaps among them, behind them. `one` is one of those.
  static int compare(const Key& /*key*/, const Key& /*one*/) noexcept { return 0; }
};

/// Keeps a copy, if it is short: nobody has to look for the keys themselves.
template <>
class key_start<std::string> {
 public:
  std::size_t size() const noexcept { return size_; }
  void set(std::string_view key, std::size_t size) noexcept {
    size_ = size;
    if (size <= copy_.size()) key.copy(copy_.data(), size);
  }
  int compare(std::string_view key, const std::string& one) const noexcept {
    if (size_ == 0) return 0;
    const auto start =
        size_ <= copy_.size() ? std::string_view(copy_.data(), size_) : std::string_view(one).substr(0, size_);
    return key.substr(0, size_).compare(start);
  }

 private:
  std::size_t size_ = 0;
  std::array<char, 24> copy_{};
};

}  // namespace kv::detail
