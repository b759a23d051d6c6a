// Explorations from within a test case: a failure prints how to run that test alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <kv/explore.hpp>

#include "sanitized.hpp"

/// A sanitizer takes ten times as long, and finds what it finds in the first runs.
inline constexpr bool sanitized = kv::detail::is_sanitized;

constexpr std::size_t affordable(std::size_t runs) { return sanitized ? runs / 20 : runs; }

/// Returns options whose failures say how to repeat the run in this test case.
inline kv::explore_options replayable() {
  std::string name;
  for (const char c : std::string_view(doctest::getContextOptions()->currentTest->m_name)) {
    if (c == ',') name += '\\';  // which else would separate names
    name += c;
  }
  kv::explore_options options;
  options.command = "./dev test -tc=\"" + name + '"';
  return options;
}

/// What a scenario requires. Unlike a CHECK it ends the run, so that the exploration sees it.
inline void require(bool condition, const std::string& what) {
  if (!condition) throw kv::testing::expectation_failed(what);
}
