// The nodes of an ordered table's tree.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <kv/detail/in_cells.hpp>
#include <kv/detail/key_digest.hpp>
#include <kv/detail/key_view.hpp>

namespace kv::detail {

/// A row. Once published, its key and value never change: a write puts another row in its place.
template <class Key, class Stored>
struct ordered_row : in_cells {
  template <class K>
  ordered_row(K&& k, Stored v) : key(std::forward<K>(k)), value(std::move(v)) {}

  const Key key;
  const Stored value;

  ordered_row* next() const noexcept { return next_; }
  void set_next(ordered_row* row) noexcept { next_ = row; }

 private:
  ordered_row* next_ = nullptr;  // in a list, once it is in no table any more
};

/// A node of a tree with all its rows in leaves of one depth. Entry i of a node leads to the rows from `first(i)` up to,
/// and without, that of the next entry. A node that readers know never changes.
///
/// (N1) All first keys begin with `start_`, and each entry has the digest of what follows that. So a search looks at the
///      keys of few entries, and finds the others in the node itself.
template <class Row>
class ordered_node : public in_cells {
  using key_type = std::remove_const_t<decltype(Row::key)>;
  using digest = key_digest<key_type>;

 public:
  static constexpr std::size_t capacity = 32;
  static constexpr std::size_t few = capacity / 4;  // with less, it is joined with a neighbour where that has room

  /// A node may be used again, for another tree.
  void reset(unsigned levels, std::uint64_t in_edition) noexcept {
    height = levels;
    edition = in_edition;
    size_ = 0;
    start_ = {};
  }

  bool is_leaf() const noexcept { return height == 0; }
  std::size_t size() const noexcept { return size_; }
  bool is_full() const noexcept { return size_ == capacity; }
  Row* first(std::size_t i = 0) const noexcept { return rows_[i]; }
  ordered_node* child(std::size_t i) const noexcept { return children_[i]; }

  /// Returns how many entries begin with a key less than that.
  std::size_t lower(key_view<key_type> key) const {
    return partition(key, [&](const Row& row) { return row.key < key; });
  }
  /// Returns how many entries begin with a key that is not greater.
  std::size_t upper(key_view<key_type> key) const {
    return partition(key, [&](const Row& row) { return !(key < row.key); });
  }
  /// Returns the entry in which a key is, or would be.
  std::size_t entry_of(key_view<key_type> key) const {
    const auto n = upper(key);
    return n == 0 ? 0 : n - 1;
  }

  // Before it is published -------------------------------------------------------------------------------------------

  void insert(std::size_t at, Row* row, ordered_node* child) noexcept {
    assert(size_ < capacity && at <= size_);
    std::copy_backward(rows_.begin() + at, rows_.begin() + size_, rows_.begin() + size_ + 1);
    std::copy_backward(digests_.begin() + at, digests_.begin() + size_, digests_.begin() + size_ + 1);
    std::copy_backward(children_.begin() + at, children_.begin() + size_, children_.begin() + size_ + 1);
    ++size_;
    rows_[at] = nullptr;
    set(at, row, child);
  }
  void set(std::size_t at, Row* row, ordered_node* child) noexcept {
    children_[at] = child;
    if (rows_[at] == row) return;
    rows_[at] = row;
    look_at(at);
  }
  void erase(std::size_t at) noexcept {
    std::copy(rows_.begin() + at + 1, rows_.begin() + size_, rows_.begin() + at);
    std::copy(digests_.begin() + at + 1, digests_.begin() + size_, digests_.begin() + at);
    std::copy(children_.begin() + at + 1, children_.begin() + size_, children_.begin() + at);
    --size_;
  }
  /// Copies entries to the end of this node.
  void append(const ordered_node& from, std::size_t begin, std::size_t end) noexcept {
    assert(size_ + (end - begin) <= capacity);
    const auto old_size = size_;
    std::copy(from.rows_.begin() + begin, from.rows_.begin() + end, rows_.begin() + size_);
    std::copy(from.digests_.begin() + begin, from.digests_.begin() + end, digests_.begin() + size_);
    if (!is_leaf()) std::copy(from.children_.begin() + begin, from.children_.begin() + end, children_.begin() + size_);
    size_ += end - begin;
    if (old_size == 0 && begin == 0 && end == from.size_) {
      start_ = from.start_;
    } else if (size_ > 0) {
      look_at_all();
    }
  }
  void truncate(std::size_t size) noexcept { size_ = size; }

  ordered_node* next() const noexcept { return next_; }
  void set_next(ordered_node* node) noexcept { next_ = node; }

  unsigned height = 0;        // above the leaves
  std::uint64_t edition = 0;  // which write has made it

 private:
  template <class Pred>
  std::size_t partition(key_view<key_type> key, Pred is_before) const {
    if (size_ == 0) return 0;
    if (const int start = start_.compare(key, rows_[0]->key); start != 0) return start < 0 ? 0 : size_;
    const auto wanted = digest::of(key, start_.size());
    const auto begin = digests_less_than(wanted);
    auto end = begin;
    while (end < size_ && digests_[end] == wanted) ++end;
    const auto rows = rows_.begin();
    const auto found = std::partition_point(rows + begin, rows + end, [&](const Row* row) { return is_before(*row); });
    return static_cast<std::size_t>(found - rows);
  }
  /// A binary search without a branch that could be predicted wrong. There is an entry.
  std::size_t digests_less_than(std::uint64_t wanted) const noexcept {
    const auto* base = digests_.data();
    for (auto left = size_; left > 1;) {
      const auto half = left / 2;
      base += base[half - 1] < wanted ? half : 0;
      left -= half;
    }
    return static_cast<std::size_t>(base - digests_.data()) + (*base < wanted ? 1 : 0);
  }

  /// An entry is new: its key has less in common with the others, or all digests stand.
  void look_at(std::size_t at) noexcept {
    const auto* const other = rows_[at == 0 ? size_ - 1 : 0];
    if (size_ == 1 || digest::common(rows_[at]->key, other->key) < start_.size()) return look_at_all();
    digests_[at] = digest::of(rows_[at]->key, start_.size());
  }
  void look_at_all() noexcept {
    // They are in order, so what the first and the last have in common all have.
    start_.set(rows_[0]->key, size_ == 1 ? 0 : digest::common(rows_[0]->key, rows_[size_ - 1]->key));
    for (std::size_t i = 0; i < size_; ++i) digests_[i] = digest::of(rows_[i]->key, start_.size());
  }

  std::size_t size_ = 0;
  [[no_unique_address]] key_start<key_type> start_;
  std::array<std::uint64_t, capacity> digests_;
  std::array<Row*, capacity> rows_;
  std::array<ordered_node*, capacity> children_;  // not of a leaf
  ordered_node* next_ = nullptr;                  // in a list, once it is in no tree any more
};

}  // namespace kv::detail
