// One write to an ordered table: a new edition of its tree, beside the one that readers see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <kv/detail/limbo.hpp>
#include <kv/detail/ordered_node.hpp>

namespace kv::detail {

/// Changes a tree without touching a node of the edition that readers see: what changes is copied first, up to the root;
/// what was copied already is changed in place. Given up, it leaves the old edition as it was. O(log n) a row. Its user
/// holds the table's lock.
template <class Row>
class ordered_edit {
 public:
  using node = ordered_node<Row>;

  /// Takes nodes from `spares`, while there are some.
  ordered_edit(node* root, std::uint64_t edition, row_list<node>& spares) noexcept
      : root_(root), edition_(edition), spares_(spares) {}
  ordered_edit(const ordered_edit&) = delete;
  ordered_edit& operator=(const ordered_edit&) = delete;
  ~ordered_edit() {
    for (auto* const each : made_) {
      if (each != nullptr) spares_.push(each);
    }
  }

  /// Makes it the row of its key. Returns the row that it replaces, or null. Throws std::bad_alloc.
  Row* put(Row* row) {
    root_ = root_ == nullptr ? make(0) : editable(root_);
    Row* replaced = nullptr;
    if (auto* const sibling = put(*root_, row, replaced)) {
      auto* const grown = make(root_->height + 1);
      grown->insert(0, root_->first(), root_);
      grown->insert(1, sibling->first(), sibling);
      root_ = grown;
    }
    return replaced;
  }
  /// Takes out and returns the row of a key; it is there. Throws std::bad_alloc.
  template <class KeyView>
  Row* erase(const KeyView& key) {
    root_ = editable(root_);
    auto* const row = erase(*root_, key);
    if (root_->size() == 0) {
      drop(root_);
      root_ = nullptr;
    }
    while (root_ != nullptr && !root_->is_leaf() && root_->size() == 1) {
      auto* const only = root_->child(0);
      drop(root_);
      root_ = only;
    }
    return row;
  }
  node* root() const noexcept { return root_; }

  /// The new edition is published. Returns the nodes that only the old one has.
  std::vector<node*> commit() noexcept {
    for (auto* const each : dropped_) spares_.push(each);
    made_.clear();
    return std::move(replaced_);
  }
  /// Returns by how many nodes the tree has grown.
  std::ptrdiff_t growth() const noexcept { return std::ssize(made_) - std::ssize(dropped_) - std::ssize(replaced_); }

 private:
  node* put(node& n, Row* row, Row*& replaced) {
    if (n.is_leaf()) {
      const auto at = n.lower(row->key);
      if (at == n.size() || row->key < n.first(at)->key) return add(n, at, row, nullptr);
      replaced = n.first(at);
      n.set(at, row, nullptr);
      return nullptr;
    }
    const auto i = n.entry_of(row->key);
    auto* const child = editable(n.child(i));
    n.set(i, child->first(), child);
    auto* const sibling = put(*child, row, replaced);
    n.set(i, child->first(), child);
    return sibling == nullptr ? nullptr : add(n, i + 1, sibling->first(), sibling);
  }
  /// Adds an entry; returns the node's new neighbour when it had to be split for that.
  node* add(node& n, std::size_t at, Row* row, node* child) {
    if (!n.is_full()) return n.insert(at, row, child), nullptr;
    auto* const sibling = make(n.height);
    // Who adds at the end is likely to go on there: then nodes had better stay full.
    const auto middle = at == n.size() ? n.size() : n.size() / 2;
    sibling->append(n, middle, n.size());
    const bool goes_left = at <= middle && middle < n.size();
    n.truncate(middle);
    goes_left ? n.insert(at, row, child) : sibling->insert(at - middle, row, child);
    return sibling;
  }

  template <class KeyView>
  Row* erase(node& n, const KeyView& key) {
    if (n.is_leaf()) {
      const auto at = n.lower(key);
      auto* const row = n.first(at);
      n.erase(at);
      return row;
    }
    const auto i = n.entry_of(key);
    auto* const child = editable(n.child(i));
    n.set(i, n.first(i), child);
    auto* const row = erase(*child, key);
    if (child->size() == 0) {
      n.erase(i);
      drop(child);
    } else {
      n.set(i, child->first(), child);
      if (child->size() < node::few) join(n, i == 0 ? 0 : i - 1);
    }
    return row;
  }
  /// Makes one node of two neighbours when they have room in one.
  void join(node& n, std::size_t left) {
    if (left + 1 >= n.size()) return;
    auto* const right = n.child(left + 1);
    if (4 * (n.child(left)->size() + right->size()) > 3 * node::capacity) return;
    auto* const joined = editable(n.child(left));
    joined->append(*right, 0, right->size());
    n.set(left, joined->first(), joined);
    n.erase(left + 1);
    drop(right);
  }

  node* make(unsigned height) {
    made_.push_back(nullptr);  // what may fail comes first
    auto* made = spares_.pop();
    if (made == nullptr) made = new node;
    made->reset(height, edition_);
    return made_.back() = made;
  }
  node* editable(node* n) {
    if (n->edition == edition_) return n;
    auto* const copy = make(n->height);
    copy->append(*n, 0, n->size());
    drop(n);
    return copy;
  }
  void drop(node* n) { (n->edition == edition_ ? dropped_ : replaced_).push_back(n); }

  node* root_;
  const std::uint64_t edition_;
  row_list<node>& spares_;
  std::vector<node*> made_;      // in this edition
  std::vector<node*> dropped_;   // of these: needed no more
  std::vector<node*> replaced_;  // of earlier editions
};

}  // namespace kv::detail
