// Proof that no fiber is switched while a table is being read or written.
#pragma once

#include <cassert>

namespace kv::detail {

/// Stands on the stack while a thread is inside a table. A process that waited there would hold back memory, or take a
/// lock with it to sleep, and another fiber of the same thread would then wait for it for ever. Costs nothing in release
/// builds.
class table_guard {
 public:
#ifdef NDEBUG
  static void assert_none() noexcept {}
#else
  table_guard() noexcept { ++depth_; }
  table_guard(const table_guard&) = delete;
  table_guard& operator=(const table_guard&) = delete;
  ~table_guard() { --depth_; }
  static void assert_none() noexcept { assert(depth_ == 0 && "a process waited while it was inside a table"); }

 private:
  [[gnu::visibility("default")]] inline static constinit thread_local int depth_ = 0;
#endif
};

}  // namespace kv::detail
