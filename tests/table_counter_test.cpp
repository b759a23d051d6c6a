// Promises under test: counters count as those of ETS do, with thresholds, in lists and from defaults; what they cannot
// hold is refused, and then nothing has been counted.
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "table_kinds.hpp"

namespace table_counter_test {

namespace {

struct traffic {
  std::string subscriber = {};
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  std::int8_t credit = 0;
  double load = 0;
  friend bool operator==(const traffic&, const traffic&) = default;
};

template <class Number, class Kind = kv::set>
kv::table<int, Number, Kind> counter_at(kv::runtime& home, Number start) {
  auto result = open_table<kv::table<int, Number, Kind>>(home);
  result.insert(1, start);
  return result;
}

using kv::add;

}  // namespace

TEST_CASE_TEMPLATE("a number counts, and is absent where it is absent", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = counter_at<int, Kind>(runtime, 10);
  CHECK(t.update_counter(1, 5) == 15);
  CHECK(t.update_counter(1, -20) == -5);
  CHECK(t.update_counter(1, 0) == -5);
  CHECK(t.update_counter(1, add(7L)) == 2);
  CHECK(t.lookup(1) == 2);
  CHECK_FALSE(t.update_counter(2, 1));
  CHECK_FALSE(t.member(2));
  CHECK(t.update_counter(2, 3, 5) == 8);  // the default is counted up as well
  CHECK(t.update_counter(2, 3, 5) == 11);
}

TEST_CASE_TEMPLATE("members count, by themselves and in lists", Kind, kv::set, kv::ordered_set, locked_set,
                   locked_ordered_set) {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<std::string, traffic, Kind>>(runtime);
  const std::vector steps{add(1500).to(&traffic::bytes), add(1).to(&traffic::packets), add(-500).to(&traffic::bytes)};
  CHECK_FALSE(t.update_counter("ann", add(1).to(&traffic::bytes)));
  CHECK_FALSE(t.update_counter("ann", steps));
  CHECK(t.size() == 0);
  CHECK(t.update_counter("ann", steps, {.subscriber = "Ann", .packets = 7}) ==
        std::vector<std::uint64_t>{1500, 8, 1000});
  CHECK(t.update_counter("ann", steps) == std::vector<std::uint64_t>{2500, 9, 2000});
  CHECK(t.update_counter("ann", add(-1).to(&traffic::credit)) == -1);
  CHECK(t.update_counter("ann", add(0.5).to(&traffic::load)) == 0.5);
  CHECK(t.update_counter("ann", add(1).to(&traffic::load)) == 1.5);
  CHECK(t.lookup("ann") == traffic{"Ann", 2000, 9, -1, 1.5});
}

TEST_CASE("an empty list counts nothing, and asks for the key all the same") {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, traffic>>(runtime);
  const decltype(std::vector{add(1).to(&traffic::bytes)}) none;
  CHECK_FALSE(t.update_counter(1, none));
  CHECK(t.update_counter(1, none, {.packets = 3}).empty());
  CHECK(t.lookup(1) == traffic{.packets = 3});
  CHECK(t.update_counter(1, none) == std::vector<std::uint64_t>{});
}

TEST_CASE("a counter wraps when it has passed its threshold, in the direction in which it counts") {
  struct row {
    int before, increment, threshold, start, after;
  };
  // As ets:update_counter(T, K, {2, Increment, Threshold, Start}) answers in OTP 25.
  const std::vector<row> rows{{99, 1, 100, 0, 100},                        // at the threshold it stays
                              {100, 1, 100, 0, 0},   {10, 0, 5, 1, 1},     // no increment counts as up
                              {10, 0, 50, 1, 10},    {10, -5, 5, 99, 5},   // neither does it wrap here
                              {5, -1, 5, 99, 99},    {10, -1, 5, 99, 9},   // far above is not below
                              {10, 1, 10, 500, 500}, {0, 1000, 10, 3, 3},  // how far does not matter
                              {-3, -1, -3, 0, 0},    {-10, 1, -5, 0, -9}};
  kv::runtime runtime({.threads = 1});
  for (const auto& [before, increment, threshold, start, after] : rows) {
    CAPTURE(before);
    CAPTURE(increment);
    CAPTURE(threshold);
    auto t = counter_at(runtime, before);
    CHECK(t.update_counter(1, add(increment).wrap_past(threshold, start)) == after);
    CHECK(t.lookup(1) == after);
  }
}

TEST_CASE("the threshold of a member may be named before and after it") {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, traffic>>(runtime);
  t.insert(1, {.packets = 9});
  CHECK(t.update_counter(1, add(1).to(&traffic::packets).wrap_past(9, 1)) == 1);
  CHECK(t.update_counter(1, add(9).wrap_past(9, 2).to(&traffic::packets)) == 2);
  const std::vector steps{add(8).to(&traffic::packets).wrap_past(9, 3), add(1).to(&traffic::packets)};
  CHECK(t.update_counter(1, steps) == std::vector<std::uint64_t>{3, 4});
}

TEST_CASE_TEMPLATE("a number at its limit cannot be counted further", Number, std::int8_t, std::uint8_t, std::int16_t,
                   std::uint32_t, std::int64_t, std::uint64_t) {
  constexpr auto least = std::numeric_limits<Number>::min(), greatest = std::numeric_limits<Number>::max();
  kv::runtime runtime({.threads = 1});
  auto t = counter_at<Number>(runtime, greatest);
  static_assert(std::is_same_v<decltype(t.update_counter(1, 1)), std::optional<Number>>);
  CHECK_THROWS_AS(t.update_counter(1, 1), std::overflow_error);
  CHECK_THROWS_AS(t.update_counter(1, std::numeric_limits<std::uint64_t>::max()), std::overflow_error);
  CHECK(t.lookup(1) == greatest);
  t.insert(1, least);
  CHECK_THROWS_AS(t.update_counter(1, -1), std::overflow_error);
  CHECK_THROWS_AS(t.update_counter(1, std::numeric_limits<std::int64_t>::min()), std::overflow_error);
  CHECK(t.lookup(1) == least);
  CHECK(t.update_counter(1, greatest) == Number(least + greatest));
  // Compared first, and only what comes out must fit.
  t.insert(1, greatest);
  CHECK(t.update_counter(1, add(1).wrap_past(greatest, 3)) == 3);
  CHECK(t.update_counter(1, add(-4).wrap_past(least, greatest)) == (least == 0 ? greatest : Number(-1)));
  if constexpr (sizeof(Number) < 8) {
    t.insert(1, 0);
    CHECK_THROWS_AS(t.update_counter(1, add(1).wrap_past(0, std::int64_t{greatest} + 1)), std::overflow_error);
    CHECK(t.lookup(1) == 0);
  }
}

TEST_CASE("a list of steps of which one overflows does none") {
  kv::runtime runtime({.threads = 1});
  auto t = open_table<kv::table<int, traffic>>(runtime);
  t.insert(1, {.bytes = 5});
  const std::vector steps{add(1).to(&traffic::bytes), add(-1).to(&traffic::packets), add(1).to(&traffic::bytes)};
  CHECK_THROWS_WITH_AS(t.update_counter(1, steps), "a counter at 0 would leave the range of its type",
                       std::overflow_error);
  CHECK(t.lookup(1) == traffic{.bytes = 5});
  CHECK_THROWS_AS(t.update_counter(2, steps, {}), std::overflow_error);
  CHECK_FALSE(t.member(2));
}

namespace {

template <class Table, class Op>
concept can_count = requires(Table t, Op op) { t.update_counter(1, op); };

// What is no number does not compile; nor do members of something else.
static_assert(can_count<kv::table<int, long>, int> && can_count<kv::table<int, float>, double>);
static_assert(!can_count<kv::table<int, bool>, int> && !can_count<kv::table<int, int>, bool>);
static_assert(!can_count<kv::table<int, std::string>, int> && !can_count<kv::table<int, traffic>, int>);
static_assert(!can_count<kv::table<int, int>, decltype(add(1).to(&traffic::bytes))>);

}  // namespace

}  // namespace table_counter_test
