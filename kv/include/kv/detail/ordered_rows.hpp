// The engine of ordered sets: a tree whose readers take no lock, and see all of it at one moment.
//
// See rows.hpp for what it does. Writers hold the lock, build a new edition of the tree, which shares with the old one
// all that has not changed, and publish it by one store of its root.
//
// (O1) What can be reached from a published root never changes.
// (O2) A reader loads the root once, inside (epoch.hpp), and so sees one edition: all of a batch or nothing of it.
// (O3) Nodes and rows that only an old edition has are destroyed once nobody inside can have its root, and nobody keeps
//      the row.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <kv/detail/epoch.hpp>
#include <kv/detail/key_view.hpp>
#include <kv/detail/limbo.hpp>
#include <kv/detail/ordered_edit.hpp>
#include <kv/detail/ordered_node.hpp>
#include <kv/detail/rows.hpp>

namespace kv::detail {

template <class Key, class Stored>
class ordered_rows {
 public:
  using row = ordered_row<Key, Stored>;
  using owned = std::unique_ptr<row>;
  using kept = kept_row<row>;
  using key_arg = key_view<Key>;
  using expectation = detail::expectation<row, kept>;
  using written = write_result<kept>;

  /// An order needs no seed.
  explicit ordered_rows(std::uint64_t /*seed*/) noexcept {}
  ordered_rows(const ordered_rows&) = delete;
  ordered_rows& operator=(const ordered_rows&) = delete;
  /// Nobody uses it any more.
  ~ordered_rows() {
    row_list<row> doomed;
    take_apart(root_.load(std::memory_order_acquire), doomed, [&] { doomed.clear(); });
  }

  template <class K>
  owned make(K&& key, Stored value) const {
    return std::make_unique<row>(std::forward<K>(key), std::move(value));
  }

  // Read -------------------------------------------------------------------------------------------------------------

  template <class Visit>
  auto visit(key_arg key, Visit f) const {
    const epoch_guard inside;
    return f(search(root_.load(std::memory_order_seq_cst), key));
  }
  kept find(key_arg key) const {
    const epoch_guard inside;
    return kept::keeping(search(root_.load(std::memory_order_seq_cst), key));
  }
  template <class Visit>
  bool walk(const Key* after, std::size_t limit, Visit f) const {
    const epoch_guard inside;
    const auto* const root = root_.load(std::memory_order_seq_cst);
    return root != nullptr && forward(*root, after, limit, f);
  }
  template <class Visit>
  bool walk_back(const Key* before, std::size_t limit, Visit f) const {
    const epoch_guard inside;
    const auto* const root = root_.load(std::memory_order_seq_cst);
    return root != nullptr && backward(*root, before, limit, f);
  }

  // Write ------------------------------------------------------------------------------------------------------------

  template <class Check>
  written put(owned next, const expectation& when, Check check) {
    const auto& key = next->key;
    return write(key, std::move(next), when, check);
  }
  template <class Check>
  written remove(key_arg key, const expectation& when, Check check) {
    return write(key, nullptr, when, check);
  }
  template <class Check>
  std::optional<std::size_t> put_all(std::vector<owned> rows, bool only_new, Check check) {
    const auto chosen = last_of_each_key(rows);
    row_list<row> doomed;  // destroyed outside the lock, as `rows` is
    const std::lock_guard lock(mutex_);
    check();
    for (std::size_t i = 0; only_new && i < rows.size(); ++i) {
      if (search(root(), rows[i]->key) != nullptr) return i;
    }
    edit_type edit(root(), ++edition_, spares_);
    std::vector<row*> replaced;
    replaced.reserve(chosen.size());
    for (const auto i : chosen) {
      if (auto* const old = edit.put(rows[i].get())) replaced.push_back(old);
    }
    publish(edit, chosen.size() - replaced.size());
    for (const auto i : chosen) rows[i].release();
    for (auto* const old : replaced) gone_.add(old, doomed);
    return std::nullopt;
  }
  template <class Check, class Pause>
  void clear(Check check, Pause pause) {
    node* old = nullptr;
    row_list<row> doomed;
    {
      const std::lock_guard lock(mutex_);
      check();
      old = root();
      root_.store(nullptr, std::memory_order_seq_cst);
      size_ = nodes_ = 0;
      gone_.take_all(doomed);
    }
    readers::await_departure();  // without the lock: it may take a while
    take_apart(old, doomed, [&] { gone_.destroy(doomed, mutex_), pause(); });
    gone_.destroy(doomed, mutex_);
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }
  std::size_t memory() const {
    const std::lock_guard lock(mutex_);
    return (nodes_ + spares_.size()) * cell_cache::cell_size(sizeof(node)) + size_ * cell_cache::cell_size(sizeof(row));
  }

