// Where the shell's lines come from: a file, a pipe, a terminal (terminal_source.hpp).
#pragma once

#include <cstddef>
#include <istream>
#include <optional>
#include <string>

namespace kv::shell {

/// The longest line that is read, in bytes without its newline. Bounds what a hostile or binary input can make us hold.
inline constexpr std::size_t max_line_length = std::size_t{1} << 20U;

/// One line without its newline; a `\r` before that is kept, split() knows it.
struct line {
  std::string text;       ///< empty if overlong
  bool overlong = false;  ///< it was longer than max_line_length and is dropped: answer with an error and go on

  friend bool operator==(const line&, const line&) = default;
};

/// Something that gives lines, one after the other. Used by one thread.
class line_source {
 public:
  line_source() = default;
  line_source(const line_source&) = delete;
  line_source& operator=(const line_source&) = delete;
  virtual ~line_source() = default;

  /// Waits for the next line and returns it; nothing at the end, and again at each later call.
  virtual std::optional<line> next() = 0;
};

/// Lines of a stream. The last one counts without a newline too. A stream that turns bad ends the source, without the
/// line that it broke off in: ask its bad() for the difference.
class stream_source : public line_source {
 public:
  /// Requires: the stream outlives this.
  explicit stream_source(std::istream& in) : in_(in) {}

  std::optional<line> next() override;

 private:
  std::istream& in_;
};

}  // namespace kv::shell
