// Promises under test: who has read many keys learns of every write to one of them since, and reads none that is half done.
#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>

#include <kv/detail/write_journal.hpp>

using kv::detail::write_journal;

namespace {

auto stripe(int key) {
  write_journal::stripe_set result;
  result.set(write_journal::stripe_of<int>(key));
  return result;
}

/// Returns a key of another stripe.
int far_from(int key) {
  int result = key + 1;
  while (stripe(result) == stripe(key)) ++result;
  return result;
}

}  // namespace

TEST_CASE("a write is noticed from its beginning on, and one of another stripe is not") {
  write_journal journal;
  const auto before = journal.settled(stripe(1));
  CHECK(journal.is_still(before, stripe(1)));
  {
    write_journal::entry other(journal);
    other.concerns<int>(far_from(1));
    other.begin();
    CHECK(journal.is_still(before, stripe(1)));
    write_journal::entry same(journal);
    same.concerns<int>(1);
    CHECK(journal.is_still(before, stripe(1)));
    same.begin();
    CHECK_FALSE(journal.is_still(before, stripe(1)));
  }
  CHECK_FALSE(journal.is_still(before, stripe(1)));
  CHECK(journal.is_still(journal.settled(stripe(1)), stripe(1)));
}

TEST_CASE("a write that was refused is none") {
  write_journal journal;
  const auto before = journal.settled(stripe(1));
  write_journal::entry refused(journal);
  refused.concerns_all();
  CHECK(journal.is_still(journal.settled(stripe(1)), stripe(1)));
  CHECK(journal.is_still(before, stripe(1)));
}

TEST_CASE("what is under way is waited for") {
  for (int round = 0; round < 200; ++round) {
    write_journal journal;
    std::atomic<bool> is_written{false}, has_come{false}, was_written{false};
    std::optional<write_journal::entry> writing(std::in_place, journal);
    writing->concerns_all();
    writing->begin();
    std::jthread reader([&] {
      has_come = true;
      has_come.notify_one();
      journal.settled(stripe(round));
      was_written = is_written.load();
    });
    has_come.wait(false);
    std::this_thread::yield();
    is_written = true;
    writing.reset();
    reader.join();
    CHECK(was_written);
  }
}
