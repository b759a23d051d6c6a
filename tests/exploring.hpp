// Explorations from within a test case: a failure prints how to run that test alone.
#pragma once

#include <string>

#include <doctest/doctest.h>
#include <kv/explore.hpp>

/// Returns options whose failures say how to repeat the run in this test case.
inline kv::explore_options replayable() {
  kv::explore_options options;
  options.command = std::string("./dev test -tc=\"") + doctest::getContextOptions()->currentTest->m_name + '"';
  return options;
}

/// What a scenario requires. Unlike a CHECK it ends the run, so that the exploration sees it.
inline void require(bool condition, const std::string& what) {
  if (!condition) throw kv::testing::expectation_failed(what);
}
