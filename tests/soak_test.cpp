// Promises under test: the soak test counts durations as they are, tells which events are missing, knows which kills may
// and which shortages may excuse a failure, and finds what stays mapped. It is of no use if it cannot fail.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <kv/detail/cells.hpp>
#include <kv/testing.hpp>
#include <soak/calamities.hpp>
#include <soak/client.hpp>
#include <soak/event_log.hpp>
#include <soak/excuses.hpp>
#include <soak/histogram.hpp>
#include <soak/progress.hpp>
#include <soak/resources.hpp>
#include <soak/shortage.hpp>

#include "exploring.hpp"

namespace soak_test {

using kv::soak::calamities;
using kv::soak::event_log;
using kv::soak::handed_out;
using kv::soak::histogram;
using kv::soak::part;

namespace {

/// A log that is told a story by hand, and what it says of it.
struct heard {
  std::vector<std::string> said;
  kv::soak::findings found{[this](const std::string& text) { said.push_back(text); }};
  event_log log{found};

  void created(std::uint32_t bucket) { log.handle(kv::created{"milk", {bucket, 1, 1}}); }
  void exited(std::uint32_t bucket) { log.handle(kv::exited{"milk", {bucket, 1, 1}, kv::exit_reason::killed}); }
  void handed(std::uint32_t bucket) { log.handle(handed_out{"milk", {bucket, 1, 1}}); }
};

/// Memory that is part of no other mapping.
class mapped {
 public:
  explicit mapped(std::size_t size)
      : size_(size), memory_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
  }
  mapped(const mapped&) = delete;
  mapped& operator=(const mapped&) = delete;
  ~mapped() { ::munmap(memory_, size_); }

  void guard_first_page() const { REQUIRE(::mprotect(memory_, 4096, PROT_NONE) == 0); }

 private:
  std::size_t size_;
  void* memory_;
};

/// A tree and one client, which works when it is told to.
struct world_of_one {
  std::vector<std::string> said;
  kv::soak::findings found{[this](const std::string& text) { said.push_back(text); }};
  calamities kills;
  kv::soak::restart_log restarts;
  kv::soak::hearing ears;
  kv::soak::pacemaker pace;
  std::atomic<bool> is_over{false};
  kv::runtime home{{.threads = 2}};
  kv::ref<kv::soak::keeper> keeper =
      home.spawn<kv::soak::keeper>(kv::soak::keeper::surroundings{home, found, kills, restarts, ears});
  kv::soak::client one{{home, keeper, kills, found, pace, is_over}, 0, 1, false};
};

constexpr const char* large_pages = "/sys/kernel/mm/transparent_hugepage";

}  // namespace

TEST_CASE("a histogram without values has no percentiles") {
  const histogram h;
  CHECK(h.count() == 0);
  CHECK(h.quantile(0.5) == 0);
  CHECK(h.quantile(1) == 0);
}

TEST_CASE("percentiles are exact below 64 and at most 1/32 too high above, for every magnitude") {
  for (std::uint64_t value = 1; value != 0; value <<= 1U) {
    for (const auto v : {value - 1, value, value + value / 3}) {
      CAPTURE(v);
      histogram h;
      h.record(v);
      const auto read = h.quantile(1);
      CHECK(read >= v);
      CHECK(read - v <= (v < 64 ? 0 : v / 32));
      CHECK(h.quantile(0) == read);
    }
  }
}

TEST_CASE("percentiles are those of all values, also of histograms that were added up") {
  histogram a, b;
  for (std::uint64_t i = 0; i < 50; ++i) {
    a.record(i);
    b.record(50 + i);
  }
  a += b;
  CHECK(a.count() == 100);
  CHECK(a.quantile(0.1) == 10);
  CHECK(a.quantile(0.5) == 50);
  CHECK(a.quantile(0.99) == 99);
  CHECK(a.quantile(1) == 99);
}

