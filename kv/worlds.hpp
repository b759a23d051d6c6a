// The living runtimes of the program, so that what is meant for one of them can be brought there, or dropped.
#pragma once

#include <cstdint>
#include <memory>

#include <kv/detail/core.hpp>
#include <kv/detail/executor.hpp>
#include <kv/detail/message.hpp>
#include <kv/detail/visit.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

/// The node of a runtime that has ended: no pid's.
inline constexpr std::uint32_t nowhere = 0xffff'ffff;

/// What names a runtime outside it is its number, the `node` of its pids, and never its address: whoever kept a number
/// may be the one that lives longer. All of these may be called from any thread, and hold their lock for a look into a
/// map. What stays inside one runtime asks none of them.
namespace worlds {

/// Makes the inside of a runtime, in the place of one that has ended if there is one. So a place once used always holds
/// some core, and a handle that is kept too long asks one that answers for no pid of the past.
std::unique_ptr<core, core_end> open(const runtime_options& options);

/// Gives a runtime its number, which no other had before. Throws std::bad_alloc.
std::uint32_t enter(core& home);
/// The runtime ends: nobody is brought to it any more. Waits until those who are there have left.
void leave(std::uint32_t node) noexcept;
/// Tells whether the runtime of that number has not begun to end. It may at any moment after.
bool is_alive(std::uint32_t node) noexcept;

/// Tells how often this process of the operating system, or one that it was forked from, has been the child of a fork()
/// since there was a runtime. A thread that finds it changed has no other threads beside it.
unsigned forks() noexcept;
/// A child of fork() has come back into a scheduler whose other threads it does not have. Says so and ends it.
[[noreturn]] void end_child() noexcept;

}  // namespace worlds

/// Any thread. Puts a message into the mailbox of a process of whatever runtime; takes it only when that is done.
void post(pid to, message_ptr& what, executor::urgency how) noexcept;

}  // namespace kv::detail
