// Memory that a reader may still be looking at.
//
// Readers take no lock, so what a writer takes out of a structure may only be destroyed once nobody can see it. Every OS
// thread that reads has a record, in which it says two things: since which epoch it has been inside of some structure,
// and which rows it keeps beyond that.
//
// (E1) Who loads a pointer from a structure is inside, and has said so before: both sequentially consistent, as are the
//      store that takes a row out and the look at the records that follows it. So whoever is not seen inside by that look
//      comes later than the store, and cannot find the row any more.
// (E2) A row that was taken out before epoch e + 1 began is not found by who entered in epoch e + 1 or later.
// (E3) Who keeps a row has written that down before he is outside, or holds the lock under which it would be taken out.
//      So a look that no longer finds him inside finds the row among those he keeps.
//
// Being inside is short: no fiber is switched, nothing is waited for, and no function of the user's is called but copies,
// hashes and comparisons. Keeping a row may take as long as it likes: it holds back that row and nothing else.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <kv/detail/cells.hpp>
#include <kv/detail/table_guard.hpp>

namespace kv::detail {

/// What one thread reads, in all tables of all runtimes. A line of its own, so that two readers never share one.
struct alignas(64) reader_record {
  /// Holds one row that is kept.
  struct cell {
    std::atomic<const void*> row{nullptr};  // written by the thread, read by who wants to destroy the row
    std::atomic<cell*> next{nullptr};       // grows when all are in use, and never shrinks
  };

  std::atomic<std::uint64_t> inside_since{0};  // an epoch; 0: outside
  std::array<cell, 3> cells{};
  unsigned depth = 0;             // the thread's own: how often it is inside
  std::atomic<bool> taken{true};  // by a living thread
  reader_record* next = nullptr;  // constant once it is in the list
  cell_cache memory{};            // the thread's own

  /// Throws std::bad_alloc.
  cell& free_cell() {
    auto& first = cells.front();
    return first.row.load(std::memory_order_relaxed) == nullptr ? first : other_free_cell();
  }
  template <class Is>
  bool any_kept(Is is) const noexcept;

 private:
  cell& other_free_cell();
};

/// The records of all threads. A thread gets one when it first reads and gives it back when it ends; there are as many
/// as there were such threads at a time.
class [[gnu::visibility("default")]] readers {  // one for the program, whatever its shared libraries hide
 public:
  static reader_record& mine() { return mine_ != nullptr ? *mine_ : enlist(); }

  static reader_record* mine_or_null() noexcept { return mine_; }

  static std::uint64_t epoch() noexcept { return epoch_.load(std::memory_order_seq_cst); }
  static constexpr auto nobody = std::numeric_limits<std::uint64_t>::max();
  /// Begins a new epoch, and returns the oldest in which somebody entered who is still inside, or `nobody`. O(threads).
  static std::uint64_t oldest() noexcept;
  /// Tells whether somebody can still see a row that was just taken out. O(threads).
  static bool can_see(const void* row) noexcept;
  /// Tells whether somebody keeps the row, after oldest() has been asked. O(threads).
  static bool keep(const void* row) noexcept;
  /// Tells whether somebody keeps any row at all, after await_departure(). O(threads).
  static bool keep_any() noexcept;
  /// Waits until everybody who is inside now has left. The caller is outside, and holds no lock that somebody inside
  /// might wait for. Yields the thread, not the fiber: who is inside is running, or about to.
  static void await_departure() noexcept;
  /// How many threads have a record.
  static std::size_t count() noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  static reader_record& enlist();
  static void give_back(void* record) noexcept;
  template <class Is>
  static bool any(Is is) noexcept;

  inline static constinit thread_local reader_record* mine_ = nullptr;
  inline static constinit std::atomic<std::uint64_t> epoch_{1};
  inline static constinit std::atomic<reader_record*> first_{nullptr};  // only ever grows; release pairs with acquire
  inline static constinit std::atomic<std::size_t> count_{0};           // a hint: stale is harmless
};

template <class Is>
bool reader_record::any_kept(Is is) const noexcept {
  for (const auto& each : cells) {
    if (is(each.row.load(std::memory_order_acquire))) return true;
  }
  for (const auto* more = cells.back().next.load(std::memory_order_acquire); more != nullptr;
       more = more->next.load(std::memory_order_acquire)) {
    if (is(more->row.load(std::memory_order_acquire))) return true;
  }
  return false;
}

template <class Is>
bool readers::any(Is is) noexcept {
  for (const auto* each = first_.load(); each != nullptr; each = each->next) {
    if (is(*each)) return true;
  }
  return false;
}

inline bool readers::can_see(const void* row) noexcept {
  return any([row](const reader_record& each) {
    return each.inside_since.load() != 0 || each.any_kept([row](const void* kept) { return kept == row; });
  });
}

/// For the scope of a read: what is found inside stays readable. May be nested.
class epoch_guard {
 public:
  epoch_guard() : record_(readers::mine()) {
    if (record_.depth++ == 0) record_.inside_since.store(readers::epoch(), std::memory_order_seq_cst);  // (E1)
  }
  epoch_guard(const epoch_guard&) = delete;
  epoch_guard& operator=(const epoch_guard&) = delete;
  ~epoch_guard() {
    // Release: who sees this thread outside comes after everything it has read, and sees what it keeps (E3).
    if (--record_.depth == 0) record_.inside_since.store(0, std::memory_order_release);
  }

 private:
  [[no_unique_address]] table_guard no_switch_;
  reader_record& record_;
};

/// Keeps one row readable, on this thread; or owns it, when nobody else can see it any more. Harmless to hold while a
/// fiber waits: fibers never change their thread, and it holds back no more than that row.
template <class Row>
class kept_row {
 public:
  kept_row() = default;
  /// Keeps a row. The caller is inside, or holds the lock under which it would be taken out (E3); null keeps nothing.
  static kept_row keeping(const Row* row) {
    kept_row result;
    if (row == nullptr) return result;
    result.cell_ = &readers::mine().free_cell();
    // Relaxed: (E3) whoever looks for it comes after the lock, or after the release with which this thread leaves.
    result.cell_->row.store(row, std::memory_order_relaxed);
    result.row_ = row;
    return result;
  }
  /// Sees to it that keeping the next row cannot fail. Throws std::bad_alloc.
  static void reserve() { readers::mine().free_cell(); }
  /// Takes over a row that nobody can see.
  static kept_row owning(const Row* row) noexcept {
    kept_row result;
    result.row_ = row;
    return result;
  }
  kept_row(kept_row&& other) noexcept
      : row_(std::exchange(other.row_, nullptr)), cell_(std::exchange(other.cell_, nullptr)) {}
  kept_row& operator=(kept_row&& other) noexcept {
    std::swap(row_, other.row_);
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~kept_row() {
    if (cell_ == nullptr) {
      delete row_;
      return;
    }
    cell_->row.store(nullptr, std::memory_order_release);  // who destroys the row comes after everything read here
  }

  const Row* get() const noexcept { return row_; }
  const Row& operator*() const noexcept { return *row_; }
  const Row* operator->() const noexcept { return row_; }
  explicit operator bool() const noexcept { return row_ != nullptr; }

 private:
  const Row* row_ = nullptr;
  reader_record::cell* cell_ = nullptr;
};

}  // namespace kv::detail
