#include "report_printer.hpp"

#include <numeric>
#include <ostream>
#include <sstream>
#include <string_view>
#include <utility>

namespace kv::detail {

namespace {

struct kind_name {
  std::string_view one;
  std::string_view many;
};

struct kind_of {
  kind_name operator()(const crash_report&) const { return {"crash", "crashes"}; }
  kind_name operator()(const unhandled_report&) const { return {"unhandled message", "unhandled messages"}; }
  kind_name operator()(const start_report&) const { return {"start", "starts"}; }
  kind_name operator()(const restart_report&) const { return {"restart", "restarts"}; }
  kind_name operator()(const give_up_report&) const { return {"give-up", "give-ups"}; }
  kind_name operator()(const overload_report&) const { return {"overload", "overloads"}; }
  kind_name operator()(const watchdog_report&) const { return {"late end", "late ends"}; }
  kind_name operator()(const handler_report&) const { return {"removed handler", "removed handlers"}; }
  kind_name operator()(const quarantine_report&) const { return {"row in quarantine", "rows in quarantine"}; }
  kind_name operator()(const oddity_report&) const { return {"oddity", "oddities"}; }
  kind_name operator()(const forgotten_report&) const { return {"forgotten table", "forgotten tables"}; }
};

template <std::size_t... I>
std::array<kind_name, sizeof...(I)> names_of(std::index_sequence<I...>) {
  return {kind_of{}(std::variant_alternative_t<I, report>{})...};
}

std::string counted(std::size_t count, const kind_name& what) {
  return std::to_string(count) + ' ' + std::string(count == 1 ? what.one : what.many);
}

}  // namespace

report_printer::~report_printer() {
  const auto rest = take_left_out();
  if (!rest.empty()) out_ << rest << std::flush;
}

void report_printer::print(const report& entry, time_point now) {
  if (std::holds_alternative<start_report>(entry)) return;
  const std::lock_guard lock(mutex_);
  std::string left_out;
  if (!has_begun_ || now - second_began_ >= std::chrono::seconds(1)) {
    has_begun_ = true;
    second_began_ = now;
    printed_ = 0;
    left_out = take_left_out();
  }
  if (printed_ == blocks_a_second_) {
    ++left_out_[entry.index()];
    return;
  }
  ++printed_;
  // One write a report, so that it does not mix with what others print there.
  std::ostringstream block;
  block << left_out << entry << '\n';
  out_ << block.str() << std::flush;
}

/// Under the lock. Returns the line that says what was left out since the last one, if anything was.
std::string report_printer::take_left_out() {
  const auto total = std::accumulate(left_out_.begin(), left_out_.end(), std::size_t{0});
  if (total == 0) return {};
  static const auto names = names_of(std::make_index_sequence<std::variant_size_v<report>>{});
  auto line = "kv: left out " + counted(total, {"report", "reports"});
  const char* separator = ": ";
  for (std::size_t i = 0; i < left_out_.size(); ++i) {
    if (const auto count = std::exchange(left_out_[i], 0); count > 0) {
      line += separator + counted(count, names[i]);
      separator = ", ";
    }
  }
  return line + '\n';
}

}  // namespace kv::detail
