// What a compiler has written down about the exceptions of a function.
#pragma once

#include <cstdint>

namespace kv::detail {

/// What happens to an exception that comes out of a call.
struct call_site {
  bool is_listed = false;                     // else the function may not throw, and the program ends
  const std::uint8_t* landing_pad = nullptr;  // where the function goes on; null when nothing is to be done
  bool catches_all = false;                   // a `catch (...)` is among what it may do there
  bool catches_unwind = false;                // a handler of `unwind` comes before any such
  bool may_refuse = false;                    // an old exception specification
};

/// Any thread. Returns what the tables say of a call whose code has that address; whatever leads to it, without tables
/// every exception just passes. Allocates nothing.
call_site find_call_site(std::uintptr_t code) noexcept;

}  // namespace kv::detail
