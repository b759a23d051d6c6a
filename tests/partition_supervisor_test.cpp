// Promises under test: a key always finds the same partition, the keys spread over all; a partition that dies takes its
// own children along and comes back under its name; all of it ends with its root.
#include <doctest/doctest.h>

#include <set>
#include <stdexcept>

#include "children.hpp"
#include "reports.hpp"

namespace partition_supervisor_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using partitions = kv::partition_supervisor<>;

kv::partition_options parts(std::size_t count) { return {.name = "parts", .partitions = count, .period = long_period}; }

}  // namespace

TEST_CASE("a key belongs to one partition, for ever") {
  kv::runtime runtime({.threads = 2});
  const auto p = partitions::start(runtime, parts(4));
  CHECK(p.partitions() == 4);
  const std::string milk = "milk";
  CHECK(p.index_of(milk) == p.index_of("milk"));  // the text, not where it is
  CHECK(p.index_of(std::string_view(milk)) == p.index_of("milk"));
  CHECK(p.of("milk") == p.at(p.index_of("milk")));
  CHECK(p.of(7) == p.of(7));
  const partitions again(runtime, parts(4));
  CHECK(again.of("milk") == p.of("milk"));
  CHECK(again.root() == p.root());
}

TEST_CASE("keys spread over all partitions, also those that are alike") {
  kv::runtime runtime({.threads = 1});
  const partitions p(runtime, parts(8));  // need not run
  std::vector<int> by_number(8), by_step(8), by_text(8);
  for (int i = 0; i < 8'000; ++i) {
    ++by_number[p.index_of(i)];
    ++by_step[p.index_of(8 * i)];
    ++by_text[p.index_of("bucket-" + std::to_string(i))];
  }
  for (const auto& counts : {by_number, by_step, by_text}) {
    for (const int count : counts) {
      CHECK(count > 700);
      CHECK(count < 1'300);
    }
  }
}

TEST_CASE("children live in the partition of their key") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto all = partitions::start(runtime, parts(4));
  std::set<kv::pid> expected;
  for (int key = 0; key < 100; ++key) {
    const auto answer = all.start_child<child>(key, p.id(), std::to_string(key));
    REQUIRE(answer);
    expected.insert(answer.who);
    const auto there = all.of(key).call(&kv::dynamic_supervisor::children);
    CHECK(std::ranges::find(there, answer.who) != there.end());
  }
  const auto living = all.children();
  CHECK(std::set(living.begin(), living.end()) == expected);
  CHECK(living.size() == 100);
  CHECK(all.count_children() == kv::child_counts{.specs = 100, .active = 100, .workers = 100});
}

TEST_CASE("a partition that dies takes its children along, and no other's, and is there again under its name") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto all = partitions::start(runtime, parts(2));
  const auto mine = all.start_child<child>(0, p.id(), "mine").who;
  int other_key = 1;
  while (all.index_of(other_key) == all.index_of(0)) ++other_key;
  const auto others = all.start_child<child>(other_key, p.id(), "other's").who;
  p.monitor(mine);
  const auto before = all.of(0);
  kill_and_await(runtime, before);
  p.expect_down(mine);
  const kv::ref<kv::supervisor> root(runtime.core(), all.root());
  root.call(&kv::supervisor::which_children);  // comes after the restart
  CHECK(all.of(0) != before);
  CHECK(all.count_children().active == 1);
  CHECK(runtime.alive(others));
  CHECK(all.start_child<child>(0, p.id(), "again"));
}

TEST_CASE("a partition that is down is a call_error, as is one that never was") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const partitions none(runtime, parts(2));
  CHECK_FALSE(none.root());
  CHECK_THROWS_AS(none.of("milk"), kv::call_error);
  const auto all = partitions::start(runtime, parts(2));
  const kv::ref<kv::supervisor> root(runtime.core(), all.root());
  kv::testing::suspended frozen(runtime, root);
  kill_and_await(runtime, all.of("milk"));
  CHECK_THROWS_AS(all.of("milk"), kv::call_error);
  CHECK_THROWS_AS(all.count_children(), kv::call_error);
}

TEST_CASE("partitions end with their root, and as the child of a supervisor with that") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto under = kv::supervisor_child("parts", [&] { return partitions::start(runtime, parts(3)).root(); });
  const auto s = supervise(runtime, {under});
  const partitions all(runtime, parts(3));
  CHECK(info_of(s, "parts").who == all.root());
  for (int key = 0; key < 10; ++key) all.start_child<child>(key, p.id(), "it");
  CHECK(shut_down(p, runtime, s) == kv::exit_reason::shutdown);
  CHECK(expect_ids<stopped>(p, 10).size() == 10);
  CHECK_FALSE(all.root());
}

TEST_CASE("any server can be partitioned, each made of the same arguments") {
  struct shelf {
    explicit shelf(std::string text) : label(std::move(text)) {}
    std::string label;
  };
  kv::runtime runtime({.threads = 2});
  const auto shelves = kv::partition_supervisor<shelf>::start(runtime, parts(3), std::string("dairy"));
  for (std::size_t i = 0; i < 3; ++i) CHECK(shelves.at(i).call([](shelf& s) { return s.label; }) == "dairy");
  CHECK(shelves.at(0) != shelves.at(1));
}

TEST_CASE("partitions that make no sense are refused, as are those of a name that is taken") {
  kv::runtime runtime({.threads = 1});
  CHECK_THROWS_WITH_AS(partitions::start(runtime, parts(0)), "partition_options::partitions must be more than 0",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(partitions::start(runtime, {.name = ""}), "partition_options::name must not be empty",
                       std::invalid_argument);
  const auto first = partitions::start(runtime, parts(2));
  CHECK_THROWS_AS(partitions::start(runtime, parts(2)), kv::name_taken);
  CHECK(runtime.process_count() == 3);
}

}  // namespace partition_supervisor_test
