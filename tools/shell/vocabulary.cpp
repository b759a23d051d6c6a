#include "shell/vocabulary.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shell/command.hpp"
#include "shell/session.hpp"

namespace kv::shell {
namespace {

std::vector<std::string> bucket_names(const registry& names) {
  std::vector<std::string> result;
  for (auto& [name, who] : names.list()) result.push_back(std::move(name));
  return result;
}

std::vector<std::string> words_at(const registry& names, std::string_view command_name, std::size_t index) {
  const auto* const typed = find_command(command_name);
  if (typed == nullptr) return {};
  const auto operands = parts(typed->operands, ' ');
  if (index > operands.size()) return {};

  const auto operand = operands[index - 1];
  if (operand == "bucket") return bucket_names(names);
  const auto choices = parts(operand, '|');
  if (choices.size() == 1) return {};
  return {choices.begin(), choices.end()};
}

}  // namespace

vocabulary words_of(registry names) {
  vocabulary known;
  for (const auto& each : session::commands()) known.commands.emplace_back(each.name);
  known.arguments = [names = std::move(names)](std::string_view command_name, std::size_t index, std::string_view) {
    return words_at(names, command_name, index);
  };
  return known;
}

}  // namespace kv::shell
