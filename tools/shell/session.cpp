#include "shell/session.hpp"

#include <exception>
#include <utility>

#include "shell/words.hpp"

namespace kv::shell {
namespace {

const char* const tree_is_gone = "DOWN: the tree has given up";

bool has_command(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first != std::string_view::npos && text[first] != '#';
}

}  // namespace

session::session(runtime& home, tree kv, std::ostream& out, const session_options& options)
    : home_(home), tree_(std::move(kv)), out_(out), options_(options) {
  tree_.events.forward_to(self());
}

bool session::execute(const std::vector<line>& lines) {
  bool all_ok = true;
  for (const auto& asked : lines) all_ok = answer(asked) && all_ok;
  return all_ok;
}

bool session::answer(const line& asked) {
  std::string problem;
  try {
    if (asked.overlong) throw refusal("BAD LINE: longer than " + std::to_string(max_line_length) + " bytes");
    if (!has_command(asked.text)) return true;
    const auto lines = run(asked.text);
    out_ << lines << take_changes() << "OK\n";
    return true;
  } catch (const refusal& e) {
    problem = e.what();
  } catch (const parse_error& e) {
    problem = std::string("BAD LINE: ") + e.what();
  } catch (const std::exception& e) {
    problem = tree_.root.alive() ? std::string("ERROR: ") + e.what() : tree_is_gone;
  }
  out_ << on_one_line(std::move(problem)) << '\n';
  return false;
}

std::string session::run(const std::string& text) {
  const auto words = split(text);
  const auto* const found = find_command(words.front());
  if (found == nullptr) throw refusal("UNKNOWN COMMAND");
  const auto given = arguments(words).subspan(1);
  if (!found->accepts(given)) throw refusal("USAGE: " + found->usage());
  if (!tree_.root.alive()) throw refusal(tree_is_gone);
  return (this->*found->run)(given);
}

}  // namespace kv::shell
