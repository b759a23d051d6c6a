// How the testing kit says that something did not happen.
#pragma once

#include <source_location>
#include <string>

#include <kv/detail/core.hpp>
#include <kv/testing.hpp>

namespace kv::testing {

/// Throws expectation_failed with the place in the test, and in a simulation with its seed and last steps.
[[noreturn]] inline void fail_expectation(detail::core& home, std::source_location where, const std::string& what) {
  const auto circumstances = home.exec().circumstances();
  throw expectation_failed(where.file_name() + (":" + std::to_string(where.line())) + ": " + what +
                           (circumstances.empty() ? "" : "\n" + circumstances));
}

}  // namespace kv::testing
