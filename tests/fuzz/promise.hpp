// What a fuzz target checks.
#pragma once

#include <cstdlib>
#include <iostream>

/// Ends the program when a promise is broken; libFuzzer then keeps the input.
inline void promise(bool is_kept, const char* what) {
  if (is_kept) return;
  std::cerr << "broken promise: " << what << '\n';
  std::abort();
}
