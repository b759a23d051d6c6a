// Process identifiers: small values that outlive the process they name.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace kv {

/// Names one process, for ever. A pid is safe to hold, copy, compare and use after its process has ended: it then
/// answers `noproc` and never reaches another process, because a slot that is used again has a new generation.
/// Trivially copyable, ordered, hashable and printable (`<slot.generation>`). Mirrors Erlang's pid.
///
/// The fields are the runtime's business: compare pids, do not take them apart. A default pid names nobody.
struct pid {
  std::uint32_t slot = 0;        // where the process lives
  std::uint32_t generation = 0;  // which of the processes that lived there; 0 is nobody
  std::uint32_t node = 0;        // which runtime: a pid of another one is foreign, and so dead here

  explicit operator bool() const noexcept { return generation != 0; }
  friend auto operator<=>(const pid&, const pid&) = default;
};

/// Returns `<slot.generation>`, or `<none>` for a default pid.
std::string to_string(pid id);
std::ostream& operator<<(std::ostream& out, pid id);

}  // namespace kv

template <>
struct std::hash<kv::pid> {
  std::size_t operator()(kv::pid id) const noexcept {
    // Slots are dense and unique among the living, so mixing the generation in is enough for a good spread.
    return (std::size_t{id.generation} << 32U | id.slot) * 0x9e3779b97f4a7c15U;
  }
};
