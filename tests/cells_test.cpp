// Promises under test: a cell is its owner's alone for as long as he has it, whichever thread has taken it and whichever
// gives it back; a slab that nobody uses is given back to the system; what is too large for a cell, or wants an alignment
// of its own, has its memory all the same; an array is zeroed, whoever had its memory before.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <kv/detail/cells.hpp>
#include <kv/detail/epoch.hpp>
#include <kv/detail/in_cells.hpp>

#include "threads.hpp"

namespace cells_test {

namespace {

using kv::detail::cell_cache;
using kv::detail::free_cell;
using kv::detail::in_cells;

struct slabs : kv::detail::slabs {
  using kv::detail::slabs::slabs;
  ~slabs() {
    trim();
    CHECK(count() == 0);
  }
};

/// Some cells, each filled with a number of its own.
class filled {
 public:
  filled(slabs& from, std::size_t cell_size) : from_(from), cell_size_(cell_size) {}
  filled(const filled&) = delete;
  filled& operator=(const filled&) = delete;
  ~filled() { give_all(); }

  void take(std::size_t count) {
    while (count > 0) {
      for (auto* list = from_.take(static_cast<unsigned>(std::min<std::size_t>(count, 100))); list != nullptr;
           --count) {
        auto* const cell = std::exchange(list, list->next);
        const auto number = static_cast<int>(next_number_++ % 251);
        std::memset(cell, number, cell_size_);
        all_.emplace_back(reinterpret_cast<std::byte*>(cell), std::byte(number));
      }
    }
  }
  /// Tells whether each has its number still, in all its bytes.
  bool is_whole() const {
    return std::ranges::all_of(all_, [&](const auto& each) {
      return std::all_of(each.first, each.first + cell_size_, [&](std::byte b) { return b == each.second; });
    });
  }
  /// Gives every `n`th of them back, beginning with the last.
  void give_every(std::size_t n) {
    cells left;
    free_cell* list = nullptr;
    for (std::size_t i = all_.size(); i-- > 0;) {
      i % n == 0 ? void(list = new (all_[i].first) free_cell{list}) : left.push_back(all_[i]);
    }
    from_.give(list);
    all_ = std::move(left);
  }
  void give_all() { give_every(1); }
  /// Tells whether each of them begins where a cache line does.
  bool begin_lines() const {
    return std::ranges::all_of(all_,
                               [](const auto& each) { return reinterpret_cast<std::uintptr_t>(each.first) % 64 == 0; });
  }
  bool is_aligned() const {
    return std::ranges::all_of(
        all_, [](const auto& each) { return reinterpret_cast<std::uintptr_t>(each.first) % alignof(void*) == 0; });
  }

 private:
  using cells = std::vector<std::pair<std::byte*, std::byte>>;  // where it is, and its number

