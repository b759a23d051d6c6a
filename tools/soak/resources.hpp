// What the program holds, as the kernel tells it.
#pragma once

#include <cstddef>

namespace kv::soak {

/// Bytes of a fiber's stack in this program. Nothing else has that size and a guard page before it, so stacks can be told
/// in the list of mappings.
inline constexpr std::size_t stack_size = 68 * 4096;

/// How many stacks there are for processes that are blocked.
inline constexpr std::size_t max_stacks = 256;

/// The mappings of this process.
struct mappings {
  /// But for those advised to be on large pages: slabs of rows, which may stay, and arrays of 2 MiB and more.
  std::size_t all = 0;
  std::size_t stacks = 0;  // of fibers
};
/// Throws std::runtime_error when they cannot be read.
mappings count_mappings();

/// Returns how much memory is resident, in bytes. Throws std::runtime_error when that cannot be read.
std::size_t resident_memory();

}  // namespace kv::soak
