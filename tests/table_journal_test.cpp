// Promises under test: who has read many keys learns of every write to one of them since, and is not kept off by his own.
#include <doctest/doctest.h>

#include <kv/detail/write_journal.hpp>

namespace table_journal_test {

using kv::detail::write_journal;

namespace {

std::size_t stripe_of(int key) { return write_journal::stripe_of<int>(key); }

/// Returns a key of another stripe.
int far_from(int key) {
  int result = key + 1;
  while (stripe_of(result) == stripe_of(key)) ++result;
  return result;
}

/// Returns what a reader of these keys notes.
template <class... Keys>
write_journal::state read(const write_journal& journal, Keys... keys) {
  write_journal::state result;
  (result.note(journal, stripe_of(keys)), ...);
  return result;
}

/// Writes a key.
void write(write_journal& journal, int key) {
  write_journal::entry entry(journal);
  entry.concerns<int>(key);
  entry.begin();
}

}  // namespace

TEST_CASE("a write is noticed, and one of another stripe is not") {
  write_journal journal;
  write_journal::entry mine(journal);
  mine.concerns<int>(1);
  const auto before = read(journal, 1);
  CHECK(mine.is_first_since(before));
  write(journal, far_from(1));
  CHECK(mine.is_first_since(before));
  write(journal, 1);
  CHECK_FALSE(mine.is_first_since(before));
  CHECK(mine.is_first_since(read(journal, 1)));
  write_journal::entry clears(journal);
  const auto between = read(journal, 1);
  clears.concerns_all();
  CHECK(mine.is_first_since(between));
  clears.begin();
  CHECK_FALSE(mine.is_first_since(between));
}

TEST_CASE("a write in between two reads is noticed, also when they share a stripe") {
  write_journal journal;
  write_journal::entry mine(journal);
  mine.concerns<int>(1);
  write_journal::state before;
  before.note(journal, stripe_of(1));
  write(journal, 1);
  before.note(journal, stripe_of(1));
  CHECK_FALSE(mine.is_first_since(before));
}

TEST_CASE("a write that begins more than once, as engines check, is not overtaken by itself") {
  write_journal journal;
  const auto before = read(journal, 1, far_from(1));
  write_journal::entry mine(journal);
  mine.concerns<int>(1);
  mine.concerns<int>(far_from(1));
  for (int i = 0; i < 3; ++i) {
    CHECK(mine.is_first_since(before));
    mine.begin();
  }
  write(journal, far_from(1));
  CHECK_FALSE(mine.is_first_since(before));
}

}  // namespace table_journal_test
