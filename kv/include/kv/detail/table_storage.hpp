// A table: what the directory knows of it, and its rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <variant>
#include <vector>

#include <kv/detail/hash_rows.hpp>
#include <kv/detail/key_view.hpp>
#include <kv/detail/ordered_rows.hpp>
#include <kv/detail/table_directory.hpp>
#include <kv/detail/table_guard.hpp>
#include <kv/detail/write_journal.hpp>

namespace kv {

// What kind a table is: which engine keeps its rows, and what it stores for a key.

/// Each key once, in no order that means anything.
struct set {
  static constexpr std::string_view name = "set";
  template <class Key, class Stored>
  using rows = detail::hash_rows<Key, Stored>;
};
/// Each key once, in the order of `<`.
struct ordered_set {
  static constexpr std::string_view name = "ordered_set";
  template <class Key, class Stored>
  using rows = detail::ordered_rows<Key, Stored>;
};
/// Many objects for a key, no two of them equal, in the order in which they were inserted. See kv/bag.hpp.
struct bag {
  static constexpr std::string_view name = "bag";
  static constexpr bool has_many_objects = true;
  template <class Key, class Stored>
  using rows = detail::hash_rows<Key, Stored, detail::all_it_holds>;
};

}  // namespace kv

namespace kv::detail {

template <class Type>
concept many_objects = requires { requires Type::has_many_objects; };

/// What is stored for a key.
template <class Value, class Type>
using stored = std::conditional_t<many_objects<Type>, std::vector<Value>, Value>;

enum class direction : std::uint8_t { forwards, backwards };

/// What shall become of the row of a key.
template <class Stored>
struct verdict {
  enum class kind : std::uint8_t { leave, remove, put };
  kind what = kind::leave;
  std::optional<Stored> next = {};

  static verdict leave() { return {}; }
  static verdict remove_if(bool condition) { return {.what = condition ? kind::remove : kind::leave}; }
  static verdict put(Stored next) { return {kind::put, std::move(next)}; }
};

/// Rights are checked after a read and under the lock of a write. A table that is dropped loses its owner before its
/// rows: who still sees an owner has seen every row. Checked before, a read might find a key absent that was never erased.
/// What has nothing to write checks the right to all the same.
template <class Key, class Value, class Type>
class table_storage final : public table_base {
 public:
  using stored = detail::stored<Value, Type>;
  using verdict = detail::verdict<stored>;
  using engine = typename Type::template rows<Key, stored>;
  using row = typename engine::row;
  using owned = typename engine::owned;
  using key_arg = key_view<Key>;
  using expectation = typename engine::expectation;
  using written = typename engine::written;
  using journal = std::conditional_t<many_objects<Type>, write_journal, no_journal>;

  table_storage(std::string name, table_access access, core& home)
      : table_base(std::move(name), Type::name, access, row_type(), home), rows(home.exec().random()) {}

  static std::type_index row_type() { return typeid(table_storage); }

  // Read -------------------------------------------------------------------------------------------------------------

  /// Calls f(const row*), null when the key is absent. f is short: see detail/rows.hpp.
  template <class Visit>
  auto visit(key_arg key, Visit f) const {
    home().interleave();
    auto result = rows.visit(key, std::move(f));
    check_read();
    return result;
  }
  /// The same for many keys, one after the other; returns what f has returned.
  template <class Keys, class Visit>
  auto visit_each(Keys&& keys, Visit f) const {
    std::vector<std::invoke_result_t<Visit&, const row*>> result;
    home().interleave();
    for (auto&& key : keys) result.push_back(rows.visit(key, f));
    check_read();
    return result;
  }
  /// Calls f(const stored*), which may take its time, but not wait.
  template <class Visit>
  auto read(key_arg key, Visit f) const {
    home().interleave();
    const auto found = rows.find(key);
    check_read();
    [[maybe_unused]] const table_guard nobody_waits;
    return f(found ? &found->value : nullptr);
  }
  /// Calls f(const row&), which is short, for the next rows behind that key; from the table's end on when it is null.
  /// Returns whether there may be more. About `limit` rows; those that the engine cannot tell apart stay together.
  template <class Visit>
  bool walk(const Key* behind, direction way, std::size_t limit, Visit f) const {
    home().interleave();
    bool is_empty = true;
    const auto visit = [&](const row& each) { is_empty = false, f(each); };
    const bool more =
        way == direction::forwards ? rows.walk(behind, limit, visit) : rows.walk_back(behind, limit, visit);
    check_read();
    return more && !is_empty;
  }
  /// Calls f(key, copy(stored)) for every row, a batch at a time. copy() is short, f may do what it likes.
  template <class Copy, class F>
  void for_each(direction way, Copy copy, F f) const {
    std::vector<std::pair<Key, std::decay_t<decltype(copy(std::declval<const stored&>()))>>> batch;
    std::optional<Key> last;
    for (bool more = true; more;) {
      batch.clear();
      more = walk(last ? &*last : nullptr, way, batch_size,
                  [&](const row& each) { batch.emplace_back(each.key, copy(each.value)); });
      if (!batch.empty()) last = batch.back().first;
      for (const auto& [key, value] : batch) f(key, value);
    }
  }
  template <class F>
  void for_each(direction way, F f) const {
    for_each(way, std::identity{}, std::move(f));
  }
  template <class F>
  void for_each_key(F f) const {
    const auto nothing = [](const stored&) { return std::monostate{}; };
    for_each(direction::forwards, nothing, [&](const Key& key, std::monostate) { f(key); });
  }

