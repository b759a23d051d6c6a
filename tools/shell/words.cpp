#include "shell/words.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kv::shell {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

// By value, not by std::iscntrl: the answer must not depend on the locale.
bool is_control(char byte) { return (byte >= 0 && byte < 0x20) || byte == 0x7f; }

bool needs_quotes(char byte) { return is_blank(byte) || is_control(byte) || byte == '"'; }

std::string hex_escape(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return {'\\', 'x', hex_digits[value >> 4U], hex_digits[value & 0xfU]};
}

std::string escaped(char byte) {
  if (byte == '"' || byte == '\\') return {'\\', byte};
  if (byte == '\n') return "\\n";
  return is_control(byte) ? hex_escape(byte) : std::string(1, byte);
}

// How an error message shows a byte: a terminal may not know what to do with half a UTF-8 sequence.
std::string shown(char byte) {
  const bool ascii = byte >= 0 && !is_control(byte);
  return ascii ? std::string(1, byte) : "(byte 0x" + hex_escape(byte).substr(2) + ")";
}

/// Reads words from the front of a text.
class word_reader {
 public:
  explicit word_reader(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  std::size_t position() const { return at_; }
  /// Returns where quotes began that the text does not close.
  std::optional<std::size_t> open_quotes() const { return open_quotes_; }

  void skip_blanks() {
    while (!at_end() && is_blank(text_[at_])) ++at_;
  }

  std::string word() {
    std::string word;
    while (!at_end() && !is_blank(text_[at_])) {
      if (text_[at_] == '"') {
        append_quoted(word);
      } else {
        word += text_[at_++];
      }
    }
    return word;
  }

 private:
  void append_quoted(std::string& word) {
    const std::size_t opening = at_++;
    while (!at_end()) {
      const char byte = text_[at_++];
      if (byte == '"') return;
      if (byte != '\\') {
        word += byte;
      } else if (!at_end()) {
        word += escape();
      }
    }
    open_quotes_ = opening;
  }

  // Requires: the backslash is read and a byte follows.
  char escape() {
    const std::size_t column = at_;  // the backslash, counted from 1
    const char letter = text_[at_++];
    switch (letter) {
      case '"':
      case '\\': return letter;
      case 'n': return '\n';
      case 'x': return hex_byte(column);
      default: throw parse_error(column, "unknown escape \\" + shown(letter) + R"(, expected \" \\ \n or \xHH)");
    }
  }

  char hex_byte(std::size_t column) {
    const std::string_view digits = text_.substr(at_, 2);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || end - digits.data() != 2) throw parse_error(column, "\\x wants two hex digits");
    at_ += 2;
    return static_cast<char>(value);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<std::size_t> open_quotes_;
};

}  // namespace

parse_error::parse_error(std::size_t column, const std::string& problem)
    : std::runtime_error("column " + std::to_string(column) + ": " + problem), column_(column) {}

std::vector<std::string> split(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);

  std::vector<std::string> words;
  word_reader reader(line);
  for (reader.skip_blanks(); !reader.at_end(); reader.skip_blanks()) words.push_back(reader.word());
  if (const auto opening = reader.open_quotes()) throw parse_error(*opening + 1, "these quotes are never closed");
  return words;
}

std::string quote(std::string_view word) {
  if (!word.empty() && std::none_of(word.begin(), word.end(), needs_quotes)) return std::string(word);

  std::string quoted = "\"";
  for (const char byte : word) quoted += escaped(byte);
  return quoted + '"';
}

partial_line split_partial(std::string_view before_cursor) {
  partial_line line;
  word_reader reader(before_cursor);
  do {
    reader.skip_blanks();
    line.last_begin = reader.position();
    line.words.push_back(reader.word());
  } while (!reader.at_end());
  return line;
}

std::string on_one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace kv::shell
