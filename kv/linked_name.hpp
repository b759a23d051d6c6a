// Names of functions that the dynamic linker finds.
#pragma once

namespace kv::detail {

/// Any thread. Returns the name of the function whose address the dynamic linker writes to that place, now or at the first
/// call; null when it writes none there. O(functions that the program or library imports).
const char* linked_name(const void* slot) noexcept;

}  // namespace kv::detail
