// Explorations from within a test case: a failure prints how to run that test alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <kv/explore.hpp>

/// A sanitizer takes ten times as long, and finds what it finds in the first runs.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

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
