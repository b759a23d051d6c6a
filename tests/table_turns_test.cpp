// Promises under test: who destroys many rows, because he clears or drops their table or dies with it, gives others their
// turn in between; and nobody else's rows are touched meanwhile.
#include <doctest/doctest.h>

#include <atomic>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace table_turns_test {

namespace {

/// Knows how many of it there are.
struct counted {
  counted() { ++living; }
  counted(const counted&) { ++living; }
  counted& operator=(const counted&) = default;
  ~counted() { --living; }

  inline static std::atomic<int> living = 0;
};

constexpr int rows = 50'000;

template <class Kind>
using large = kv::table<int, counted, Kind>;
template <class Kind>
large<Kind> fill() {
  auto t = large<Kind>::create();
  for (int key = 0; key < rows; ++key) t.insert(key, {});
  return t;
}

/// Lets the owner of a large table end its rows, on the only thread there is, where a message for somebody else is
/// waiting. Returns how many rows he has found.
template <class Kind, class F>
int found_meanwhile(F end) {
  kv::runtime runtime({.threads = 1});
  std::atomic<int> seen = -1;
  const auto witness = runtime.spawn<blank>();
  const auto owner = runtime.spawn<blank>();
  kv::testing::probe p(runtime);
  p.monitor(owner.id());
  owner.cast([&, end](blank&) {
    auto t = fill<Kind>();
    witness.cast([&](blank&) { seen = counted::living.load(); });
    end(t);
    kv::exit(kv::exit_reason::normal);
  });
  p.expect_down(owner.id());
  CHECK(counted::living == 0);
  return seen;
}

}  // namespace

TEST_CASE_TEMPLATE("while many rows are destroyed, others have their turn" * needs_threads, Kind, kv::set,
                   kv::ordered_set) {
  const auto is_in_between = [](int found) { return found > 0 && found < rows; };
  CHECK(is_in_between(found_meanwhile<Kind>([](large<Kind>& t) { t.clear(); })));
  CHECK(is_in_between(found_meanwhile<Kind>([](large<Kind>& t) { t.drop(); })));
  CHECK(is_in_between(found_meanwhile<Kind>([](large<Kind>&) {})));  // dies
}

}  // namespace table_turns_test
