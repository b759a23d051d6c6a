// Promises under test: what a reader has found stays readable for as long as it wants, and keeps back nothing else; rows
// that were replaced are destroyed, all of them and none twice; a batch is there at once or not at all; a reader sees
// only whole rows, whatever the writers do; threads leave no trace.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <kv/detail/hash_rows.hpp>
#include <kv/detail/ordered_rows.hpp>

#include "locked_rows.hpp"
#include "threads.hpp"

namespace rows_test {

namespace {

/// A value that carries its own checksum, and knows how many of it there are.
class checked {
 public:
  checked(unsigned key, unsigned number) : key_(key), number_(number), sum_(expected()) { ++living; }
  checked(const checked& other) : key_(other.key_), number_(other.number_), sum_(other.sum_) { ++living; }
  checked& operator=(const checked&) = delete;
  ~checked() { --living, sum_ = ~expected(); }

  bool is_whole_for(unsigned key) const noexcept { return key_ == key && sum_ == expected(); }
  unsigned number() const noexcept { return number_; }

  static inline std::atomic<long> living{0};

 private:
  unsigned expected() const noexcept { return key_ * 31 + number_ * 17 + 5; }
  unsigned key_, number_, sum_;
};

// Too long to stand in the string itself: a reader that comes too late reads freed memory.
std::string name_of(unsigned key) { return "a name that is longer than most, number " + std::to_string(key); }

constexpr auto nothing_to_check = [] {};

/// An engine with the calls that the tests make.
template <class Engine>
struct rows_of : Engine {
  using typename Engine::expectation;
  using typename Engine::kept;
  using typename Engine::owned;
  using typename Engine::row;

  rows_of() : Engine(7) {}
  void set(unsigned key, unsigned number) {
    this->put(this->make(name_of(key), checked(key, number)), {}, nothing_to_check);
  }
  bool erase(unsigned key) { return bool(this->remove(name_of(key), {}, nothing_to_check).before); }
  void set_all(const std::vector<unsigned>& keys, unsigned number) {
    std::vector<owned> all;
    for (const auto key : keys) all.push_back(this->make(name_of(key), checked(key, number)));
    this->put_all(std::move(all), false, nothing_to_check);
  }
  void clear_all() {
    this->clear(nothing_to_check, [] {});
  }
  std::optional<unsigned> number_of(unsigned key) const {
    return this->visit(name_of(key),
                       [](const row* found) { return found ? std::optional(found->value.number()) : std::nullopt; });
  }
  /// Returns how many rows one walk meets, and checks each.
  std::size_t walk_all() const {
    std::size_t count = 0;
    std::optional<std::string> last;
    for (bool more = true; more;) {
      std::string reached;
      more = this->walk(last ? &*last : nullptr, 16, [&](const row& each) {
        if (!is_whole(each)) ++torn;
        reached = each.key;
        ++count;
      });
      more = more && !reached.empty();
      last = std::move(reached);
    }
    return count;
  }
  static bool is_whole(const row& each) {
    const auto digits = each.key.find_last_of(' ') + 1;
    return each.value.is_whole_for(static_cast<unsigned>(std::stoul(each.key.substr(digits))));
  }
  static inline std::atomic<int> torn{0};
};

using hashed = rows_of<kv::detail::hash_rows<std::string, checked>>;
using ordered = rows_of<kv::detail::ordered_rows<std::string, checked>>;
using locked = rows_of<locked_rows<std::string, checked, false>>;

}  // namespace

TEST_CASE_TEMPLATE("every row that was replaced, erased or cleared is destroyed once", Rows, hashed, ordered, locked) {
  REQUIRE(checked::living == 0);
  {
    Rows rows;
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned key = 0; key < 2000; ++key) rows.set(key, round);
      CHECK(checked::living == 2000);
      for (unsigned key = 0; key < 1000; ++key) rows.erase(key);
      CHECK(checked::living == 1000);
      CHECK(rows.size() == 1000);
    }
    rows.clear_all();
    CHECK(checked::living == 0);
    CHECK(rows.size() == 0);
    rows.set(1, 1);
    rows.set_all({1, 2, 3, 2}, 4);
    CHECK(rows.size() == 3);
  }
  CHECK(checked::living == 0);
}

