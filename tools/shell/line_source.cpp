#include "shell/line_source.hpp"

namespace kv::shell {

std::optional<line> stream_source::next() {
  line read;
  bool any = false;
  // Byte by byte, as std::getline knows no limit and istream::getline cannot tell a full buffer from a broken stream.
  for (char byte = 0; in_.get(byte);) {
    any = true;
    if (byte == '\n') return read;
    if (read.overlong) continue;
    if (read.text.size() < max_line_length) {
      read.text += byte;
    } else {
      read = {.text = {}, .overlong = true};
    }
  }
  if (!any || in_.bad()) return std::nullopt;  // half a line must not run as a command
  return read;
}

}  // namespace kv::shell
