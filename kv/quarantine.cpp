#include <kv/quarantine.hpp>

namespace kv::detail {

void report_quarantine(const table_info& from, std::string key, std::string reason) {
  this_process().home->report_now(quarantine_report{self(), from.name, std::move(key), std::move(reason)});
}

}  // namespace kv::detail
