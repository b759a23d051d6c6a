// The name of a class as text that is there before the program runs.
#pragma once

#include <cstddef>
#include <string_view>

namespace kv::detail {

template <class T>
constexpr auto pretty() noexcept {
  return std::string_view(__PRETTY_FUNCTION__);
}

/// Returns the name as the compiler spells it.
template <class T>
constexpr std::string_view name_of_class() noexcept {
  constexpr auto sample = pretty<int>();
  constexpr auto before = sample.rfind("int");
  constexpr auto after = sample.size() - before - std::string_view("int").size();
  constexpr auto text = pretty<T>();
  return text.substr(before, text.size() - before - after);
}

}  // namespace kv::detail
