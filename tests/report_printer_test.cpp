// Promises under test: without a sink of its own a runtime prints its reports, but never a flood: what was left out is
// counted by kind and told once, after the second that it fell into or at the end.
#include <doctest/doctest.h>

#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/simulation.hpp>

#include "report_printer.hpp"
#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace report_printer_test {

using namespace std::chrono_literals;
using kv::detail::report_printer;

namespace {

const kv::report crash = kv::crash_report{{}, "", "bucket", "", kv::exit_reason::killed};
const kv::report restart = kv::restart_report{{}, "registry", {}, {}, kv::exit_reason::killed};
const kv::report start = kv::start_report{{}, "registry", {}};
const kv::report oddity = kv::oddity_report{{}, "a row that names nobody"};

/// A time of the test's own.
report_printer::time_point at(std::chrono::nanoseconds since_start) {
  return report_printer::time_point(1h) + since_start;
}

std::string text_of(const kv::report& entry) {
  std::ostringstream out;
  out << entry << '\n';
  return out.str();
}

std::string times(std::size_t count, const std::string& block) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += block;
  return result;
}

/// For its scope, what is printed to standard error comes here.
class caught_errors {
 public:
  caught_errors() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  caught_errors(const caught_errors&) = delete;
  caught_errors& operator=(const caught_errors&) = delete;
  ~caught_errors() { std::cerr.rdbuf(before_); }
  std::string take() { return std::exchange(text_, std::ostringstream()).str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

void crash_one(kv::runtime& home) {
  const auto leaf = home.spawn<blank_leaf>();
  CHECK_THROWS_AS(inside(leaf, [] { throw std::runtime_error("sour"); }), kv::call_error);
}

}  // namespace

TEST_CASE("as many reports as a second holds are printed whole, and nothing is said at the end") {
  std::ostringstream out;
  {
    report_printer printer(out, 3);
    for (int i = 0; i < 3; ++i) printer.print(crash, at(0s));
  }
  CHECK(out.str() == times(3, text_of(crash)));
}

TEST_CASE("what a second does not hold is counted by kind and told before the next report") {
  std::ostringstream out;
  report_printer printer(out, 2);
  for (int i = 0; i < 5; ++i) printer.print(crash, at(0s));
  printer.print(restart, at(999ms));
  printer.print(oddity, at(999'999'999ns));
  printer.print(oddity, at(999'999'999ns));
  CHECK(out.str() == times(2, text_of(crash)));
  printer.print(restart, at(1s));
  CHECK(out.str() ==
        times(2, text_of(crash)) + "kv: left out 6 reports: 3 crashes, 1 restart, 2 oddities\n" + text_of(restart));
}

TEST_CASE("each second counts for itself, and begins with a report") {
  std::ostringstream out;
  report_printer printer(out, 1);
  printer.print(crash, at(0s));
  printer.print(crash, at(10ms));
  printer.print(restart, at(10s));     // a second begins here
  printer.print(crash, at(10'999ms));  // and this is still in it
  CHECK(out.str() == text_of(crash) + "kv: left out 1 report: 1 crash\n" + text_of(restart));
  printer.print(oddity, at(11s));
  printer.print(oddity, at(12s));  // nothing was left out since
  CHECK(out.str() == text_of(crash) + "kv: left out 1 report: 1 crash\n" + text_of(restart) +
                         "kv: left out 1 report: 1 crash\n" + times(2, text_of(oddity)));
}

TEST_CASE("what was left out is told at the end") {
  std::ostringstream out;
  {
    report_printer printer(out, 1);
    for (int i = 0; i < 1235; ++i) printer.print(crash, at(0s));
    printer.print(restart, at(1ms));
  }
  CHECK(out.str() == text_of(crash) + "kv: left out 1235 reports: 1234 crashes, 1 restart\n");
}

TEST_CASE("a printer that never printed says nothing") {
  std::ostringstream out;
  {
    report_printer printer(out);
  }
  CHECK(out.str().empty());
}

TEST_CASE("starts are neither printed nor counted") {
  std::ostringstream out;
  {
    report_printer printer(out, 1);
    for (int i = 0; i < 3; ++i) printer.print(start, at(0s));
    printer.print(crash, at(0s));
    printer.print(start, at(0s));
  }
  CHECK(out.str() == text_of(crash));
}

TEST_CASE("a report that comes with an earlier time, from a slower thread, belongs to the same second") {
  std::ostringstream out;
  report_printer printer(out, 1);
  printer.print(crash, at(5ms));
  printer.print(crash, at(4ms));
  CHECK(out.str() == text_of(crash));
}

TEST_CASE("reports of many threads are each printed whole or counted" * needs_threads) {
  std::ostringstream out;
  {
    report_printer printer(out, 100);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 100; ++k) printer.print(crash, at(0s));
      });
    }
  }
  CHECK(out.str() == times(100, text_of(crash)) + "kv: left out 300 reports: 300 crashes\n");
}

TEST_CASE("a runtime without a sink prints 20 reports a second, by its own clock") {
  caught_errors errors;
  {
    kv::simulation world(kv::simulation_options{});
    for (int i = 0; i < 25; ++i) crash_one(world);
    CHECK(count(errors.take(), "crashed") == 20);
    world.advance(999ms);
    crash_one(world);
    CHECK(errors.take() == "");
    world.advance(1ms);
    crash_one(world);
    const auto printed = errors.take();
    CHECK(printed.starts_with("kv: left out 6 reports: 6 crashes\nkv: process "));
    CHECK(count(printed, "crashed") == 1);
    for (int i = 0; i < 20; ++i) crash_one(world);
    errors.take();
  }
  CHECK(errors.take() == "kv: left out 1 report: 1 crash\n");
}

TEST_CASE("a runtime with a sink prints nothing and leaves nothing out") {
  caught_errors errors;
  reports seen;
  {
    kv::simulation world({.runtime = {.on_report = seen.sink()}});
    for (int i = 0; i < 50; ++i) crash_one(world);
  }
  CHECK(seen.all<kv::crash_report>().size() == 50);
  CHECK(errors.take() == "");
}

}  // namespace report_printer_test
