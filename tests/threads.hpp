// How tests say that they need real threads.
#pragma once

#include <doctest/doctest.h>

/// For tests that start threads of their own, block them, want time to pass while somebody runs, or rely on the order in
/// which one thread runs its processes. All others are run by simulations as well.
inline const doctest::test_suite needs_threads("needs threads");
