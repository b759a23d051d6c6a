#include <kv/quarantine.hpp>

#include <new>

namespace kv::detail {

bool has_memory() noexcept {
  constexpr std::size_t plenty = 64 * 1024;
  void* const some = ::operator new(plenty, std::nothrow);
  ::operator delete(some);
  return some != nullptr;
}

void report_quarantine(const table_info& from, std::string key, std::string reason) {
  this_process().home->report_now(quarantine_report{self(), from.name, std::move(key), std::move(reason)});
}

}  // namespace kv::detail
