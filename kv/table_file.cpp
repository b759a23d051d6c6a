#include <kv/table_file.hpp>

#include <algorithm>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "durable_file.hpp"

namespace kv {

namespace detail {

namespace {

using namespace std::string_view_literals;

constexpr auto magic = "\x89kvt\r\n\x1a\n"sv;
constexpr std::size_t checksum_size = 8;
constexpr std::size_t head_size = checksum_size + 4 + 4;
constexpr std::size_t end_size = head_size + 3 * 8;
constexpr std::size_t usual_frame = 64 * 1024;
constexpr std::size_t max_content = 256 * 1024 * 1024;

std::uint64_t checksum_of(std::string_view frame, std::uint64_t seed) {
  const auto covered = frame.substr(checksum_size);
  return XXH3_64bits_withSeed(covered.data(), covered.size(), seed);
}

}  // namespace

// Write ----------------------------------------------------------------------------------------------------------

table_file_writer::table_file_writer(const std::filesystem::path& file, const table_description& what)
    : file_(std::make_unique<replacement_file>(file)), frame_(head_size, '\0') {
  std::string begin(magic);
  encoder(begin).write(table_file_version);
  file_->write(begin);
  encoder out(frame_);
  for (const auto* const text : {&what.type, &what.key, &what.value, &what.name}) out.write(*text);
  first_checksum_ = last_checksum_ = write_frame(0);
}

table_file_writer::~table_file_writer() = default;

void table_file_writer::end_row() {
  if (frame_.size() - head_size > max_content) {
    throw std::length_error("row " + std::to_string(rows_ + 1) + " takes more than the " + std::to_string(max_content) +
                            " bytes that a row may take in a file");
  }
  ++rows_;
  ++frame_rows_;
  if (frame_.size() < usual_frame && frame_rows_ < std::numeric_limits<std::uint32_t>::max()) return;
  last_checksum_ = write_frame(last_checksum_);
  ++blocks_;
}

std::uint64_t table_file_writer::finish() {
  if (frame_rows_ > 0) {
    last_checksum_ = write_frame(last_checksum_);
    ++blocks_;
  }
  encoder out(frame_);
  for (const auto number : {rows_, blocks_, last_checksum_}) out.write(number);
  write_frame(first_checksum_);
  file_->commit();
  return rows_;
}

/// Returns its checksum, and begins the next one.
std::uint64_t table_file_writer::write_frame(std::uint64_t seed) {
  std::string head;
  encoder out(head);
  out.write(std::uint64_t{0});
  out.write(static_cast<std::uint32_t>(frame_.size() - head_size));
  out.write(std::exchange(frame_rows_, 0));
  frame_.replace(0, head_size, head);
  const auto checksum = checksum_of(frame_, seed);
  head.clear();
  out.write(checksum);
  frame_.replace(0, checksum_size, head);
  file_->write(frame_);
  frame_.resize(head_size);
  return checksum;
}

// Read -----------------------------------------------------------------------------------------------------------

struct table_file_reader::end {
  std::uint64_t rows;
  std::uint64_t blocks;
  std::uint64_t last_checksum;
};

table_file_reader::table_file_reader(const std::filesystem::path& file)
    : path_(file), file_(std::make_unique<input_file>(file)) {
  std::string begin(magic.size() + sizeof table_file_version, '\0');
  begin.resize(file_->read(begin.data(), begin.size()));
  if (begin.empty()) refuse("it is empty");
  if (begin.substr(0, magic.size()) != magic.substr(0, begin.size())) refuse("it is not the file of a table");
  if (begin.size() < magic.size() + sizeof table_file_version)
    refuse("it ends after " + std::to_string(begin.size()) + " bytes");
  const auto version = decoder(std::string_view(begin).substr(magic.size())).read<std::uint32_t>();
  if (version != table_file_version) {
    refuse("it is of version " + std::to_string(version) + ", and this program reads version " +
           std::to_string(table_file_version));
  }
  read_description();
}

table_file_reader::~table_file_reader() = default;

std::uint64_t table_file_reader::file_size() const noexcept { return file_->size(); }

void table_file_reader::expect(const table_description& wanted) const {
  const auto label = [](const table_description& d) { return d.type + '(' + d.key + ", " + d.value + ')'; };
  if (label(description_) != label(wanted)) refuse("it holds " + label(description_) + ", not " + label(wanted));
}

void table_file_reader::read_description() {
  const auto rows = read_frame("the description");
  if (rows != 0) refuse_frame("it has rows");
  first_checksum_ = last_checksum_;
  try {
    for (auto* const text : {&description_.type, &description_.key, &description_.value, &description_.name}) {
      *text = content_.read<std::string>();
    }
  } catch (const std::runtime_error& e) {
    refuse_frame(e.what());
  }
  if (content_.remaining() > 0) refuse_frame("it says more than it should");
}

/// Reads the frame that begins here into frame_ and content_, and returns its number of rows. Without rows it is the
/// description, before which there are no checksums, or the end.
std::uint32_t table_file_reader::read_frame(std::string name) {
  frame_name_ = std::move(name);
  frame_begin_ = file_->position();
  frame_.resize(head_size);
  if (file_->read(frame_.data(), head_size) < head_size) refuse_frame("the file ends before it does");
  decoder head(frame_);
  const auto checksum = head.read<std::uint64_t>();
  const auto size = head.read<std::uint32_t>();
  const auto rows = head.read<std::uint32_t>();
  const auto left = file_->size() - std::min(file_->size(), file_->position());
  if (size > max_content || size > left) {
    refuse_frame("it claims " + std::to_string(size) + " bytes, and after " + std::to_string(left) + " the file ends");
  }
  frame_.resize(head_size + size);
  if (file_->read(frame_.data() + head_size, size) < size) refuse_frame("the file ends before it does");
  if (checksum_of(frame_, rows == 0 ? first_checksum_ : last_checksum_) != checksum)
    refuse_frame("its checksum is wrong");
  content_ = decoder(std::string_view(frame_).substr(head_size));
  last_checksum_ = checksum;
  return rows;
}

/// False when what follows is the end.
bool table_file_reader::next_block() {
  if (has_ended_) return false;
  const auto before = last_checksum_;
  block_rows_ = block_rows_left_ = read_frame("block " + std::to_string(blocks_ + 1));
  if (block_rows_ == 0) {
    check_end(before);
    return false;
  }
  ++blocks_;
  rows_ += block_rows_;
  return true;
}

void table_file_reader::check_end(std::uint64_t last_checksum) {
  frame_name_ = "the end";
  has_ended_ = true;
  const auto told = read_end();
  if (told.rows != rows_ || told.blocks != blocks_ || told.last_checksum != last_checksum) {
    refuse_frame("it speaks of " + std::to_string(told.rows) + " rows in " + std::to_string(told.blocks) +
                 " blocks, and there are " + std::to_string(rows_) + " in " + std::to_string(blocks_) +
                 ", or they are others");
  }
  const auto surplus = file_->size() - std::min(file_->size(), file_->position());
  if (surplus > 0) refuse_frame(std::to_string(surplus) + " bytes follow it");
}

/// Reads the content of the frame that was just read.
table_file_reader::end table_file_reader::read_end() {
  if (content_.remaining() != end_size - head_size)
    refuse_frame("it is not " + std::to_string(end_size) + " bytes long");
  end result = {};
  for (auto* const number : {&result.rows, &result.blocks, &result.last_checksum}) {
    *number = content_.read<std::uint64_t>();
  }
  return result;
}

bool table_file_reader::find_row() {
  while (block_rows_left_ == 0) {
    if (content_.remaining() > 0)
      refuse_frame("after its rows " + std::to_string(content_.remaining()) + " bytes are left");
    if (!next_block()) return false;
  }
  --block_rows_left_;
  return true;
}

std::uint64_t table_file_reader::verify() {
  while (next_block()) {
  }
  return rows_;
}

std::uint64_t table_file_reader::rows_at_end() {
  if (file_->size() < file_->position() + end_size) refuse("it ends before its end is told");
  file_->seek(file_->size() - end_size);
  if (read_frame("the end") != 0) refuse_frame("it has rows");
  return read_end().rows;
}

// Refuse ---------------------------------------------------------------------------------------------------------

void table_file_reader::refuse(const std::string& why) const {
  throw table_error(table_error::code::bad_file, path_.string() + ": " + why);
}

void table_file_reader::refuse_frame(const std::string& why) const {
  refuse(frame_name_ + " at byte " + std::to_string(frame_begin_) + ": " + why);
}

void table_file_reader::refuse_row(const std::string& why) const {
  refuse_frame("row " + std::to_string(block_rows_ - block_rows_left_) + ": " + why);
}

}  // namespace detail

namespace {

table_file_info info_of(const detail::table_file_reader& file, std::uint64_t rows) {
  const auto& said = file.description();
  return {.version = detail::table_file_version,
          .type = said.type,
          .key = said.key,
          .value = said.value,
          .name = said.name,
          .rows = rows,
          .bytes = file.file_size()};
}

}  // namespace

table_file_info inspect_table_file(const std::filesystem::path& file) {
  detail::table_file_reader in(file);
  const auto rows = in.rows_at_end();
  return info_of(in, rows);
}

table_file_info verify_table_file(const std::filesystem::path& file) {
  detail::table_file_reader in(file);
  const auto rows = in.verify();
  return info_of(in, rows);
}

}  // namespace kv
