// The shell's line syntax: a line to words, and a word back to what one would type for it. Pure functions, no I/O.
//
// Blanks (space and tab) separate words. Double quotes group, also inside a word: a"b c"d is the one word `ab cd`.
// Inside quotes \" \\ \n and \xHH stand for one byte each; outside, a backslash is an ordinary byte. Every other byte,
// NUL and invalid UTF-8 included, stands for itself.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kv::shell {

/// A line that has no reading as words. what() is one printable line that begins with the column.
class parse_error : public std::runtime_error {
 public:
  parse_error(std::size_t column, const std::string& problem);

  /// Returns the byte of the line that the problem begins at; the first is 1.
  std::size_t column() const noexcept { return column_; }

 private:
  std::size_t column_;
};

/// Splits one line into its words; a `\r` at its very end counts as a blank, so lines of a CRLF file read the same.
/// Throws parse_error for an unknown escape and for quotes that are not closed.
std::vector<std::string> split(std::string_view line);

/// Returns what split() reads back as exactly this word: the word itself where that works, else the word in quotes.
/// The answer holds no control character, so it stays on its line and cannot disturb a terminal.
std::string quote(std::string_view word);

/// The part of a line before the cursor, for completion.
struct partial_line {
  std::vector<std::string> words;  ///< never empty: the last is the word at the cursor, "" after a blank
  std::size_t last_begin = 0;      ///< where the text of that last word begins
};

/// Splits a line that is still being typed: as split(), but quotes may be open.
partial_line split_partial(std::string_view before_cursor);

/// Returns a text without newlines: an exception's, or one that quotes what somebody typed, may have some.
std::string on_one_line(std::string text);

}  // namespace kv::shell
