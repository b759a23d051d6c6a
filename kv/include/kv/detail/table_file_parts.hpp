// What writes the file of a table, and what reads it: all that does not depend on the rows' types.
//
// The format, version 1. Numbers are little-endian; text is its length in 4 bytes, and its bytes.
//
//   magic                   8 bytes: "\x89kvt\r\n\x1a\n", which shows what became of a file that was taken for text
//   version                 4 bytes
//   frame: description      rows 0; type of the table, names of the codecs of keys and values, name of the table
//   frames: blocks          rows 1 or more; the rows, key and value of one after the other
//   frame: end              rows 0; rows of the table, number of blocks, checksum of the frame before: 8 bytes each
//
//   frame                   checksum (8 bytes), size of the content (4), rows (4), content
//
// A checksum is XXH3 (64 bits) of all of the frame that follows it, seeded with that of the frame before; that of the end
// with that of the description, so it can be read alone. So a block in the wrong place is found as well as a damaged one.
// XXH3 because it is faster than any disk, has an unchanging definition, and in 64 bits misses one damage in 10^19;
// who changes a file on purpose can compute it, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <kv/codec.hpp>

namespace kv::detail {

class input_file;
class replacement_file;

inline constexpr std::uint32_t table_file_version = 1;

/// What a file says of its table at its beginning.
struct table_description {
  std::string type, key, value, name;
};

/// Writes a file, block by block. It is in its place when finish() has returned; before, nothing has changed there.
class table_file_writer {
 public:
  table_file_writer(const std::filesystem::path& file, const table_description& what);
  table_file_writer(const table_file_writer&) = delete;
  table_file_writer& operator=(const table_file_writer&) = delete;
  ~table_file_writer();

  template <class Key, class Value>
  void add(const Key& key, const Value& value) {
    encoder out(frame_);
    out.write<Key>(key);
    out.write<Value>(value);
    end_row();
  }
  /// The same for a row that is bytes already.
  void add_bytes(std::string_view row) {
    frame_.append(row);
    end_row();
  }
  /// Returns the number of rows.
  std::uint64_t finish();

 private:
  void end_row();
  std::uint64_t write_frame(std::uint64_t seed);

  std::unique_ptr<replacement_file> file_;
  std::string frame_;  // the one that is being filled; its head is written last
  std::uint32_t frame_rows_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t first_checksum_ = 0;
  std::uint64_t last_checksum_ = 0;
};

/// Reads a file, block by block. Whatever is wrong with it is table_error{bad_file} and says where; the rows of a block
/// are given out only after its checksum was found right.
class table_file_reader {
 public:
  explicit table_file_reader(const std::filesystem::path& file);
  table_file_reader(const table_file_reader&) = delete;
  table_file_reader& operator=(const table_file_reader&) = delete;
  ~table_file_reader();

  const table_description& description() const noexcept { return description_; }
  std::uint64_t file_size() const noexcept;
  /// Throws table_error unless it is a file of such rows.
  void expect(const table_description& wanted) const;

  /// Returns the next row; nothing after the last one, when all of the file has been found right.
  template <class Key, class Value>
  std::optional<std::pair<Key, Value>> next() {
    if (!find_row()) return std::nullopt;
    try {
      auto key = content_.read<Key>();
      return std::pair<Key, Value>(std::move(key), content_.read<Value>());
    } catch (const std::bad_alloc&) {
      throw;  // which says nothing about the file
    } catch (const std::exception& e) {
      refuse_row(e.what());
    }
  }
  /// Reads the rest and checks all of it but the rows themselves. Returns the number of rows.
  std::uint64_t verify();
  /// Reads the end alone, out of turn, and returns the number of rows that it tells.
  std::uint64_t rows_at_end();
  /// Throws table_error{bad_file} about the whole file.
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  struct end;

  std::uint32_t read_frame(std::string name);
  void read_description();
  bool next_block();
  bool find_row();
  void check_end(std::uint64_t last_checksum);
  end read_end();
  [[noreturn]] void refuse_frame(const std::string& why) const;
  [[noreturn]] void refuse_row(const std::string& why) const;

  std::filesystem::path path_;
  std::unique_ptr<input_file> file_;
  table_description description_;
  std::string frame_;
  decoder content_;         // what is left of it
  std::string frame_name_;  // for messages
  std::uint64_t frame_begin_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint32_t block_rows_ = 0;       // in this block
  std::uint32_t block_rows_left_ = 0;  // of these
  std::uint64_t rows_ = 0;             // of all blocks
  std::uint64_t first_checksum_ = 0;
  std::uint64_t last_checksum_ = 0;
  bool has_ended_ = false;
};

}  // namespace kv::detail
