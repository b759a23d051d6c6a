// What was taken out of a structure, and waits until nobody can see it any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include <kv/detail/epoch.hpp>

namespace kv::detail {

/// A list of rows, which it owns. `Row` has next() and set_next(), for rows that are in no structure.
template <class Row>
class row_list {
 public:
  row_list() = default;
  row_list(row_list&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  row_list& operator=(row_list&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~row_list() { clear(); }

  void push(Row* row) noexcept {
    row->set_next(first_);
    first_ = row;
    ++size_;
  }
  Row* pop() noexcept {
    auto* const row = first_;
    if (row != nullptr) first_ = row->next(), --size_;
    return row;
  }
  void clear() noexcept {
    while (auto* const row = pop()) delete row;
  }
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

 private:
  Row* first_ = nullptr;
  std::size_t size_ = 0;
};

/// The rows that were taken out of one structure. Everything under its lock, but for what is returned: that is destroyed
/// outside.
///
/// (L1) What waits was taken out before the epoch `since_ + 1` began. Only one epoch's worth waits at a time, and what
///      comes meanwhile is fresh.
/// (L2) It holds what somebody inside can see, what somebody keeps, and a few rows for each thread.
template <class Row>
class limbo {
 public:
  /// Takes over a row that was taken out of the structure, and keeps it for the caller, who has seen to it that
  /// keeping() does not fail. Passes it on when nobody else can see it.
  kept_row<Row> take(Row* row, row_list<Row>& doomed) noexcept {
    // With many threads a look costs more than a row is worth: they share it.
    if (readers::count() <= few && fresh_.empty() && waiting_.empty() && !readers::can_see(row)) {
      return kept_row<Row>::owning(row);
    }
    auto result = kept_row<Row>::keeping(row);
    add(row, doomed);
    return result;
  }
  /// The same, and nobody wants to keep it.
  void add(Row* row, row_list<Row>& doomed) noexcept {
    fresh_.push(row);
    if (fresh_.size() >= next_look_) look(doomed);
  }
  /// Destroys rows that nobody inside can see, but for those that somebody keeps. It is called without the lock, which
  /// is passed, and holds it for no longer than it takes to find those.
  template <class Mutex>
  void destroy(row_list<Row>& rows, Mutex& mutex) noexcept {
    if (readers::keep_any()) {
      row_list<Row> all = std::move(rows);
      const std::lock_guard lock(mutex);
      while (auto* const row = all.pop()) (readers::keep(row) ? fresh_ : rows).push(row);
    }
    rows.clear();
  }
  /// Returns all of it, to be destroyed when everybody who is inside has left, but for what somebody keeps.
  void take_all(row_list<Row>& rows) noexcept {
    while (auto* const row = fresh_.pop()) rows.push(row);
    while (auto* const row = waiting_.pop()) rows.push(row);
  }

 private:
  static constexpr std::size_t few = 8;

  void look(row_list<Row>& doomed) noexcept {
    if (waiting_.empty()) {
      waiting_ = std::move(fresh_);
      since_ = readers::epoch();  // (L1), by (E2): after they were taken out
    }
    const auto oldest = readers::oldest();
    if (oldest > since_) {
      while (auto* const row = oldest == readers::nobody ? fresh_.pop() : nullptr) waiting_.push(row);
      while (auto* const row = waiting_.pop()) (readers::keep(row) ? fresh_ : doomed).push(row);
    }
    next_look_ = fresh_.size() + 1 + readers::count();
  }

  row_list<Row> fresh_, waiting_;
  std::uint64_t since_ = 0;
  std::size_t next_look_ = 1;
};

}  // namespace kv::detail
