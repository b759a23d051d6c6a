#include <kv/detail/epoch.hpp>

#include <algorithm>
#include <cassert>
#include <new>
#include <thread>

#include "thread_key.hpp"

namespace kv::detail {

reader_record::cell& reader_record::other_free_cell() {
  auto* last = &cells.front();
  for (auto& each : cells) {
    if (each.row.load(std::memory_order_relaxed) == nullptr) return each;
    last = &each;
  }
  for (auto* more = last->next.load(std::memory_order_relaxed); more != nullptr;
       more = more->next.load(std::memory_order_relaxed)) {
    if (more->row.load(std::memory_order_relaxed) == nullptr) return *more;
    last = more;
  }
  auto* const added = new cell;
  last->next.store(added, std::memory_order_release);  // pairs with the acquire in keep()
  return *added;
}

reader_record& readers::enlist() {
  // Its thread_local objects may still read; who does so after this key is served sets it again.
  static const auto key = make_thread_key(&give_back, "the readers of tables");
  reader_record* record = first_.load(std::memory_order_acquire);
  for (bool expected = false; record != nullptr; record = record->next, expected = false) {
    // Acquire pairs with the release of the thread that had the record before.
    if (record->taken.compare_exchange_strong(expected, true, std::memory_order_acquire)) break;
  }
  if (record == nullptr) {
    record = new reader_record;
    record->next = first_.load(std::memory_order_relaxed);
    // Sequentially consistent, as the load in a look: who is not in the list that a look walks enters after it (E1).
    while (!first_.compare_exchange_weak(record->next, record)) {
    }
  }
  count_.fetch_add(1, std::memory_order_relaxed);
  if (pthread_setspecific(key, record) != 0) {  // no memory for it
    give_back(record);
    throw std::bad_alloc();
  }
  mine_ = record;
  return *record;
}

void readers::give_back(void* record) noexcept {
  mine_ = nullptr;
  static_cast<reader_record*>(record)->memory.give_all();
  count_.fetch_sub(1, std::memory_order_relaxed);
  // Release pairs with the acquire of the next thread that takes it.
  static_cast<reader_record*>(record)->taken.store(false, std::memory_order_release);
}

std::uint64_t readers::oldest() noexcept {
  epoch_.fetch_add(1);
  auto result = nobody;
  for (const auto* each = first_.load(); each != nullptr; each = each->next) {
    if (const auto since = each->inside_since.load()) result = std::min(result, since);
  }
  return result;
}

bool readers::keep(const void* row) noexcept {
  return any(
      [row](const reader_record& each) { return each.any_kept([row](const void* kept) { return kept == row; }); });
}

bool readers::keep_any() noexcept {
  return any([](const reader_record& each) { return each.any_kept([](const void* kept) { return kept != nullptr; }); });
}

void readers::await_departure() noexcept {
  const auto now = epoch_.fetch_add(1);
  for (const auto* each = first_.load(); each != nullptr; each = each->next) {
    if (each == mine_) {
      assert(each->depth == 0 && "a table was written by who is inside of one");
      continue;
    }
    for (unsigned tries = 0;; ++tries) {
      const auto since = each->inside_since.load();
      if (since == 0 || since > now) break;
      if (tries > 100) std::this_thread::yield();  // it was preempted
    }
  }
}

}  // namespace kv::detail