  // Write ------------------------------------------------------------------------------------------------------------

  /// Builds the row and puts it in.
  written put(key_arg key, stored value, const expectation& when = {}) {
    home().interleave();
    return put_now(key, std::move(value), when);
  }
  written remove(key_arg key, const expectation& when = {}) {
    home().interleave();
    return remove_now(key, when);
  }
  /// All or none: see detail/rows.hpp. check(journal entry) is called under the lock as well, and may throw.
  template <class Check>
  std::optional<std::size_t> put_all(std::vector<owned> all, bool only_new, Check check) {
    home().interleave();
    if (all.empty()) check_write();
    typename journal::entry entry(writes);
    for (const auto& each : all) entry.template concerns<Key>(each->key);
    return rows.put_all(std::move(all), only_new, [&] { check_write(), check(std::as_const(entry)), entry.begin(); });
  }
  std::optional<std::size_t> put_all(std::vector<owned> all, bool only_new) {
    return put_all(std::move(all), only_new, [](const auto&) {});
  }
  /// Asks judge(const stored*), null when the key is absent, and does so, in one step; tells whether anything was done.
  /// It is asked again when somebody else has written the key meanwhile, and must not wait.
  template <class F>
  bool modify(key_arg key, F judge) {
    home().interleave();
    for (;;) {
      auto found = rows.find(key);
      check_write();
      auto next = [&] {
        [[maybe_unused]] const table_guard nobody_waits;
        return judge(found ? &found->value : nullptr);
      }();
      if (next.what == verdict::kind::leave) return false;
      home().interleave();
      const auto when = found ? expectation::exactly(found) : expectation::absent();
      const auto result =
          next.what == verdict::kind::put ? put_now(key, std::move(*next.next), when) : remove_now(key, when);
      if (result.done) return true;
    }
  }
  /// Reads a row under the lock of its key, where note() is called as well.
  template <class F>
  auto find_locked(key_arg key, F note) {
    const auto locked = [&] { check_write(), note(); };
    return rows.remove(key, expectation::absent(), locked).before;  // what is there stays there
  }
  void clear() {
    home().interleave();
    typename journal::entry entry(writes);
    entry.concerns_all();
    rows.clear([&] { check_write(), entry.begin(); }, [&] { home().exec().pause(); });
  }

  // As the directory sees it -----------------------------------------------------------------------------------------

  std::size_t size() const override { return rows.size(); }
  std::size_t memory() const override { return sizeof(*this) + rows.memory(); }
  void discard_rows() override {
    rows.clear([] {}, [&] { home().exec().pause(); });
  }

  engine rows;
  [[no_unique_address]] journal writes;

 private:
  written put_now(key_arg key, stored value, const expectation& when) {
    auto next = rows.make(key, std::move(value));
    typename journal::entry entry(writes);
    entry.template concerns<Key>(key);
    return rows.put(std::move(next), when, [&] { check_write(), entry.begin(); });
  }
  written remove_now(key_arg key, const expectation& when) {
    typename journal::entry entry(writes);
    entry.template concerns<Key>(key);
    return rows.remove(key, when, [&] { check_write(), entry.begin(); });
  }
};

}  // namespace kv::detail
