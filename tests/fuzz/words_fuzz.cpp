// Promises under test: any bytes are one word to quote(), which split() reads back; any bytes are a line to split(),
// which reads words that can be quoted and read again, or says in which column there is none; and split_partial()
// reads a line just as split() does.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/promise.hpp"
#include "shell/words.hpp"

namespace {

using kv::shell::parse_error;
using kv::shell::partial_line;
using kv::shell::quote;
using kv::shell::split;
using kv::shell::split_partial;

using words = std::vector<std::string>;

bool is_control(char byte) { return (byte >= 0 && byte < 0x20) || byte == 0x7f; }

bool is_printable(char byte) { return byte >= 0 && !is_control(byte); }

void check_word(std::string_view word) {
  const auto quoted = quote(word);
  promise(std::ranges::none_of(quoted, is_control), "a quoted word has no control character");
  promise(split(quoted) == words{std::string(word)}, "a quoted word is read back");
}

void check_error(const parse_error& error, std::string_view line) {
  const std::string_view text = error.what();
  promise(error.column() >= 1 && error.column() <= line.size(), "the column of an error lies within the line");
  promise(text.starts_with("column " + std::to_string(error.column()) + ": "), "an error begins with its column");
  promise(std::ranges::all_of(text, is_printable), "an error is one printable line");
}

// Both return nothing for a line with an error.
std::optional<words> split_and_check(std::string_view line) {
  try {
    return split(line);
  } catch (const parse_error& error) {
    check_error(error, line);
    return std::nullopt;
  }
}

std::optional<partial_line> split_partial_and_check(std::string_view line) {
  try {
    return split_partial(line);
  } catch (const parse_error& error) {
    check_error(error, line);
    return std::nullopt;
  }
}

void check_words(const words& all) {
  std::string line;
  for (const auto& word : all) {
    check_word(word);
    line += quote(word) + ' ';
  }
  promise(split(line) == all, "quoted words are read back");
}

// Requires: no `\r` at the line's end, where only split() takes it for a blank.
void check_partial(std::string_view line, const std::optional<words>& whole) {
  const auto partial = split_partial_and_check(line);
  if (!partial) return promise(!whole, "split() fails wherever split_partial() does");

  promise(!partial->words.empty(), "there is a word at the cursor");
  promise(partial->last_begin <= line.size(), "the word at the cursor begins within the line");
  const auto last = split_partial(line.substr(partial->last_begin));
  promise(last.words == words{partial->words.back()} && last.last_begin == 0,
          "the word at the cursor is where it says");
  if (!whole) return;  // quotes are open

  auto expected = *whole;
  if (partial->last_begin == line.size()) expected.emplace_back();  // after a blank
  promise(partial->words == expected, "split_partial() reads a complete line as split() does");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_word(text);
  const auto read = split_and_check(text);
  if (read) check_words(*read);
  if (!text.ends_with('\r')) check_partial(text, read);
  return 0;
}
