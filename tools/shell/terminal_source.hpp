// Lines that a person types, with editing, history and completion by libedit.
#pragma once

#include <memory>
#include <optional>

#include "shell/completion.hpp"
#include "shell/line_source.hpp"

namespace kv::shell {

/// Lines of the terminal at standard input and output, asked for with `kv> `.
///
/// Tab completes, Ctrl-C drops the line and asks anew, Ctrl-Z suspends, Ctrl-D on an empty line ends. Lines that are
/// not blank enter the history; it is kept in ~/.kv_history where that can be written and in memory alone where not.
/// Reads ~/.editrc. A Ctrl-C while a command runs, outside next(), is an ordinary SIGINT.
///
/// While it waits, libedit handles signals (suspend, resize) for the whole OS process, on whichever thread gets them:
/// block them on the others. Sets the character type locale, without which only ASCII could be typed.
class terminal_source : public line_source {
 public:
  /// Throws std::runtime_error if the terminal cannot be used. `known.arguments` runs inside next(), at a tab; one that
  /// throws completes nothing.
  explicit terminal_source(vocabulary known);
  ~terminal_source() override;

  /// Flushes std::cout first, so that answers precede the prompt.
  std::optional<line> next() override;

 private:
  class editor;
  std::unique_ptr<editor> editor_;
};

}  // namespace kv::shell
