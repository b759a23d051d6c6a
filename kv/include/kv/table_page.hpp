// Tables in pages: what a select with a limit returns.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include <kv/detail/table_storage.hpp>

namespace kv {

/// Where the next page begins: behind that key, in the order of the table. It is a plain value, which holds nothing in
/// the table, is never invalid, whatever is inserted or erased meanwhile, that key included, and need not be used up.
template <class Key, class Value, class Row>
struct continuation {
  std::optional<Key> behind;  ///< nothing: the next page is the first
  std::size_t limit;          ///< rows on a page
  detail::direction way;
  /// What to show of a row, if it is selected. Copied with the continuation.
  std::function<std::optional<Row>(const Key&, const Value&)> choose;
};

/// Some of the rows that were selected, and how to go on.
///
///     for (auto page = t.select(is_cheap, 100); !page.rows.empty(); page = page.next()) show(page.rows);
template <class Table, class Row>
struct page {
  std::vector<Row> rows;
  /// Nothing: these were the last. The last page may be empty.
  std::optional<continuation<typename Table::key_type, typename Table::mapped_type, Row>> rest;
  Table table;

  /// Returns the next page, an empty one after the last: what `table.select(*rest)` does. Mirrors `ets:select/1`.
  page next() const { return rest ? table.select(*rest) : page{.rows = {}, .rest = {}, .table = table}; }
};

}  // namespace kv
