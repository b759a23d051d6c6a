// Which reports a calamity excuses.
#pragma once

#include <kv/report.hpp>

#include "soak/calamities.hpp"

namespace kv::soak {

/// Tells whether that may be reported now, because of a calamity that is under way.
///
/// The tables of a tree that is being killed go before its processes are told, so one may trip over that; and when it is
/// stopped in order, a client may kill a bucket that is just being stopped. Without memory every part may crash, and so
/// may the tree. Without threads a handler is left out until there is one, or removed.
inline bool may_be_reported(const calamities& kills, const report& entry) {
  const bool may_crash = kills.is_under_way(part::tree) || kills.is_under_way(part::memory);
  const bool threads_missing = kills.is_under_way(part::threads);
  if (std::holds_alternative<crash_report>(entry)) return may_crash;
  if (std::holds_alternative<oddity_report>(entry)) return may_crash || threads_missing;
  return std::holds_alternative<handler_report>(entry) && (threads_missing || kills.is_under_way(part::memory));
}

}  // namespace kv::soak
