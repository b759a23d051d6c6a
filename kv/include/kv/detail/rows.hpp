// What a table asks of the engine that keeps its rows.
//
// An engine is a class template of a key, of what is stored for it and of what a row counts. Its functions may be called
// from any thread:
//
//   explicit engine(std::uint64_t seed)
//   row                     a published row: `key` and `value`, which never change; `owned` is a unique_ptr to one
//   make(key, value)        builds a row that is not in the table yet; the engine is not touched
//   visit(key, f)           f(const row*), null when the key is absent. f must be short: no waiting, no table, no lock
//   find(key)               the same row as a `kept`: it stays readable for as long as that lives, on this thread. However
//                           long that is, it keeps back no other row's memory
//   put(row, when, check)   makes it the row of its key, if what is there meets the expectation
//   remove(key, when, check)
//                           the same without a new row
//   put_all(rows, only_new, check)
//                           all or, when check throws or `only_new` and one of the keys is there, none: then returns the
//                           index of that row. Of two rows of one key the later wins. Who sees one of them sees all
//   walk(after, limit, f)   f(const row&) for the next rows after that key, in the engine's order; from the first one on
//                           when it is null. `after` need not be there. About `limit` rows, and at least one; f as in
//                           visit(). Returns whether there may be more. Rows whose order an engine does not know (of one
//                           hash, and without `<`) take one place: they are visited in one go, and none follows another
//   walk_back(before, limit, f)
//                           the same towards the first
//   clear(check, pause)     removes every row, in one step; destroys them a batch at a time. Between two batches it calls
//                           pause(), which may wait: nothing is held then
//   size(), memory()        what its rows count, exactly, at one moment; bytes without what keys and values allocated
//                           themselves
//
// put, remove, put_all and clear call check() under the lock, when nothing has changed yet; it may throw. They call it
// again when they had to let go of the lock; the last time, nothing comes between it and what is done. What they
// replace is destroyed outside the lock, no later than with the engine. Keys and values are built, hashed and destroyed
// outside of it as well; keys are compared inside.
#pragma once

#include <cstddef>

namespace kv::detail {

/// What must be there for a write to take place.
template <class Row, class Kept>
struct expectation {
  bool is_anything = true;
  Kept* found = nullptr;  // otherwise what is expected; null: nothing

  static expectation absent() noexcept { return {.is_anything = false}; }
  /// That very row, which the caller has found. When the write takes place, it is not kept for him any more.
  static expectation exactly(Kept& found) noexcept { return {.is_anything = false, .found = &found}; }

  bool met_by(const Row* there) const noexcept {
    return is_anything || there == (found == nullptr ? nullptr : found->get());
  }
  void let_go() const {
    if (found != nullptr) *found = Kept();
  }
};

/// What a write has met.
template <class Kept>
struct write_result {
  bool done = false;
  Kept before = {};  ///< the row that was there; still is, when nothing was done
};

/// What a row counts in the size of its table: one, or as many as it holds.
struct one {
  template <class Stored>
  static constexpr std::size_t of(const Stored&) noexcept {
    return 1;
  }
};
struct all_it_holds {
  template <class Stored>
  static std::size_t of(const Stored& held) noexcept {
    return held.size();
  }
};

/// How many rows a walk copies at a time: its reader holds back the memory of others no longer than that takes.
inline constexpr std::size_t batch_size = 128;
/// How many rows are destroyed at a time.
inline constexpr std::size_t doomed_batch = 1024;

}  // namespace kv::detail
