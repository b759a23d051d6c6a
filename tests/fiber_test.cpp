// Promises under test: exceptions belong to the process that threw them, whoever else runs on its thread while it is
// blocked in a catch block or in a destructor.
#include <doctest/doctest.h>

#include <array>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"

namespace fiber_test {

using kv::testing::probe;

namespace {

struct go_on {};

std::string text_of_current_exception() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  }
}

/// Blocks when it is destroyed, and says how many exceptions were in flight before and after.
struct blocks_at_end {
  kv::pid to;
  explicit blocks_at_end(kv::pid reader) : to(reader) {}
  blocks_at_end(const blocks_at_end&) = delete;
  blocks_at_end& operator=(const blocks_at_end&) = delete;
  ~blocks_at_end() {
    const auto before = std::uncaught_exceptions();
    kv::send(to, true);
    kv::receive<go_on>();
    kv::send(to, std::pair(before, std::uncaught_exceptions()));
  }
};

}  // namespace

TEST_CASE("processes that block inside a catch block see their own exception afterwards") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  std::array<kv::pid, 2> both;
  for (std::size_t i = 0; i < 2; ++i) {
    both[i] = runtime.spawn([to = kv::pid(p), i] {
      try {
        throw std::runtime_error(std::to_string(i));
      } catch (const std::runtime_error& e) {
        const auto mine = std::current_exception();
        kv::send(to, true);
        kv::receive<go_on>();
        const bool same = std::current_exception() == mine;
        kv::send(to, (same ? "same " : "other ") + text_of_current_exception() + ' ' + e.what());
      }
      kv::send(to, std::current_exception() == nullptr);
    });
    p.expect<bool>();  // it waits in its catch block now
  }
  for (std::size_t i = 0; i < 2; ++i) {  // first in, first out: the order that mixes them up
    runtime.send(both[i], go_on{});
    CHECK(p.expect<std::string>() == "same " + std::to_string(i) + ' ' + std::to_string(i));
    CHECK(p.expect<bool>());
  }
}

TEST_CASE("nested catch blocks are kept, level by level") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  std::vector<kv::pid> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(runtime.spawn([to = kv::pid(p), i] {
      std::string seen;
      try {
        throw std::runtime_error("outer" + std::to_string(i));
      } catch (...) {
        try {
          throw std::runtime_error("inner" + std::to_string(i));
        } catch (...) {
          kv::send(to, true);
          kv::receive<go_on>();
          seen = text_of_current_exception();
        }
        kv::send(to, true);
        kv::receive<go_on>();
        kv::send(to, seen + text_of_current_exception());
      }
    }));
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) p.expect<bool>();
    for (const auto each : all) runtime.send(each, go_on{});
  }
  std::string seen;
  for (int i = 0; i < 10; ++i) seen += p.expect<std::string>();
  for (int i = 0; i < 10; ++i) {
    CHECK(seen.find("inner" + std::to_string(i) + "outer" + std::to_string(i)) != std::string::npos);
  }
}

TEST_CASE("a process that has not thrown sees no exception while another waits inside a catch block") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto other = runtime.spawn([to = kv::pid(p)] {
    try {
      throw 1;
    } catch (int) {
      kv::send(to, true);
      kv::receive<go_on>();
    }
  });
  p.expect<bool>();
  const auto w = runtime.spawn<blank>();
  CHECK(w.call([](blank&) { return std::current_exception() == nullptr && std::uncaught_exceptions() == 0; }));
  runtime.send(other, go_on{});
}

TEST_CASE("destructors that block while exceptions are in flight count their own") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  std::array<kv::pid, 2> both;
  for (std::size_t i = 0; i < 2; ++i) {
    both[i] = runtime.spawn([to = kv::pid(p), i] {
      const blocks_at_end last(to);
      throw std::runtime_error(std::to_string(i));
    });
    p.monitor(both[i]);
    p.expect<bool>();
  }
  const auto w = runtime.spawn<blank>();
  CHECK(w.call([](blank&) { return std::uncaught_exceptions(); }) == 0);
  for (std::size_t i = 0; i < 2; ++i) {
    runtime.send(both[i], go_on{});
    CHECK(p.expect<std::pair<int, int>>() == std::pair(1, 1));
    CHECK(p.expect_down(both[i]).reason.text() == std::to_string(i));
  }
}

TEST_CASE("a crash while another process waits inside a catch block is reported as what it was") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto other = runtime.spawn([to = kv::pid(p)] {
    try {
      throw std::runtime_error("mine");
    } catch (...) {
      kv::send(to, true);
      kv::receive<go_on>();
      kv::send(to, text_of_current_exception());
    }
  });
  p.expect<bool>();
  const auto w = runtime.spawn<blank>();
  CHECK_THROWS_WITH(w.call([](blank&) { throw std::runtime_error("no milk"); }), doctest::Contains("no milk"));
  runtime.send(other, go_on{});
  CHECK(p.expect<std::string>() == "mine");
}

}  // namespace fiber_test
