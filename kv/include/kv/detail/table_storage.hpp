// A table: what the directory knows of it, and its rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>

#include <kv/detail/hash_rows.hpp>
#include <kv/detail/key_view.hpp>
#include <kv/detail/ordered_rows.hpp>
#include <kv/detail/table_directory.hpp>

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

}  // namespace kv

namespace kv::detail {

/// Rights are checked after a read and under the lock of a write. A table that is dropped loses its owner before its
/// rows: who still sees an owner has seen every row. Checked before, a read might find a key absent that was never erased.
template <class Key, class Stored, class Type>
class table_storage final : public table_base {
 public:
  using engine = typename Type::template rows<Key, Stored>;
  using row = typename engine::row;
  using key_arg = key_view<Key>;
  using expectation = typename engine::expectation;
  using written = typename engine::written;

  table_storage(std::string name, table_access access, core& home)
      : table_base(std::move(name), Type::name, access, row_type(), home), rows(home.exec().random()) {}

  static std::type_index row_type() { return typeid(table_storage); }

  template <class Visit>  // Visit(const row*), null when the key is absent
  auto visit(key_arg key, Visit f) const {
    home().interleave();
    auto result = rows.visit(key, std::move(f));
    check_read();
    return result;
  }
  typename engine::kept find(key_arg key) const {
    home().interleave();
    auto result = rows.find(key);
    check_read();
    return result;
  }
  /// Builds the row and puts it in.
  written put(key_arg key, Stored value, expectation when = {}) {
    home().interleave();
    return rows.put(rows.make(Key(key), std::move(value)), when, writing());
  }
  written remove(key_arg key, expectation when = {}) {
    home().interleave();
    return rows.remove(key, when, writing());
  }
  auto writing() const {
    return [this] { check_write(); };
  }

  std::size_t size() const override { return rows.size(); }
  std::size_t memory() const override { return sizeof(*this) + rows.memory(); }
  void discard_rows() override {
    rows.clear([] {});
  }

  engine rows;
};

}  // namespace kv::detail
