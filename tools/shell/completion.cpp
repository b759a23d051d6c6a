#include "shell/completion.hpp"

#include <algorithm>
#include <utility>

#include "shell/words.hpp"

namespace kv::shell {
namespace {

std::vector<std::string> fitting(const partial_line& line, const vocabulary& known) {
  const std::string& prefix = line.words.back();
  const std::size_t index = line.words.size() - 1;
  std::vector<std::string> words;
  if (index == 0) {
    words = known.commands;
  } else if (known.arguments) {
    words = known.arguments(line.words.front(), index, prefix);
  }

  std::erase_if(words, [&](const std::string& word) { return !word.starts_with(prefix); });
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// Requires: sorted and not empty. What the first and the last agree on, all between agree on.
std::string common_prefix(const std::vector<std::string>& words) {
  const std::string& first = words.front();
  const std::string& last = words.back();
  auto end = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  // Two characters may share their first bytes only: step back to where the character began.
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; };
  while (end != first.begin() && end != first.end() && continues(*end)) --end;
  return {first.begin(), end};
}

// A word that goes on: its quotes, if it needs them, stay open.
std::string quote_open(std::string_view word) {
  std::string quoted = quote(word);
  if (quoted.starts_with('"')) quoted.pop_back();
  return quoted;
}

}  // namespace

completion complete(std::string_view before_cursor, const vocabulary& known) try {
  const partial_line line = split_partial(before_cursor);
  std::vector<std::string> words = fitting(line, known);
  if (words.empty()) return {};

  const std::size_t typed = before_cursor.size() - line.last_begin;
  if (words.size() == 1) return {.replaced = typed, .text = quote(words.front()) + ' ', .choices = {}};

  const std::string agreed = common_prefix(words);
  if (agreed.size() > line.words.back().size()) return {.replaced = typed, .text = quote_open(agreed), .choices = {}};
  return {.replaced = 0, .text = {}, .choices = std::move(words)};
} catch (const parse_error&) {
  return {};
}

}  // namespace kv::shell