 private:
  using node = ordered_node<row>;
  using edit_type = ordered_edit<row>;

  static row* search(const node* n, key_arg key) {
    if (n == nullptr) return nullptr;
    while (!n->is_leaf()) n = n->child(n->entry_of(key));
    const auto at = n->lower(key);
    return at == n->size() || key < n->first(at)->key ? nullptr : n->first(at);
  }
  /// Visits up to `left` rows after that key; returns whether it had to stop.
  template <class Visit>
  static bool forward(const node& n, const Key* after, std::size_t& left, Visit& f) {
    if (n.is_leaf()) {
      for (auto i = after == nullptr ? 0 : n.upper(*after); i < n.size(); ++i) {
        if (left == 0) return true;
        f(*n.first(i));
        --left;
      }
      return false;
    }
    const auto start = after == nullptr ? 0 : n.entry_of(*after);
    for (auto i = start; i < n.size(); ++i) {
      if (forward(*n.child(i), i == start ? after : nullptr, left, f)) return true;
    }
    return false;
  }
  template <class Visit>
  static bool backward(const node& n, const Key* before, std::size_t& left, Visit& f) {
    if (n.is_leaf()) {
      for (auto i = before == nullptr ? n.size() : n.lower(*before); i-- > 0;) {
        if (left == 0) return true;
        f(*n.first(i));
        --left;
      }
      return false;
    }
    const auto start = before == nullptr ? n.size() - 1 : n.entry_of(*before);
    for (auto i = start + 1; i-- > 0;) {
      if (backward(*n.child(i), i == start ? before : nullptr, left, f)) return true;
    }
    return false;
  }
  static std::vector<std::size_t> last_of_each_key(const std::vector<owned>& rows) {
    std::vector<std::size_t> order(rows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      if (rows[a]->key < rows[b]->key) return true;
      return a < b && !(rows[b]->key < rows[a]->key);
    });
    // Of equal ones, the last.
    const auto equal = [&](std::size_t later, std::size_t earlier) { return !(rows[earlier]->key < rows[later]->key); };
    order.erase(order.begin(), std::unique(order.rbegin(), order.rend(), equal).base());
    return order;
  }

  template <class Check>
  written write(key_arg key, owned next, const expectation& when, Check& check) {
    written result;
    row_list<row> doomed;  // destroyed, as the result, outside the lock
    const std::lock_guard lock(mutex_);
    check();
    auto* const old = search(root(), key);
    result.done = when.met_by(old);
    if (!result.done) {
      result.before = kept::keeping(old);
    } else if (next != nullptr || old != nullptr) {
      kept::reserve();
      edit_type edit(root(), ++edition_, spares_);
      next != nullptr ? edit.put(next.get()) : edit.erase(key);
      publish(edit, std::size_t{next != nullptr} - std::size_t{old != nullptr});
      next.release();
      when.let_go();
      if (old != nullptr) result.before = gone_.take(old, doomed);
    }
    return result;
  }

  // Under the lock ---------------------------------------------------------------------------------------------------

  node* root() const noexcept { return root_.load(std::memory_order_relaxed); }
  /// `more` may be a negative number, modulo the range of its type.
  void publish(edit_type& edit, std::size_t more) noexcept {
    nodes_ += static_cast<std::size_t>(edit.growth());
    size_ += more;
    root_.store(edit.root(), std::memory_order_seq_cst);  // (O2)
    row_list<node> unused;
    for (auto* const each : edit.commit()) gone_nodes_.add(each, unused);  // (O3)
    while (auto* const each = unused.pop()) spares_.push(each);
    while (spares_.size() > enough) delete spares_.pop();
  }
  static constexpr std::size_t enough = 32;  // spare nodes, so that a write allocates none under the lock

  /// Calls when_many() whenever there is a batch of rows.
  template <class F>
  static void take_apart(node* n, row_list<row>& rows, const F& when_many) noexcept {
    if (n == nullptr) return;
    for (std::size_t i = 0; i < n->size(); ++i) {
      n->is_leaf() ? rows.push(n->first(i)) : take_apart(n->child(i), rows, when_many);
    }
    delete n;
    if (rows.size() >= doomed_batch) when_many();
  }

  std::atomic<node*> root_{nullptr};  // written under mutex_, read by readers without: see epoch.hpp for the order
  mutable std::mutex mutex_;
  // Under mutex_.
  std::uint64_t edition_ = 0;
  std::size_t size_ = 0;   // rows
  std::size_t nodes_ = 0;  // in the tree
  limbo<row> gone_;
  limbo<node> gone_nodes_;
  row_list<node> spares_;
};

}  // namespace kv::detail
