// Promises under test: one thread at a time, which sees what those before it did; who waits is woken, and none of many is
// forgotten.
#include <doctest/doctest.h>

#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include <kv/detail/shard_mutex.hpp>

#include "threads.hpp"

namespace shard_mutex_test {

using kv::detail::shard_mutex;

TEST_CASE("one thread at a time has it, and sees what was done before" * needs_threads) {
  constexpr int threads = 4;
  constexpr int rounds = 100'000;
  shard_mutex mutex;
  int count = 0;
  {
    std::vector<std::jthread> all;
    for (int id = 0; id < threads; ++id) {
      all.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::lock_guard lock(mutex);
          ++count;
        }
      });
    }
  }
  CHECK(count == threads * rounds);
}

TEST_CASE("all who wait are woken, one after the other" * needs_threads) {
  constexpr int threads = 8;
  shard_mutex mutex;
  for (int round = 0; round < 200; ++round) {
    int count = 0;
    std::latch arrived(threads);
    std::vector<std::jthread> all;
    {
      const std::lock_guard lock(mutex);
      for (int id = 0; id < threads; ++id) {
        all.emplace_back([&] {
          arrived.count_down();
          const std::lock_guard mine(mutex);
          std::this_thread::yield();  // more of them come to wait, also behind one that was woken
          ++count;
        });
      }
      arrived.wait();
      CHECK(count == 0);
    }
    all.clear();
    REQUIRE(count == threads);
  }
}

}  // namespace shard_mutex_test