TEST_CASE_TEMPLATE("a row that somebody keeps stays readable, and keeps back nothing else", Rows, hashed, ordered) {
  {
    Rows rows;
    for (unsigned key = 0; key < 100; ++key) rows.set(key, 0);
    const auto kept = rows.find(name_of(5));
    const auto kept_as_well = rows.find(name_of(5));
    for (unsigned round = 1; round < 100; ++round) {
      for (unsigned key = 0; key < 100; ++key) rows.set(key, round);
    }
    CHECK(Rows::is_whole(*kept));
    CHECK(kept->value.number() == 0);
    // 100 rows, the one that is kept, and what waits in each of 32 shards for the next to be looked at with it.
    CHECK(checked::living < 100 + 1 + 32 * 20);
    rows.clear_all();
    CHECK(Rows::is_whole(*kept));
    CHECK(kept_as_well->value.number() == 0);
    CHECK(checked::living == 1);
  }
  CHECK(checked::living == 0);
}

TEST_CASE_TEMPLATE("what a write has met is there until it is looked at no more", Rows, hashed, ordered, locked) {
  {
    Rows rows;
    rows.set(1, 1);
    {
      const auto gone = rows.remove(name_of(1), {}, nothing_to_check);
      CHECK(gone.before->value.number() == 1);
      rows.set(1, 2);
      CHECK(Rows::is_whole(*gone.before));
    }
    const auto refused = rows.put(rows.make(name_of(1), checked(1, 3)), Rows::expectation::absent(), nothing_to_check);
    CHECK_FALSE(refused.done);
    rows.erase(1);
    CHECK(refused.before->value.number() == 2);
  }
  CHECK(checked::living == 0);
}

TEST_CASE_TEMPLATE("one thread may keep more rows than most ever will", Rows, hashed, ordered) {
  Rows rows;
  for (unsigned key = 0; key < 20; ++key) rows.set(key, key);
  std::vector<typename Rows::kept> all;
  for (unsigned key = 0; key < 20; ++key) all.push_back(rows.find(name_of(key)));
  rows.clear_all();
  for (unsigned key = 0; key < 20; ++key) CHECK(all[key]->value.number() == key);
}

TEST_CASE_TEMPLATE("a write whose check fails changes nothing", Rows, hashed, ordered, locked) {
  Rows rows;
  rows.set(1, 1);
  const auto refuse = [] { throw std::domain_error("no"); };
  CHECK_THROWS_AS(rows.put(rows.make(name_of(1), checked(1, 2)), {}, refuse), std::domain_error);
  CHECK_THROWS_AS(rows.put(rows.make(name_of(2), checked(2, 2)), {}, refuse), std::domain_error);
  CHECK_THROWS_AS(rows.remove(name_of(1), {}, refuse), std::domain_error);
  CHECK_THROWS_AS(rows.clear(refuse, [] {}), std::domain_error);
  std::vector<typename Rows::owned> all;
  all.push_back(rows.make(name_of(1), checked(1, 3)));
  CHECK_THROWS_AS(rows.put_all(std::move(all), false, refuse), std::domain_error);
  CHECK(rows.number_of(1) == 1);
  CHECK(rows.size() == 1);
}

TEST_CASE_TEMPLATE("what is cleared is destroyed a batch at a time, and nothing is held in between", Rows, hashed,
                   ordered) {
  constexpr unsigned count = 10 * kv::detail::doomed_batch;
  constexpr long batch = kv::detail::doomed_batch + 64;  // a part of the structure may end a little later
  {
    Rows rows;
    for (unsigned i = 0; i < count; ++i) rows.set(i, 1);
    const auto kept = rows.find(name_of(1));
    std::vector<long> left;
    rows.clear(nothing_to_check, [&] {
      left.push_back(checked::living - static_cast<long>(left.size()));  // without those that came since
      CHECK_FALSE(rows.number_of(count - 1));
      rows.set(static_cast<unsigned>(left.size()), 2);
      CHECK(rows.size() == left.size());
    });
    CHECK(left.size() >= 8);
    for (long before = count; const auto now : left) {
      CHECK(now < before);
      CHECK(now >= before - batch);
      before = now;
    }
    CHECK(Rows::is_whole(*kept));
    CHECK(rows.walk_all() == left.size());
    CHECK(checked::living == static_cast<long>(left.size()) + 1);
  }
  CHECK(checked::living == 0);
}

