// Promises under test: the checker believes every history that some order explains, and no other; it says where the
// first contradiction is. Tables that are broken on purpose are found out.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servers.hpp"
#include "table_clients.hpp"

namespace linearizability_test {

using kv::table_access;
using linearizability::answer;
using linearizability::call;
using linearizability::find_violation;
using linearizability::no_table;
using linearizability::wrap_at;
using enum linearizability::verb;

namespace {

using value = std::optional<int>;
constexpr std::monostate done{};
constexpr value nothing{};

/// A call on key 1.
call at(std::uint64_t start, std::uint64_t end, linearizability::verb what, int argument, answer said) {
  return {.what = what, .key = 1, .argument = argument, .answered = said, .client = 0, .start = start, .end = end};
}
call on(int key, call c) {
  c.key = key;
  return c;
}

bool is_believed(std::vector<call> history) { return !find_violation(std::move(history)); }

using numbers = kv::table<int, int>;

numbers open_numbers(kv::runtime& home) {
  return numbers::create(home, {.name = {}, .access = table_access::public_, .owner = home.spawn<blank>()});
}

/// Writes in two steps, between which something may happen.
class two_step_table : public numbers {
 public:
  two_step_table(const numbers& inner, std::function<void()> between) : numbers(inner), between_(std::move(between)) {}
  value insert_new(int key, int fresh) {
    if (const auto found = lookup(key)) return found;
    between_();
    insert(key, fresh);
    return std::nullopt;
  }
  bool erase_if_equal(int key, int expected) {
    const bool is_equal = lookup(key) == expected;
    if (!is_equal) return false;
    between_();
    return erase(key);
  }
  bool replace_if(int key, int expected, int fresh) {
    const bool is_equal = lookup(key) == expected;
    if (!is_equal) return false;
    between_();
    insert(key, fresh);
    return true;
  }
  template <class F>
  value update(int key, F change) {
    return change_there(key, lookup(key), change);
  }
  template <class F>
  value update(int key, F change, int fallback) {
    return change_there(key, lookup(key).value_or(fallback), change);
  }
  template <class Step>
  value update_counter(int key, const Step& step) {
    return change_there(key, lookup(key), [&](int n) { return step(n); });
  }
  value take(int key) {
    const auto found = lookup(key);
    between_();
    erase(key);
    return found;
  }

 private:
  template <class F>
  value change_there(int key, value old, F change) {
    if (!old) return std::nullopt;
    between_();
    insert(key, change(*old));
    return change(*old);
  }

  std::function<void()> between_;
};

/// Answers what it has once read from a cache, whatever others have written since.
class stale_table : public numbers {
 public:
  explicit stale_table(const numbers& inner) : numbers(inner) {}
  value lookup(int key) {
    if (const auto known = cache_.find(key); known != cache_.end()) return known->second;
    return cache_[key] = numbers::lookup(key);
  }

