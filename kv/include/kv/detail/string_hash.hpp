// Hashing that finds a std::string by a std::string_view.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace kv::detail {

/// Transparent: a lookup by std::string_view builds no string.
struct string_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

}  // namespace kv::detail
