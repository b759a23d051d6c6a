// Which functions of the C++ runtime some code calls.
#pragma once

#include <cstdint>

namespace kv::detail {

/// What matters to an exception.
enum class callee : std::uint8_t { other, terminates, resumes, throws, rethrows, begins_catch, ends_catch };

/// Any thread; x86-64. Returns what is called at that address: the function itself, or a piece of a linkage table that
/// jumps there.
callee callee_at(const std::uint8_t* code) noexcept;
/// Returns what is called through a pointer at that address, which the dynamic linker fills in, now or at the first call.
callee callee_in(const std::uint8_t* slot) noexcept;

}  // namespace kv::detail