 private:
  std::map<int, value> cache_;
};

/// Another client makes its calls in the middle of the first one's call: an interleaving that is bound to happen.
bool is_believed_when_interrupted(const std::vector<call>& before, const call& interrupted,
                                  const std::vector<call>& meanwhile, const std::vector<call>& after) {
  kv::runtime runtime({.threads = 1});
  std::function<void()> interrupt;
  const two_step_table table(open_numbers(runtime), [&] { std::exchange(interrupt, [] {})(); });
  table_client a(table, 0, 0), b(table, 1, 0);
  const auto play = [](auto& who, const std::vector<call>& script) {
    for (const auto& c : script) who.make(c.what, c.key, c.argument);
  };
  interrupt = [] {};
  play(a, before);
  interrupt = [&] { play(b, meanwhile); };
  play(a, {interrupted});
  play(a, after);
  return !find_violation(table_clients<two_step_table>{a, b});
}

call plain(linearizability::verb what, int argument = 0) { return at(0, 0, what, argument, done); }

}  // namespace

TEST_CASE("an empty history and one call after the other are believed") {
  CHECK(is_believed({}));
  CHECK(is_believed({at(1, 2, lookup, 0, nothing), at(3, 4, insert, 7, done), at(5, 6, lookup, 0, value(7)),
                     at(7, 8, insert_new, 8, value(7)), at(9, 10, update, 2, value(9)), at(11, 12, take, 0, value(9)),
                     at(13, 14, update, 2, nothing), at(15, 16, insert_new, 8, nothing), at(17, 18, erase, 0, true),
                     at(19, 20, erase, 0, false), at(21, 22, insert, 1, done), at(23, 24, erase_if_equal, 2, false),
                     at(25, 26, erase_if_equal, 1, true), at(27, 28, take, 0, nothing)}));
  CHECK(is_believed(
      {at(1, 2, update_counter, 1, nothing), at(3, 4, member, 0, false), at(5, 6, read_in_place, 0, nothing),
       at(7, 8, update_or, 2, value(2)), at(9, 10, update_or, 2, value(4)), at(11, 12, member, 0, true),
       at(13, 14, replace_if, 3, false), at(15, 16, replace_if, 4, true), at(17, 18, read_in_place, 0, value(5)),
       at(19, 20, update_counter, wrap_at - 5, value(wrap_at)), at(21, 22, update_counter, 1, value(0))}));
}

TEST_CASE("every single answer that is wrong by itself is rejected") {
  const auto held = at(1, 2, insert, 7, done);
  CHECK_FALSE(is_believed({at(1, 2, lookup, 0, value(7))}));
  CHECK_FALSE(is_believed({held, at(3, 4, lookup, 0, nothing)}));
  CHECK_FALSE(is_believed({held, at(3, 4, lookup, 0, value(8))}));
  CHECK_FALSE(is_believed({held, at(3, 4, insert_new, 8, nothing)}));
  CHECK_FALSE(is_believed({at(3, 4, insert_new, 8, value(8))}));
  CHECK_FALSE(is_believed({held, at(3, 4, erase, 0, false)}));
  CHECK_FALSE(is_believed({at(3, 4, erase, 0, true)}));
  CHECK_FALSE(is_believed({held, at(3, 4, erase_if_equal, 8, true)}));
  CHECK_FALSE(is_believed({held, at(3, 4, erase_if_equal, 7, false)}));
  CHECK_FALSE(is_believed({held, at(3, 4, update, 1, value(7))}));
  CHECK_FALSE(is_believed({at(3, 4, update, 1, value(1))}));
  CHECK_FALSE(is_believed({held, at(3, 4, take, 0, nothing)}));
  CHECK_FALSE(is_believed({held, at(3, 4, take, 0, value(7)), at(5, 6, lookup, 0, value(7))}));
  CHECK_FALSE(is_believed({at(3, 4, member, 0, true)}));
  CHECK_FALSE(is_believed({held, at(3, 4, member, 0, false)}));
  CHECK_FALSE(is_believed({held, at(3, 4, read_in_place, 0, value(8))}));
  CHECK_FALSE(is_believed({at(3, 4, replace_if, 0, true)}));
  CHECK_FALSE(is_believed({held, at(3, 4, replace_if, 7, false)}));
  CHECK_FALSE(is_believed({held, at(3, 4, replace_if, 7, true), at(5, 6, lookup, 0, value(7))}));
  CHECK_FALSE(is_believed({at(3, 4, update_or, 1, value(1)), at(5, 6, lookup, 0, nothing)}));
  CHECK_FALSE(is_believed({held, at(3, 4, update_or, 1, value(1))}));
  CHECK_FALSE(is_believed({at(3, 4, update_counter, 1, value(1))}));
  CHECK_FALSE(is_believed({held, at(3, 4, update_counter, wrap_at, value(wrap_at + 7))}));
}

TEST_CASE("calls that overlap may have happened in any order") {
  const auto a = at(1, 10, insert, 1, done), b = at(2, 9, insert, 2, done);
  for (const int last : {1, 2}) {
    CHECK(is_believed({a, b, at(11, 12, lookup, 0, value(last))}));
    CHECK(is_believed({a, b, at(3, 4, lookup, 0, value(3 - last)), at(5, 6, lookup, 0, value(last))}));
  }
  CHECK(is_believed({a, at(3, 4, lookup, 0, nothing), at(5, 6, lookup, 0, value(1))}));
  // But not in two orders.
  CHECK_FALSE(
      is_believed({a, b, at(3, 4, lookup, 0, value(1)), at(5, 6, lookup, 0, value(2)), at(7, 8, lookup, 0, value(1))}));
  CHECK_FALSE(is_believed({a, at(3, 4, lookup, 0, value(1)), at(5, 6, lookup, 0, nothing)}));
}

TEST_CASE("a call that others overtook again and again may still come last, or first") {
  std::vector<call> history{at(1, 1000, insert, 5, done)};
  for (std::uint64_t i = 0; i < 200; ++i) {
    history.push_back(at(2 + 4 * i, 3 + 4 * i, insert, 6, done));
    history.push_back(at(4 + 4 * i, 5 + 4 * i, lookup, 0, value(6)));
  }
  auto last = history, first = history;
  last.push_back(at(1001, 1002, lookup, 0, value(5)));
  first.push_back(at(1001, 1002, lookup, 0, value(6)));
  CHECK(is_believed(last));
  CHECK(is_believed(first));
  last.push_back(at(1003, 1004, lookup, 0, value(6)));
  CHECK_FALSE(is_believed(last));
}

TEST_CASE("a stale read is rejected, and a read that overlaps the write is not") {
  const auto first = at(1, 2, insert, 1, done);
  CHECK_FALSE(is_believed({first, at(3, 4, insert, 2, done), at(5, 6, lookup, 0, value(1))}));
  CHECK(is_believed({first, at(3, 6, insert, 2, done), at(4, 5, lookup, 0, value(1))}));
}

TEST_CASE("a lost update is rejected") {
  const auto first = at(1, 2, insert, 10, done);
  CHECK(is_believed({first, at(3, 6, update, 1, value(12)), at(4, 5, update, 1, value(11))}));
  CHECK_FALSE(is_believed({first, at(3, 6, update, 1, value(11)), at(4, 5, update, 1, value(11))}));
}

TEST_CASE("of two who insert one new key or take one value, both cannot have won") {
  CHECK(is_believed({at(1, 4, insert_new, 1, value(2)), at(2, 3, insert_new, 2, nothing)}));
  CHECK_FALSE(is_believed({at(1, 4, insert_new, 1, nothing), at(2, 3, insert_new, 2, nothing)}));
  const auto first = at(1, 2, insert, 1, done);
  CHECK(is_believed({first, at(3, 6, take, 0, value(1)), at(4, 5, take, 0, nothing)}));
  CHECK_FALSE(is_believed({first, at(3, 6, take, 0, value(1)), at(4, 5, take, 0, value(1))}));
  CHECK_FALSE(is_believed({first, at(3, 6, take, 0, value(1)), at(4, 5, erase, 0, true)}));
}

TEST_CASE("a value that was never there cannot have been erased") {
  const auto first = at(1, 2, insert, 1, done);
  CHECK_FALSE(is_believed({first, at(3, 6, insert, 2, done), at(4, 5, erase_if_equal, 3, true)}));
  CHECK(is_believed({first, at(3, 6, insert, 2, done), at(4, 5, erase_if_equal, 2, true)}));
}

TEST_CASE("keys are judged apart, and the wrong one is named") {
  const std::vector<call> history{on(1, at(1, 2, insert, 1, done)), on(2, at(3, 4, insert, 2, done)),
                                  on(1, at(5, 6, lookup, 0, value(1))), on(2, at(7, 8, lookup, 0, value(1)))};
  CHECK(find_violation(history) ==
        "key 2 held nothing, and then no order explains what is marked:\n"
        "  [3, 4] client 0: insert(2, 2)\n"
        "> [7, 8] client 0: lookup(2) -> 1\n");
}

TEST_CASE("a violation is explained by the first wrong answer, and what led to it since the key was left alone") {
  const std::vector<call> history{at(1, 2, insert, 1, done),          at(3, 4, insert, 2, done),
                                  at(5, 10, update, 1, value(3)),     at(6, 8, erase_if_equal, 2, false),
                                  at(7, 20, insert_new, 9, value(4)), at(9, 12, lookup, 0, nothing),
                                  at(30, 31, lookup, 0, value(77))};
  CHECK(find_violation(history) ==
        "key 1 held 2, and then no order explains what is marked:\n"
        "  [5, 10] client 0: update(1, +1) -> 3\n"
        "  [6, 8] client 0: erase_if_equal(1, 2) -> false\n"
        "  [7, ...] client 0: insert_new(1, 9)\n"
        "> [9, 12] client 0: lookup(1) -> nothing\n");
}

TEST_CASE("a call that found no table has not happened, and none that started later may have") {
  const auto first = at(1, 2, insert, 1, done);
  CHECK(is_believed({first, at(3, 6, insert, 2, no_table{}), at(4, 7, lookup, 0, value(1))}));
  CHECK_FALSE(is_believed({first, at(3, 6, insert, 2, no_table{}), at(4, 7, lookup, 0, value(2))}));
  CHECK(find_violation({first, at(3, 4, lookup, 0, no_table{}), at(5, 6, lookup, 0, value(1))}) ==
        "the table was gone and answered all the same:\n"
        "  [3, 4] client 0: lookup(1) -> no_table\n"
        "> [5, 6] client 0: lookup(1) -> 1\n");
}

TEST_CASE("a table that does in two steps what should be one is found out") {
  const std::vector<call> held{plain(insert, 10)};
  // Undisturbed it cannot be told from a good one.
  CHECK(is_believed_when_interrupted(held, plain(update, 1), {}, {plain(lookup), plain(take), plain(insert_new, 3)}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(update, 1), {plain(update, 1)}, {}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(update, 1), {plain(erase)}, {plain(lookup)}));
  for (const auto counts : {update_or, update_counter}) {
    CHECK_FALSE(is_believed_when_interrupted(held, plain(counts, 1), {plain(counts, 1)}, {}));
    CHECK_FALSE(is_believed_when_interrupted(held, plain(counts, 1), {plain(erase)}, {plain(lookup)}));
  }
  CHECK_FALSE(is_believed_when_interrupted({}, plain(update_or, 1), {plain(update_or, 1)}, {}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(replace_if, 10), {plain(replace_if, 10)}, {}));
  CHECK_FALSE(is_believed_when_interrupted({}, plain(insert_new, 1), {plain(insert_new, 2)}, {}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(take), {plain(take)}, {}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(take), {plain(insert, 11), plain(lookup)}, {plain(lookup)}));
  CHECK_FALSE(is_believed_when_interrupted(held, plain(erase_if_equal, 10), {plain(update, 1)}, {plain(lookup)}));
}

TEST_CASE("a table whose lookup answers what was overwritten before it started is found out") {
  kv::runtime runtime({.threads = 1});
  table_clients<stale_table> both;
  const stale_table table(open_numbers(runtime));
  for (const int i : {0, 1}) both.emplace_back(table, i, 0U);
  both[0].make(insert, 1, 10);
  both[0].make(lookup, 1);
  both[1].make(lookup, 1);
  CHECK_FALSE(find_violation(both));
  both[1].make(insert, 1, 11);
  both[0].make(lookup, 1);
  CHECK(find_violation(both));
}

}  // namespace linearizability_test
