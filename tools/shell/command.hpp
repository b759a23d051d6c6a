// What a command of the shell is: a row of a table.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kv::shell {

class session;

/// The words after the command.
using arguments = std::span<const std::string>;

/// A command could not be carried out; what() is the one line that says why.
class refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One command. Everything that is said about it, by HELP, by an error or at the tab key, comes from here.
struct command {
  std::string_view name;      ///< in capitals
  std::string_view operands;  ///< a word for each argument; alternatives, if it is one of a few, as `this|that`
  std::string_view help;      ///< what it does, for HELP
  /// Carries it out and returns the lines before OK. Throws refusal. Requires: the arguments are accepted.
  std::string (session::*run)(arguments given);

  /// Returns the command as one types it: `PUT bucket key value`.
  std::string usage() const;
  /// Tells whether these can be its arguments: as many as it has, and each among its alternatives.
  bool accepts(arguments given) const;
};

/// Returns the command of that name, in capitals or not; null when there is none.
const command* find_command(std::string_view name);

/// Returns the parts of a text between the separators; none if it is empty.
std::vector<std::string_view> parts(std::string_view text, char separator);

}  // namespace kv::shell
