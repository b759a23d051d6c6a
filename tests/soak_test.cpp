// Promises under test: the soak test counts durations as they are, tells which events are missing, knows which kills may
// excuse a failure, and finds what stays mapped. It is of no use if it cannot fail.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <sys/mman.h>

#include <kv/detail/cells.hpp>
#include <kv/testing.hpp>
#include <soak/calamities.hpp>
#include <soak/event_log.hpp>
#include <soak/histogram.hpp>
#include <soak/progress.hpp>
#include <soak/resources.hpp>

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
  CHECK(kills.count() == 1);
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
