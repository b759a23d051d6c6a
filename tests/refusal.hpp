// How tests ask what a table refuses.
#pragma once

#include <optional>

#include <kv/table_types.hpp>

/// Runs a function that a table should refuse, and tells how it did; nothing when it did not.
template <class F>
std::optional<kv::table_error::code> refusal(F function) {
  try {
    function();
  } catch (const kv::table_error& e) {
    return e.why();
  }
  return std::nullopt;
}
