// Promises under test: whatever lines a session gets, it answers each command with lines and then OK, or with one line
// that says what is wrong, and lines without a command with nothing; afterwards what LIST shows is there.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "fuzz/promise.hpp"
#include "shell/line_source.hpp"
#include "shell/words.hpp"
#include "shell_fixture.hpp"

namespace {

bool is_command(const kv::shell::line& asked) {
  const auto first = asked.text.find_first_not_of(" \t\r");
  return asked.overlong || (first != std::string::npos && asked.text[first] != '#');
}

bool ends_with_ok(const std::string& answer) { return answer == "OK\n" || answer.ends_with("\nOK\n"); }

bool is_one_line(const std::string& answer) { return answer.size() > 1 && answer.find('\n') == answer.size() - 1; }

void check_answer(const kv::shell::line& asked, const std::string& answer, bool is_ok) {
  if (!is_command(asked)) return promise(is_ok && answer.empty(), "what is no command gets no answer");
  if (is_ok) return promise(ends_with_ok(answer), "an answer ends with OK");
  promise(is_one_line(answer) && !ends_with_ok(answer), "an error is one line");
}

void check_list(shell_fixture& shell) {
  if (!shell.execute({"LIST"})) return promise(!shell.tree().root.alive(), "LIST fails only without a tree");
  std::istringstream rows(shell.answers());
  for (std::string row; std::getline(rows, row) && row != "OK";) {
    const auto shown = kv::shell::split(row);
    promise(shown.size() == 3, "LIST shows name, pid and entries");
    promise(shell("LOOKUP " + kv::shell::quote(shown[0])) == shown[1] + "\nOK\n", "LOOKUP finds what LIST shows");
  }
}

}  // namespace

// Where ASan keeps the variables of a fiber to find uses after return, Boost.Context leaks that memory when the fiber
// ends. Here that would add up.
extern "C" const char* __asan_default_options() { return "detect_stack_use_after_return=0"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shell_fixture shell({}, {.await_timeout = std::chrono::milliseconds(1)});
  std::istringstream script(std::string(reinterpret_cast<const char*>(data), size));
  kv::shell::stream_source source(script);
  while (const auto asked = source.next()) {
    const bool is_ok = shell.execute_lines({*asked});
    check_answer(*asked, shell.answers(), is_ok);
  }
  check_list(shell);
  return 0;
}
