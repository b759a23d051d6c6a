// Which exceptions a fiber is handling.
#pragma once

#include <cxxabi.h>

#include <utility>

namespace kv::detail {

/// What the C++ runtime knows about the exceptions of a thread, as the Itanium C++ ABI lays it out.
struct exception_globals {
  void* caught = nullptr;
  unsigned int uncaught = 0;

  static exception_globals& of_this_thread() noexcept {
    return *reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
  }
};

/// Stands on the stack of a fiber while others run. The exceptions that are being handled belong to the fiber, so they
/// are put away: otherwise a process that blocks inside a catch block would come back to another's exception.
class keep_exceptions {
 public:
  keep_exceptions() noexcept : mine_(std::exchange(exception_globals::of_this_thread(), {})) {}
  keep_exceptions(const keep_exceptions&) = delete;
  keep_exceptions& operator=(const keep_exceptions&) = delete;
  ~keep_exceptions() { exception_globals::of_this_thread() = mine_; }

 private:
  exception_globals mine_;
};

}  // namespace kv::detail
