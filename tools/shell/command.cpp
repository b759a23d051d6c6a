#include "shell/command.hpp"

#include <algorithm>

#include "shell/session.hpp"

namespace kv::shell {
namespace {

// By value, not by std::toupper: the answer must not depend on the locale.
char to_capital(char letter) { return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter; }

bool fits(std::string_view operand, std::string_view given) {
  const bool is_free = operand.find('|') == std::string_view::npos;
  return is_free || std::ranges::count(parts(operand, '|'), given) > 0;
}

}  // namespace

std::string command::usage() const {
  return operands.empty() ? std::string(name) : std::string(name) + ' ' + std::string(operands);
}

bool command::accepts(arguments given) const {
  const auto expected = parts(operands, ' ');
  return std::ranges::equal(expected, given, fits);
}

const command* find_command(std::string_view name) {
  const auto is_it = [name](const command& c) { return std::ranges::equal(name, c.name, {}, to_capital); };
  const auto found = std::ranges::find_if(session::commands(), is_it);
  return found == session::commands().end() ? nullptr : &*found;
}

std::vector<std::string_view> parts(std::string_view text, char separator) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    result.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

}  // namespace kv::shell
