// For servers that must not end because one request fails.
#pragma once

#include <exception>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// Runs a function; returns what it threw, null for nothing. The end of the process is passed on.
template <class F>
std::exception_ptr failure_of(F&& function) {
  try {
    function();
    return nullptr;
  } catch (const unwind&) {
    throw;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace kv::detail