  slabs& from_;
  std::size_t cell_size_;
  std::size_t next_number_ = 0;
  cells all_;
};

template <std::size_t size, std::size_t alignment = alignof(void*)>
struct alignas(alignment) object : in_cells {
  std::array<std::byte, size> bytes{};
};

}  // namespace

TEST_CASE("cells of any size do not overlap, and are aligned for a pointer") {
  for (std::size_t size = sizeof(void*); size <= cell_cache::largest; size += sizeof(void*)) {
    slabs from(size);
    filled cells(from, size);
    cells.take(1000);
    REQUIRE_MESSAGE(cells.is_whole(), size);
    REQUIRE_MESSAGE(cells.is_aligned(), size);
  }
}

TEST_CASE("what came back is handed out again, before a new slab is asked for") {
  slabs from(56);
  filled kept(from, 56);
  filled lent(from, 56);
  kept.take(10);
  lent.take(100'000);
  const auto count = from.count();
  for (int round = 0; round < 5; ++round) {
    lent.give_all();
    lent.take(100'000);
    CHECK(lent.is_whole());
  }
  CHECK(kept.is_whole());
  CHECK(from.count() <= count + 1);
}

TEST_CASE("slabs that nobody uses are given back, but for one") {
  slabs from(64);
  filled cells(from, 64);
  CHECK(from.count() == 0);
  cells.take(1);
  CHECK(from.count() == 1);
  cells.take(500'000);
  CHECK(from.count() >= 500'000 * 64 / slabs::slab_size);
  cells.give_all();
  CHECK(from.count() == 1);
  cells.take(1000);
  CHECK(cells.is_whole());
}

TEST_CASE("a slab stays while one of its cells is used") {
  slabs from(1024);
  filled cells(from, 1024);
  cells.take(20'000);
  const auto count = from.count();
  CHECK(count > 5);
  for (std::size_t n = 2; n < 10; ++n) {
    cells.give_every(n);
    REQUIRE(cells.is_whole());
  }
  CHECK(from.count() == count);  // a tenth of the cells, all over
}

TEST_CASE("the first slab of a size is a small one, and goes like any other") {
  slabs from(1024);
  filled first(from, 1024);
  first.take(63);  // all of 64 KiB but its head
  CHECK(from.count() == 1);
  filled second(from, 1024);
  second.take(1);
  CHECK(from.count() == 2);
  first.give_all();
  CHECK(from.count() == 1);
  first.take(63);
  CHECK(from.count() == 1);
  CHECK((first.is_whole() && second.is_whole()));
}

TEST_CASE("a cell is as large as asked, or whole cache lines where that loses at most an eighth") {
  for (std::size_t size = 1; size <= cell_cache::largest; ++size) {
    const auto cell = cell_cache::cell_size(size);
    REQUIRE_MESSAGE(cell >= size, size);
    REQUIRE_MESSAGE(cell % sizeof(void*) == 0, size);
    REQUIRE_MESSAGE((cell < size + sizeof(void*) || (cell % 64 == 0 && (cell - size) * 8 < cell + 64)), size);
  }
  CHECK(cell_cache::cell_size(8) == 8);
  CHECK(cell_cache::cell_size(48) == 48);
  CHECK(cell_cache::cell_size(56) == 64);
  CHECK(cell_cache::cell_size(112) == 128);
  CHECK(cell_cache::cell_size(120) == 128);
  CHECK(cell_cache::cell_size(cell_cache::largest) == cell_cache::largest);

  slabs from(64);
  filled cells(from, 64);
  cells.take(1000);
  CHECK(cells.begin_lines());
}

TEST_CASE("threads that ask for the first cell at once get one slab" * needs_threads) {
  constexpr int threads = 8;
  for (int round = 0; round < 100; ++round) {
    slabs from(64);
    std::array<free_cell*, threads> taken{};
    {
      std::latch arrived(threads);
      std::vector<std::jthread> all;
      for (auto& mine : taken) {
        all.emplace_back([&] {
          arrived.arrive_and_wait();
          mine = from.take(1);
        });
      }
    }
    REQUIRE(from.count() == 1);
    for (auto* const each : taken) from.give(each);
  }
}

TEST_CASE("threads take and give each other's cells" * needs_threads) {
  using note = object<48>;
  constexpr int threads = 4;
  constexpr int rounds = 20'000;
  std::array<std::atomic<note*>, 64> places{};
  std::atomic<bool> is_torn{false};
  {
    std::vector<std::jthread> all;
    for (int id = 0; id < threads; ++id) {
      all.emplace_back([&, id] {
        for (int i = 0; i < rounds; ++i) {
          auto mine = std::make_unique<note>();
          mine->bytes.fill(std::byte(id + 1));
          // Release and acquire: who takes it out comes after who has filled it.
          auto& place = places[static_cast<std::size_t>(i * 7 + id) % places.size()];
          const std::unique_ptr<note> other(place.exchange(mine.release(), std::memory_order_acq_rel));
          if (!other) continue;
          const auto first = other->bytes[0];
          if (!std::ranges::all_of(other->bytes, [&](std::byte b) { return b == first; })) is_torn = true;
        }
      });
    }
  }
  CHECK_FALSE(is_torn);
  for (auto& place : places) delete place.load();
}

TEST_CASE("what a thread has taken outlives it, and may be given by one that never took any" * needs_threads) {
  using note = object<40>;
  std::vector<std::unique_ptr<note>> all;
  for (int i = 0; i < 1000; ++i) {
    std::jthread([&] {
      for (int n = 0; n < 10; ++n) all.push_back(std::make_unique<note>());
      all.back()->bytes.fill(std::byte(7));
    }).join();
  }
  CHECK(std::ranges::all_of(all.back()->bytes, [](std::byte b) { return b == std::byte(7); }));
  std::jthread([&] { all.clear(); }).join();
}

TEST_CASE("what is larger than a cell, or aligned to more, is made as usual") {
  std::vector<std::unique_ptr<object<2000>>> large;
  for (int i = 0; i < 100; ++i) large.push_back(std::make_unique<object<2000>>());
  CHECK(std::ranges::all_of(large.back()->bytes, [](std::byte b) { return b == std::byte(0); }));

  const auto aligned = std::make_unique<object<100, 128>>();
  CHECK(reinterpret_cast<std::uintptr_t>(aligned.get()) % 128 == 0);
}

TEST_CASE("an array is zeroed, also where another one was") {
  for (std::size_t bytes = 8; bytes <= std::size_t{8} << 20U; bytes *= 2) {
    std::vector<std::byte*> all;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 5; ++i) {
        all.push_back(static_cast<std::byte*>(kv::detail::allocate_array(bytes)));
        REQUIRE_MESSAGE(std::all_of(all.back(), all.back() + bytes, [](std::byte b) { return b == std::byte(0); }),
                        bytes);
        std::memset(all.back(), 0xff, bytes);
      }
      for (auto* each : std::exchange(all, {})) kv::detail::free_array(each, bytes);
    }
  }
}

}  // namespace cells_test
