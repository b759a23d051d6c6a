// Want of what all share: memory, threads, and what a runtime has only so many of.
#pragma once

#include <exception>

#include <kv/detail/failure_of.hpp>
#include <kv/exit_reason.hpp>

namespace kv::detail {

/// Tells whether something failed for want of a shared resource: with std::bad_alloc (but not std::bad_array_new_length,
/// which no resource would help), system_limit, a std::system_error that says so, or a start_error or call_error whose
/// reason is one of these. Needs no memory.
bool is_shortage(const std::exception_ptr& failure) noexcept;
bool is_shortage(const exit_reason& why) noexcept;

/// Runs a function; returns what it threw for want of a resource, null for nothing. Other exceptions are passed on.
template <class F>
std::exception_ptr shortage_in(F&& function) {
  auto failure = failure_of(function);
  if (failure && !is_shortage(failure)) std::rethrow_exception(failure);
  return failure;
}

/// A server that goes on when a request fails for want of a resource, which its caller is told. It says
/// `static constexpr bool outlives_shortage = true`, and so do the classes derived from it.
template <class T>
concept outlives_shortage = requires { requires T::outlives_shortage; };

}  // namespace kv::detail
