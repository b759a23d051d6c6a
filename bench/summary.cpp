#include "summary.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <utility>

namespace kv::bench {

namespace {

const std::array<std::string, 8> headings{"operation", "kv",     "peer", "kv / peer",
                                          "limit",     "holds?", "goal", "reached?"};

std::string number(double value, int decimals) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string short_number(double value) { return number(value, value < 10 ? 2 : value < 100 ? 1 : 0); }

std::string with_unit(double value, measure what) {
  switch (what) {
    case measure::nanoseconds:
    case measure::counted_nanoseconds: return short_number(value) + " ns";
    case measure::seconds: return short_number(value) + " s";
    case measure::bytes: return number(value, 0) + " B";
    case measure::count: return number(value, 0);
    case measure::gain: break;
  }
  return short_number(value) + " x";
}

std::string to_text(const bound& asked, measure what) {
  switch (asked.what) {
    case bound::kind::none: break;
    case bound::kind::at_most: return "<= " + with_unit(asked.value, what);
    case bound::kind::at_least: return ">= " + with_unit(asked.value, what);
    case bound::kind::times_peer: return "<= " + short_number(asked.value) + " peers";
  }
  return "";
}

std::string verdict(const bound& asked, double value, std::optional<double> ratio) {
  if (asked.what == bound::kind::none) return "";
  if (asked.what == bound::kind::times_peer && !ratio) return "?";
  const bool holds = asked.what == bound::kind::at_least  ? value >= asked.value
                     : asked.what == bound::kind::at_most ? value <= asked.value
                                                          : *ratio <= asked.value;
  return holds ? "yes" : "no";
}

template <class Cells>
void print_line(std::ostream& out, const Cells& line, const std::vector<std::size_t>& widths) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const std::string padding(widths[i] - line[i].size(), ' ');
    if (i > 0) out << " | ";
    out << (i == 0 ? line[i] + padding : padding + line[i]);  // words to the left, figures to the right
  }
  out << '\n';
}

}  // namespace

void summary::record(const benchmark::BenchmarkReporter::Run& run) {
  if (run.error_occurred) {
    has_errors_ = true;
    return;
  }
  const bool is_aggregate = run.run_type == benchmark::BenchmarkReporter::Run::RT_Aggregate;
  if (is_aggregate && run.aggregate_name != "median") return;
  std::map<std::string, double> counters;
  for (const auto& [name, value] : run.counters) counters.emplace(name, value);
  // Aggregates come last, so where there is a median it replaces the single runs.
  results_[{run.run_name.function_name, run.threads}] = {
      run.GetAdjustedRealTime() / benchmark::GetTimeUnitMultiplier(run.time_unit), std::move(counters)};
}

std::optional<summary::result> summary::find(const std::string& name, std::int64_t threads) const {
  const auto found = results_.find({name, threads});
  return found == results_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> summary::value_of(const std::string& name, const comparison& row) const {
  const auto alone = find(name, row.threads);
  if (!alone) return std::nullopt;
  switch (row.what) {
    case measure::nanoseconds: return alone->seconds * 1e9;
    case measure::seconds: return alone->seconds;
    case measure::counted_nanoseconds:
    case measure::count:
    case measure::bytes: return alone->counters.at(row.counter);
    case measure::gain: break;
  }
  const auto together = find(name, 2);
  return together ? std::optional(alone->seconds / together->seconds) : std::nullopt;
}

std::vector<std::string> summary::cells(const comparison& row) const {
  const auto value = value_of(row.kv, row);
  if (!value) return {};
  const auto peer = value_of(row.peer, row);
  const auto ratio = peer && *peer != 0 ? std::optional(*value / *peer) : std::nullopt;
  return {row.operation,
          with_unit(*value, row.what),
          peer ? with_unit(*peer, row.what) : "-",
          ratio ? short_number(*ratio) : "-",
          to_text(row.limit, row.what),
          verdict(row.limit, *value, ratio),
          to_text(row.goal, row.what),
          verdict(row.goal, *value, ratio)};
}

void summary::print(std::ostream& out) const {
  std::vector<std::vector<std::string>> lines;
  for (const auto& row : rows_) {
    if (auto line = cells(row); !line.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return;

  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < headings.size(); ++i) {
    widths.push_back(headings[i].size());
    for (const auto& line : lines) widths[i] = std::max(widths[i], line[i].size());
  }
  out << '\n';
  print_line(out, headings, widths);
  for (std::size_t i = 0; i < widths.size(); ++i) out << (i > 0 ? "-+-" : "") << std::string(widths[i], '-');
  out << '\n';
  for (const auto& line : lines) print_line(out, line, widths);
  out << std::flush;
}

bool recording_reporter::ReportContext(const Context& context) {
  display_.SetOutputStream(&GetOutputStream());
  display_.SetErrorStream(&GetErrorStream());
  return display_.ReportContext(context);
}

void recording_reporter::ReportRuns(const std::vector<Run>& runs) {
  for (const auto& run : runs) table_.record(run);
  display_.ReportRuns(runs);
}

}  // namespace kv::bench