TEST_CASE("durations are printed short") {
  CHECK(kv::soak::duration_text(0) == "0ns");
  CHECK(kv::soak::duration_text(9'999) == "9999ns");
  CHECK(kv::soak::duration_text(10'000) == "10us");
  CHECK(kv::soak::duration_text(25'000'000) == "25ms");
  CHECK(kv::soak::duration_text(12'000'000'000'000) == "12000s");
}

TEST_CASE("a name's story is believed, also when it is told twice or late") {
  heard h;
  h.created(1);
  h.handed(1);
  h.created(1);
  h.exited(1);
  h.exited(1);
  h.created(2);  // whose creator was told of a failure
  h.exited(2);
  h.handed(3);
  h.handed(4);  // the event manager was down
  for (const std::uint32_t bucket : {3U, 4U}) {
    h.created(bucket);
    h.exited(bucket);
  }
  h.log.finish();
  CHECK(h.said == std::vector<std::string>{});
}

TEST_CASE("each way in which an event can be missing is found") {
  const auto tell = [](auto story) {
    heard h;
    story(h);
    h.log.finish();
    CHECK(h.found.lost_count() == h.said.size());
    return h.said.size() == 1 ? h.said.front() : "found " + std::to_string(h.said.size());
  };
  CHECK(tell([](heard& h) { h.created(1), h.created(2), h.exited(2); }) ==
        "LOST: no exited of <1.1> before created of milk <2.1>");
  CHECK(tell([](heard& h) { h.created(1); }) == "LOST: no exited of milk <1.1> by the end");
  CHECK(tell([](heard& h) { h.exited(1); }) ==
        "LOST: no created before exited of milk <1.1>; the last event was of " + kv::to_string(kv::pid{}));
  CHECK(tell([](heard& h) { h.handed(1); }) == "LOST: no created of milk <1.1> by the end");
  CHECK(tell([](heard& h) { h.handed(1), h.handed(2), h.created(2), h.exited(2); }) ==
        "LOST: no created of <1.1> before created of milk <2.1>");
}

TEST_CASE("an event that comes again after others is wrong") {
  heard h;
  h.created(1);
  h.exited(1);
  h.created(1);
  CHECK(h.said == std::vector<std::string>{"WRONG: created of milk <1.1> after its exited"});
  CHECK(h.found.wrong_count() == 1);
}

TEST_CASE("a kill excuses what failed while it was under way, and nothing before or after, and nothing else") {
  calamities kills;
  const auto before = kills.now();
  CHECK_FALSE(kills.any_since(before));
  kills.begin(part::registry);
  const auto meanwhile = kills.now();
  CHECK(kills.any_since(before, part::registry));
  CHECK(kills.any_since(meanwhile, part::registry));
  CHECK_FALSE(kills.any_since(before, part::buckets));
  kills.end(part::registry);
  CHECK(kills.any_since(before));
  CHECK(kills.any_since(meanwhile, part::registry));
  CHECK_FALSE(kills.any_since(kills.now()));
  CHECK(kills.kills() == 1);
  CHECK(kills.shortages() == 0);
}

TEST_CASE("a shortage of memory excuses the end of every part while it lasts, one of stacks or threads that of none") {
  calamities kills;
  const auto before = kills.now();
  const auto excused = [&](const calamities::moment& then) {
    int result = 0;
    for (const auto each : {part::events, part::buckets, part::registry, part::tree}) {
      if (kills.may_have_ended_since(then, each)) ++result;
    }
    return result;
  };
  for (const auto each : {part::stacks, part::threads}) {
    kills.begin(each);
    CHECK(excused(before) == 0);
    kills.end(each);
  }
  kills.begin(part::memory);
  CHECK(excused(before) == 4);
  kills.end(part::memory);
  CHECK(excused(before) == 4);
  CHECK(excused(kills.now()) == 0);
  CHECK(kills.shortages() == 3);
  CHECK(kills.kills() == 0);
}

TEST_CASE("a report is excused by the calamities that may cause it, while they last") {
  using kv::soak::may_be_reported;
  const kv::report crash = kv::crash_report{};
  const kv::report oddity = kv::oddity_report{};
  const kv::report removal = kv::handler_report{};
  const kv::report never = kv::unhandled_report{};
  const auto excused = [&](const calamities& kills) {
    std::string result;
    if (may_be_reported(kills, crash)) result += "crash ";
    if (may_be_reported(kills, oddity)) result += "oddity ";
    if (may_be_reported(kills, removal)) result += "removal ";
    if (may_be_reported(kills, never)) result += "never ";
    return result;
  };
  const std::vector<std::pair<part, std::string>> expected{{part::events, ""},
                                                           {part::buckets, ""},
                                                           {part::registry, ""},
                                                           {part::stacks, ""},
                                                           {part::tree, "crash oddity "},
                                                           {part::memory, "crash oddity removal "},
                                                           {part::threads, "oddity removal "}};
  calamities kills;
  for (const auto& [what, text] : expected) {
    CAPTURE(static_cast<int>(what));
    kills.begin(what);
    CHECK(excused(kills) == text);
    kills.end(what);
    CHECK(excused(kills).empty());
  }
}

TEST_CASE("memory is short for the tree's own processes alone, and not where they work for the model" *
          doctest::test_suite("needs threads")) {
  using kv::soak::shortage;
  kv::runtime home({.threads = 1});
  const auto holder = home.spawn<kv::bucket>();
  const auto stranger = kv::agent<int>::start(home, [] { return 0; });
  const auto ask_twice = [] {
    const bool first = shortage::refuses_memory();
    const shortage::exemption of_the_model;
    return std::pair(first, shortage::refuses_memory());
  };
  const auto ask = [&] {
    return std::pair(holder.call([&](kv::bucket&) { return ask_twice(); }),
                     stranger.get([&](int) { return ask_twice(); }));
  };
  const std::pair nothing{false, false};
  CHECK(ask() == std::pair(nothing, nothing));
  shortage::of_memory(1);
  const auto answers = ask();
  const bool outside = shortage::refuses_memory();
  shortage::of_memory(0);
  CHECK(answers == std::pair(std::pair(true, false), nothing));
  CHECK_FALSE(outside);
  CHECK(ask() == std::pair(nothing, nothing));
}

TEST_CASE("a value that a bucket has lost is found while stacks are short" * doctest::test_suite("needs threads")) {
  world_of_one w;
  w.kills.begin(part::stacks);
  w.one.work();
  CHECK(w.said == std::vector<std::string>{});
  // Behind the client's back.
  for (const auto& [name, bucket] : w.keeper.call(&kv::soak::keeper::current).tree.registry.list()) {
    for (const auto& key : bucket.call(&kv::bucket::keys)) bucket.call(&kv::bucket::erase, key);
  }
  w.one.work();
  CHECK(w.found.lost_count() > 0);
}

// Sanitizers map memory of their own.
TEST_CASE("what is mapped is counted, and what is a stack is told from the rest" * doctest::skip(sanitized)) {
  const auto before = kv::soak::count_mappings();
  const mapped some(3 * 4096);
  CHECK(kv::soak::count_mappings().all == before.all + 1);
  CHECK(kv::soak::count_mappings().stacks == before.stacks);
  const mapped stack(4096 + kv::soak::stack_size);
  stack.guard_first_page();
  CHECK(kv::soak::count_mappings().all == before.all + 3);
  CHECK(kv::soak::count_mappings().stacks == before.stacks + 1);
}

TEST_CASE("slabs of rows are not counted, small or large" *
          doctest::skip(sanitized || !std::filesystem::exists(large_pages))) {
  const auto before = kv::soak::count_mappings().all;
  kv::detail::slabs from(64);
  auto* const small = from.take(1);
  CHECK(kv::soak::count_mappings().all == before);
  auto* const rest = from.take(100'000);
  auto* const large = from.take(1);
  CHECK(from.count() == 2);
  CHECK(kv::soak::count_mappings().all == before);
  for (auto* const each : {small, rest, large}) from.give(each);
  from.trim();
  CHECK(from.count() == 0);
}

}  // namespace soak_test
