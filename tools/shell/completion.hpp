// What the tab key does to a line, without the terminal: text before the cursor in, an edit out.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kv::shell {

/// Returns what may stand as word number `word_index` (the first after the command is 1) of a line of this command,
/// given the part of the word that is typed. It may return words without that prefix: they are ignored.
using argument_words =
    std::function<std::vector<std::string>(std::string_view command, std::size_t word_index, std::string_view prefix)>;

/// The words that completion knows.
struct vocabulary {
  std::vector<std::string> commands;
  argument_words arguments;  ///< may be empty: then only commands are completed
};

/// An edit of the text before the cursor.
struct completion {
  std::size_t replaced = 0;          ///< how many bytes before the cursor give way to…
  std::string text;                  ///< …this, quoted as split() needs it
  std::vector<std::string> choices;  ///< sorted; the words that fit, when they agree on no more than is typed

  friend bool operator==(const completion&, const completion&) = default;
};

/// Completes the word at the cursor: whole and with a blank if one word fits, as far as they agree if several do.
/// Nothing fits, or the line has a syntax error: the empty edit. Throws what `arguments` throws.
completion complete(std::string_view before_cursor, const vocabulary& known);

}  // namespace kv::shell
