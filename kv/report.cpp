#include <kv/report.hpp>

#include <iostream>
#include <sstream>
#include <string>
#include <utility>

namespace kv {

namespace {

struct printer {
  std::ostream& out;

  template <class Report>
  void process_of(const Report& r) const {
    out << "kv: process " << r.who << " (" << r.type;
    if (!r.name.empty()) out << ", " << r.name;
    out << ')';
  }
  void operator()(const crash_report& r) const {
    process_of(r);
    out << " crashed\n    reason:       " << r.reason;
    if (!r.last_message.empty()) out << "\n    last message: " << r.last_message;
  }
  void operator()(const unhandled_report& r) const {
    out << "kv: process " << r.who << " (" << r.type << ") dropped a message it does not handle: " << r.message;
  }
  void operator()(const start_report& r) const {
    out << "kv: supervisor " << r.supervisor << " started " << r.child << ": " << r.who;
  }
  void operator()(const restart_report& r) const {
    out << "kv: supervisor " << r.supervisor << " restarted " << r.child << ": " << r.old_pid << " ended (" << r.reason
        << "), now " << r.new_pid;
  }
  void operator()(const give_up_report& r) const {
    out << "kv: supervisor " << r.supervisor << " gives up after " << r.restarts
        << " restarts\n    last child: " << r.child << "\n    reason:     " << r.reason;
  }
  void operator()(const overload_report& r) const {
    process_of(r);
    out << " is overloaded: " << r.limit << " messages wait, more are dropped";
  }
  void operator()(const watchdog_report& r) const {
    process_of(r);
    out << " has not ended " << std::chrono::duration_cast<std::chrono::milliseconds>(r.since).count()
        << " ms after it was told to (" << r.told << ')';
    if (!r.doing.empty()) out << "\n    still:        " << r.doing;
    if (!r.others.empty()) out << "\n    still running:\n" << r.others;
  }
  void operator()(const handler_report& r) const {
    out << "kv: event manager " << r.manager << " removed handler " << r.handler << ": " << r.why;
  }
  void operator()(const quarantine_report& r) const {
    out << "kv: process " << r.who << " put row " << r.key << " of "
        << (r.table.empty() ? "a table without a name" : "table " + r.table) << " into quarantine: " << r.reason;
  }
  void operator()(const oddity_report& r) const { out << "kv: process " << r.who << ": " << r.what; }
  void operator()(const forgotten_report& r) const {
    out << "kv: " << (r.name.empty() ? "a table without a name" : "table " + r.name) << " was forgotten, with "
        << r.rows << (r.rows == 1 ? " row" : " rows");
    const char* separator = "\n    waited for:   ";
    for (const auto& each : r.heirs) out << std::exchange(separator, ", ") << each;
  }
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const report& entry) {
  std::visit(printer{out}, entry);
  return out;
}

void print_report(const report& entry) {
  if (std::holds_alternative<start_report>(entry)) return;
  // One write a report, so that the blocks of two threads do not mix.
  std::ostringstream block;
  block << entry << '\n';
  std::cerr << block.str();
}

}  // namespace kv