TEST_CASE_TEMPLATE("what others clear again and again is whole for who writes meanwhile" * needs_threads, Rows, hashed,
                   ordered) {
  constexpr unsigned rounds = 3000;
  {
    Rows rows;
    std::atomic<bool> done{false};
    std::jthread writer([&] {
      for (unsigned i = 0; !done; ++i) rows.set_all({i % 64, 64 + i % 64}, i);
    });
    for (unsigned i = 0; i < rounds; ++i) {
      rows.clear_all();
      rows.set(i % 64, i);
    }
    done = true;
    writer.join();
    CHECK(rows.walk_all() == rows.size());
  }
  CHECK(checked::living == 0);
}

TEST_CASE("threads that have read leave no record behind" * needs_threads) {
  hashed rows;
  rows.set(1, 1);
  const auto read_on_a_thread = [&] { std::thread([&] { CHECK(rows.number_of(1) == 1); }).join(); };
  read_on_a_thread();
  const auto records = kv::detail::readers::count();
  for (int i = 0; i < 100; ++i) read_on_a_thread();
  CHECK(kv::detail::readers::count() == records);
}

TEST_CASE_TEMPLATE("a reader that is inside holds back what it can see, until it leaves" * needs_threads, Rows, hashed,
                   ordered) {
  {
    Rows rows;
    rows.set(1, 1);
    std::latch is_inside(1), may_leave(1);
    bool was_whole = false;
    std::jthread reader([&] {
      rows.visit(name_of(1), [&](const auto* found) {
        is_inside.count_down();
        may_leave.wait();
        return was_whole = Rows::is_whole(*found);
      });
    });
    is_inside.wait();
    for (unsigned round = 2; round < 1000; ++round) rows.set(1, round);
    CHECK(checked::living > 900);
    may_leave.count_down();
    reader.join();
    CHECK(was_whole);
    for (unsigned round = 0; round < 2000; ++round) rows.set(1, round);
    CHECK(checked::living < 100);
  }
  CHECK(checked::living == 0);
}

TEST_CASE_TEMPLATE("readers see whole rows and whole batches while others write" * needs_threads, Rows, hashed,
                   ordered) {
  constexpr unsigned keys = 300, first_of_batch = 1000, last_of_batch = 1001;
  constexpr int writes = 20'000;
  Rows::torn = 0;
  {
    Rows rows;
    std::atomic<int> writing{2};
    std::atomic<int> halves{0};
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 2; ++seed) {
      threads.emplace_back([&, seed] {
        for (std::minstd_rand random(seed + 1); writing != 0;) {
          const auto key = static_cast<unsigned>(random() % keys);
          const auto check = [&](const auto* found) { return found == nullptr || Rows::is_whole(*found); };
          if (!rows.visit(name_of(key), check)) ++Rows::torn;
          const auto kept = rows.find(name_of(key));
          std::this_thread::yield();
          if (!check(kept.get())) ++Rows::torn;
          // The batches count up, and the second is read later.
          const auto first = rows.number_of(first_of_batch);
          const auto second = rows.number_of(last_of_batch);
          if (first && second && *second < *first) ++halves;
          if (random() % 16 == 0) rows.walk_all();
        }
      });
    }
    for (unsigned seed = 0; seed < 2; ++seed) {
      threads.emplace_back([&, seed] {
        std::minstd_rand random(seed + 100);
        for (unsigned i = 0; i < writes; ++i) {
          const auto key = static_cast<unsigned>(random() % keys);
          const auto what = random() % 64;
          if (what < 30) rows.set(key, i);
          if (what >= 30 && what < 60) rows.erase(key);
          if (what == 60 && seed == 0) rows.set_all({first_of_batch, key, key + 1, last_of_batch}, i);
          if (what == 61 && random() % 16 == 0) rows.clear_all();
          if (what > 61) (void)rows.size();
        }
        --writing;
      });
    }
    threads.clear();
    CHECK(Rows::torn == 0);
    CHECK(halves == 0);
    CHECK(rows.walk_all() == rows.size());
  }
  CHECK(checked::living == 0);
}

}  // namespace rows_test
