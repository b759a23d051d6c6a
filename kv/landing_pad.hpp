// Where an exception leads that has come to a landing pad.
#pragma once

#include "exception_table.hpp"

namespace kv::detail {

/// Any thread. Tells whether the code at that call's landing pad may end the program instead of passing the exception
/// on, or handling it. Reads the machine code; where it cannot, on processors other than x86-64, it says no.
bool may_terminate(const call_site& where) noexcept;

}  // namespace kv::detail
