// A shell without its terminal, on a tree of its own.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shell/session.hpp"

/// Lines in, answers out. What the runtime reports is dropped: these tests kill on purpose.
class shell_fixture {
 public:
  explicit shell_fixture(kv::tree_options options = {}, kv::shell::session_options how = {})
      : tree_(kv::start_tree(home_, options)), session_(kv::shell::start_session(home_, tree_, out_, how)) {}

  /// Executes one line and returns what it answered.
  std::string operator()(std::string text) {
    execute({std::move(text)});
    return answers_;
  }
  /// The same, and it must have been OK. Returns what came before.
  std::string ok(const std::string& text) {
    std::string answer = (*this)(text);
    if (!answer.ends_with("OK\n")) throw std::runtime_error(text + " answered " + answer);
    answer.resize(answer.size() - 3);
    return answer;
  }
  /// Executes lines at one go; true if all were answered OK.
  bool execute(std::vector<std::string> texts) {
    std::vector<kv::shell::line> lines;
    for (auto& text : texts) lines.push_back({.text = std::move(text), .overlong = false});
    return execute_lines(std::move(lines));
  }
  bool execute_lines(std::vector<kv::shell::line> lines) {
    const bool all_ok = session_.call_for(kv::infinity, &kv::shell::session::execute, std::move(lines));
    answers_ = std::exchange(out_, std::ostringstream()).str();
    return all_ok;
  }
  /// Returns what the last lines answered.
  const std::string& answers() const { return answers_; }

  kv::runtime& home() { return home_; }
  const kv::tree& tree() const { return tree_; }
  std::string pid_of(std::string_view bucket) const { return to_string(tree_.registry.lookup(bucket).value().id()); }

 private:
  std::ostringstream out_;  // outlives the session
  std::string answers_;
  kv::runtime home_{{.threads = 2, .on_report = [](const kv::report&) {}}};
  kv::tree tree_;
  kv::ref<kv::shell::session> session_;
};
