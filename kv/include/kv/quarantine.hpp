// Where rows go that their table's owner cannot use.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include <kv/process.hpp>
#include <kv/table.hpp>

namespace kv {

/// What was in a row that could not be used.
template <class Value>
struct quarantined {
  Value value;
  std::string reason;
  std::chrono::steady_clock::time_point when;  ///< as kv::now() tells it
  friend bool operator==(const quarantined&, const quarantined&) = default;
};

/// Keeps, by their keys, the rows that another table had to give up: the last one of each key, or, as a bag, all of them.
/// Whoever puts one right inserts it again and erases it here.
template <class Key, class Value, class Type = set>
using quarantine_table = table<Key, quarantined<Value>, Type>;

/// Says why a row cannot be used; nothing when it can.
template <class F, class Key, class Value>
concept row_validator = std::is_invocable_r_v<std::optional<std::string>, F&, const Key&, const Value&>;

/// What is done for a row besides moving it.
template <class F, class Key, class Value>
concept row_note = std::invocable<F&, const Key&, const Value&, const std::string&>;

namespace detail {

/// Tells whether there is memory for as much as an ordinary row may need.
bool has_memory() noexcept;

/// Asks a validator. What it throws is a reason, too: it may have tripped over the row. So is want of memory, when it
/// comes a second time and there is memory: then the row asks for more than a row is worth. When there is none it is
/// thrown: no row is to blame.
template <class Key, class Value, row_validator<Key, Value> F>
std::optional<std::string> reason_against(F& validate, const Key& key, const Value& value) {
  for (bool is_first = true;; is_first = false) {
    try {
      return validate(key, value);
    } catch (const unwind&) {
      throw;  // the process ends
    } catch (const std::bad_alloc& e) {
      if (!has_memory()) throw;
      if (!is_first) return e.what();
    } catch (const std::exception& e) {
      return e.what();
    } catch (...) {
      return "unknown exception";
    }
  }
}

template <class Table>
concept one_row_a_key = requires(const Table& t, typename Table::key_arg key) {
  { t.lookup(key).has_value() };
};

/// Whether a quarantine of that type has room for all that a table may hold.
template <class Table, class Quarantine>
concept has_room_for = one_row_a_key<Table> || !one_row_a_key<Quarantine>;

template <class Quarantine, class Key, class Value>
bool is_in_quarantine(const Quarantine& away, const Key& key, const Value& value) {
  const auto found = away.lookup(key);
  if constexpr (one_row_a_key<Quarantine>) {
    return found && found->value == value;
  } else {
    return std::ranges::any_of(found, [&](const auto& each) { return each.value == value; });
  }
}

template <class Key>
std::string text_of_key(const Key& key) {
  if constexpr (requires(std::ostream& out) { out << key; }) {
    std::ostringstream text;
    text << key;
    return std::move(text).str();
  } else {
    return {};
  }
}

void report_quarantine(const table_info& from, std::string key, std::string reason);

}  // namespace detail

/// Moves one row, if it still holds that value, to a quarantine; tells whether it did. Nothing of it can be lost: it is
/// in quarantine, and reported, before it is removed. A process that is killed in between leaves it in both; the next one
/// that finds it there moves it again, and does not report it again. `note(key, value, reason)` is called in between: for
/// what must be done exactly if the row goes, so it may have to be done twice.
///
/// To be called in a process, which may write to both tables. Throws table_error otherwise. For a bag, the quarantine has
/// to be one.
template <class Key, std::equality_comparable Value, class Type, class Away, row_note<Key, Value> Note>
  requires detail::has_room_for<table<Key, Value, Type>, quarantine_table<Key, Value, Away>>
bool quarantine_row(table<Key, Value, Type> rows, const Key& key, const Value& value, const std::string& reason,
                    quarantine_table<Key, Value, Away> away, Note note) {
  if (!detail::is_in_quarantine(away, key, value)) {
    const auto from = rows.info();
    away.insert(key, quarantined<Value>{value, reason, now()});
    detail::report_quarantine(from, detail::text_of_key(key), reason);
  }
  note(key, value, reason);
  return rows.erase_if_equal(key, value);
}
template <class Key, std::equality_comparable Value, class Type, class Away>
  requires detail::has_room_for<table<Key, Value, Type>, quarantine_table<Key, Value, Away>>
bool quarantine_row(table<Key, Value, Type> rows, const Key& key, const Value& value, const std::string& reason,
                    quarantine_table<Key, Value, Away> away) {
  const auto nothing = [](const auto&...) {};
  return quarantine_row(std::move(rows), key, value, reason, std::move(away), nothing);
}

/// Moves every row that a validator finds fault with to a quarantine: for a process that takes over a table and must not
/// trip over what is in it, again and again. Returns how many were moved. Each is reported once (quarantine_report). Good
/// rows are not touched, and the others may be read and written meanwhile; a row that somebody writes just then is left
/// for the next time.
///
///     quarantine_rows(orders, [](const std::string& id, const order& o) -> std::optional<std::string> {
///       if (o.amount < 0) return "less than nothing was ordered";
///       return std::nullopt;
///     }, bad_orders);
///
/// An exception of the validator's is a reason. std::bad_alloc is one only if the validator throws it twice while there is
/// memory for other things; else it is thrown here, and ends this. It may take its time, and wait.
/// See quarantine_row for what a kill leaves, and what else is thrown. O(rows).
template <class Key, std::equality_comparable Value, class Type, row_validator<Key, Value> F, class Away>
  requires detail::has_room_for<table<Key, Value, Type>, quarantine_table<Key, Value, Away>>
std::size_t quarantine_rows(table<Key, Value, Type> rows, F validate, quarantine_table<Key, Value, Away> away) {
  std::size_t moved = 0;
  rows.for_each([&](const Key& key, const Value& value) {
    const auto reason = detail::reason_against(validate, key, value);
    if (reason && quarantine_row(rows, key, value, *reason, away)) ++moved;
  });
  return moved;
}

}  // namespace kv
