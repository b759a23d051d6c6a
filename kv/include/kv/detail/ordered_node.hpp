// The nodes of an ordered table's tree.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kv::detail {

/// A row. Once published, its key and value never change: a write puts another row in its place.
template <class Key, class Stored>
struct ordered_row {
  ordered_row(Key k, Stored v) : key(std::move(k)), value(std::move(v)) {}

  const Key key;
  const Stored value;

  ordered_row* next() const noexcept { return next_; }
  void set_next(ordered_row* row) noexcept { next_ = row; }

 private:
  ordered_row* next_ = nullptr;  // in a list, once it is in no table any more
};

/// A node of a tree with all its rows in leaves of one depth. Entry i of a node leads to the rows from `first(i)` up to,
/// and without, that of the next entry. A node that readers know never changes.
template <class Row>
class ordered_node {
 public:
  static constexpr std::size_t capacity = 32;
  static constexpr std::size_t few = capacity / 4;  // with less, it is joined with a neighbour where that has room

  /// A node may be used again for another tree.
  void reset(unsigned levels, std::uint64_t in_edition) noexcept {
    height = levels;
    edition = in_edition;
    size_ = 0;
  }

  bool is_leaf() const noexcept { return height == 0; }
  std::size_t size() const noexcept { return size_; }
  bool is_full() const noexcept { return size_ == capacity; }
  Row* first(std::size_t i = 0) const noexcept { return rows_[i]; }
  ordered_node* child(std::size_t i) const noexcept { return children_[i]; }

  /// Returns how many entries begin with a key less than that: the first that does not, in a leaf.
  template <class KeyView>
  std::size_t lower(const KeyView& key) const {
    return partition([&](const Row& row) { return row.key < key; });
  }
  /// Returns how many entries begin with a key that is not greater.
  template <class KeyView>
  std::size_t upper(const KeyView& key) const {
    return partition([&](const Row& row) { return !(key < row.key); });
  }
  /// Returns the entry in which a key is, or would be.
  template <class KeyView>
  std::size_t entry_of(const KeyView& key) const {
    const auto n = upper(key);
    return n == 0 ? 0 : n - 1;
  }

  // Before it is published -------------------------------------------------------------------------------------------

  void insert(std::size_t at, Row* row, ordered_node* child) noexcept {
    assert(size_ < capacity && at <= size_);
    std::copy_backward(rows_.begin() + at, rows_.begin() + size_, rows_.begin() + size_ + 1);
    std::copy_backward(children_.begin() + at, children_.begin() + size_, children_.begin() + size_ + 1);
    ++size_;
    set(at, row, child);
  }
  void set(std::size_t at, Row* row, ordered_node* child) noexcept {
    rows_[at] = row;
    children_[at] = child;
  }
  void erase(std::size_t at) noexcept {
    std::copy(rows_.begin() + at + 1, rows_.begin() + size_, rows_.begin() + at);
    std::copy(children_.begin() + at + 1, children_.begin() + size_, children_.begin() + at);
    --size_;
  }
  /// Copies entries to the end of this node.
  void append(const ordered_node& from, std::size_t begin, std::size_t end) noexcept {
    assert(size_ + (end - begin) <= capacity);
    std::copy(from.rows_.begin() + begin, from.rows_.begin() + end, rows_.begin() + size_);
    if (!is_leaf()) std::copy(from.children_.begin() + begin, from.children_.begin() + end, children_.begin() + size_);
    size_ += end - begin;
  }
  void truncate(std::size_t size) noexcept { size_ = size; }

  ordered_node* next() const noexcept { return next_; }
  void set_next(ordered_node* node) noexcept { next_ = node; }

  unsigned height = 0;        // above the leaves
  std::uint64_t edition = 0;  // which write has made it

 private:
  template <class Pred>
  std::size_t partition(Pred is_before) const {
    return static_cast<std::size_t>(
        std::partition_point(rows_.begin(), rows_.begin() + size_, [&](const Row* row) { return is_before(*row); }) -
        rows_.begin());
  }

  std::size_t size_ = 0;
  std::array<Row*, capacity> rows_;
  std::array<ordered_node*, capacity> children_;  // not of a leaf
  ordered_node* next_ = nullptr;                  // in a list, once it is in no tree any more
};

}  // namespace kv::detail
