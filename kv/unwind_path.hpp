// Whether a process can be unwound from where it is.
#pragma once

namespace kv::detail {

/// Inside a callback. Tells whether an exception of type `unwind`, thrown by the caller of this function, would come out
/// at the end of the callback; false when a function on the way is `noexcept`, as every destructor is, and the program
/// would end. O(calls on the stack), some microseconds; allocates nothing.
bool can_unwind_from_here();

}  // namespace kv::detail
