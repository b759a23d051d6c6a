// Tables in files.
//
// A file is written beside its place, checked block by block when it is read, and holds what the types of its rows are:
// see detail/table_file_parts.hpp for the format. Key and value need a codec (see codec.hpp); those of numbers, bool, enums,
// strings, and of pairs, optionals and vectors of them are there.
//
// Threads and blocking. All of these may be called from any thread and any process, and block the thread that they run on
// for as long as the disk takes, which for a large table is seconds: in a server that others wait for, let spawn_thread do
// it. Nobody else who uses the table waits for it. They hold one block of some 64 KiB in memory, or one row that is
// larger. What the system refuses is std::filesystem::filesystem_error.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <kv/codec.hpp>
#include <kv/detail/table_file_parts.hpp>
#include <kv/table.hpp>

namespace kv {

/// What a file says of the table that was saved in it.
struct table_file_info {
  std::uint32_t version = 0;  ///< of the format
  std::string type;           ///< of the table: `set`, `ordered_set`, …
  std::string key;            ///< what the codec of its keys is called
  std::string value;          ///< that of its values
  std::string name;           ///< of the table, when it was saved; empty for none
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  ///< of the file
};

/// Saves the rows of a table; returns how many there were. Until it returns the file is what it was before, or not there,
/// whatever happens; afterwards it is the new one, and all of it, also when the power fails. Then it has the permissions
/// of the old one. A program that is killed meanwhile leaves a file `….tmp<n>` beside it, which disturbs nobody.
///
/// It saves what table_ref::fold visits: a row that is there throughout once, one that comes or goes meanwhile perhaps. For
/// the rows of one moment let nobody write. Throws table_error when the table cannot be read (a private one: by others than
/// its owner), or is dropped meanwhile; std::length_error for a row of 256 MiB and more; and what an `encode` throws.
/// Mirrors `ets:tab2file/2`.
template <encodable Key, encodable Value, class Type>
std::uint64_t save_table(const table_ref<Key, Value, Type>& rows, const std::filesystem::path& file) {
  const auto what = rows.info();
  detail::table_file_writer out(
      file, {.type = what.type, .key = codec_name<Key>(), .value = codec_name<Value>(), .name = what.name});
  rows.for_each([&](const Key& key, const Value& value) { out.add(key, value); });
  return out.finish();
}

namespace detail {

template <class Table>
struct table_loader;

/// Builds a table from a file before it enters it: who finds it finds all of it, and when something is wrong nobody has
/// ever seen it. As nobody has, no rights are asked for.
template <encodable Key, encodable Value, class Type>
struct table_loader<table<Key, Value, Type>> {
  using result = table<Key, Value, Type>;
  using storage = typename result::storage;
  using stored = std::remove_const_t<decltype(storage::row::value)>;

  static result load(runtime& home, const std::filesystem::path& file, table_options options) {
    table_file_reader in(file);
    in.expect({.type = std::string(Type::name), .key = codec_name<Key>(), .value = codec_name<Value>(), .name = {}});
    auto made = std::make_shared<storage>(options.name, options.access, home.core());
    fill(*made, in);
    if (made->size() != in.verify()) in.refuse("it has some rows twice");
    add_table(home.core(), made, std::move(options), {});
    return result(std::move(made));
  }

 private:
  static void fill(storage& to, table_file_reader& in) {
    auto row = in.next<Key, Value>();
    while (row) {
      auto& [key, value] = *row;
      if constexpr (std::same_as<stored, Value>) {
        put(to, std::move(key), std::move(value));
        row = in.next<Key, Value>();
      } else {  // a vector of all that a key has; in the file they follow one another
        const Key one = std::move(key);
        stored all;
        do {
          all.push_back(std::move(row->second));
          row = in.next<Key, Value>();
        } while (row && row->first == one);
        put(to, one, std::move(all));
      }
    }
  }
  static void put(storage& to, Key key, stored value) {
    to.rows.put(to.rows.make(std::move(key), std::move(value)), {}, [] {});
  }
};

}  // namespace detail

/// Creates a table, as table::create, with the rows of a file. `Table` is its type: `load_table<kv::table<int, int>>`. It
/// is there, under its name, once it has all of them. The options say what else it is; of the one that was saved
/// nothing but the rows comes back.
///
/// Throws table_error{bad_file}, which says what is wrong and where, when the file is damaged, incomplete or no table's,
/// or its rows are of other types; also when a `decode` throws a std::exception, but std::bad_alloc as it is. Throws what
/// table::create does. Then there is no table. Mirrors `ets:file2tab/2`.
template <class Table>
Table load_table(runtime& home, const std::filesystem::path& file, table_options options = {}) {
  return detail::table_loader<Table>::load(home, file, std::move(options));
}

/// Returns what a file says of itself. Reads its beginning and its end, whatever lies between. Throws
/// table_error{bad_file} when they are damaged or no table's. Mirrors `ets:tabfile_info/1`.
table_file_info inspect_table_file(const std::filesystem::path& file);

/// The same after it has read all of the file and found it right: only a codec may still refuse a row. Mirrors the option
/// `verify` of `ets:file2tab/2`.
table_file_info verify_table_file(const std::filesystem::path& file);

}  // namespace kv
