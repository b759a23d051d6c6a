// How tests say that they need real threads.
#pragma once

#include <doctest/doctest.h>

/// For tests that start threads of their own, block them, or want time to pass while somebody runs. All others are run
/// by a simulation as well.
inline const doctest::test_suite needs_threads("needs threads");
