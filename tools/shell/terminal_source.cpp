#include "shell/terminal_source.hpp"

#include <histedit.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "shell/words.hpp"

namespace kv::shell {
namespace {

constexpr int history_size = 1000;
constexpr std::size_t most_choices_shown = 100;  // there may be a million buckets

template <auto Function>
struct closes_with {
  template <class T>
  void operator()(T* resource) const {
    Function(resource);
  }
};

char* prompt(EditLine*) {
  static char text[] = "kv> ";
  return text;
}

void use_wide_locale() {
  std::setlocale(LC_CTYPE, "");
  // The plain C locale would reject every byte beyond ASCII.
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

std::string history_path() {
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.kv_history" : std::string();
}

// libedit counts characters where we count bytes. Nothing if these bytes are none: such a word cannot be edited.
std::optional<int> characters(std::string_view bytes) {
  const std::size_t count = std::mbstowcs(nullptr, std::string(bytes).c_str(), 0);
  if (count == static_cast<std::size_t>(-1)) return std::nullopt;
  return static_cast<int>(count);
}

// Below the line being typed, as many words in a row as fit.
void show_choices(const std::vector<std::string>& choices, std::size_t columns) {
  std::string shown;
  std::size_t used = columns;  // as if a full row came before: the first word begins a new one
  const auto add = [&](const std::string& word) {
    const auto width = static_cast<std::size_t>(characters(word).value_or(0));
    const bool fits = used + 2 + width < columns;
    shown += (fits ? "  " : "\n") + word;
    used = fits ? used + 2 + width : width;
  };

  const std::size_t count = std::min(choices.size(), most_choices_shown);
  for (std::size_t i = 0; i < count; ++i) add(quote(choices[i]));
  if (count < choices.size()) add("and " + std::to_string(choices.size() - count) + " more");
  std::puts(shown.c_str());
}

}  // namespace

class terminal_source::editor {
 public:
  explicit editor(vocabulary known) : known_(std::move(known)), history_path_(history_path()) {
    if (!history_ || !edit_) throw std::runtime_error("the terminal cannot be used for line editing");
    open_history();
    set_up();
  }

  std::optional<line> read();

 private:
  void open_history();
  void set_up();
  void remember(const std::string& text);
  unsigned char complete_word();

  // What libedit calls.
  static editor& of(EditLine* edit);
  static unsigned char on_tab(EditLine* edit, int key) noexcept;
  static unsigned char on_interrupt(EditLine* edit, int key) noexcept;
  static unsigned char on_suspend(EditLine* edit, int key) noexcept;

  vocabulary known_;
  std::string history_path_;  // empty: keep it in memory only
  std::unique_ptr<History, closes_with<history_end>> history_{history_init()};
  std::unique_ptr<EditLine, closes_with<el_end>> edit_{el_init("kv", stdin, stdout, stderr)};  // refers to history_
  bool interrupted_ = false;
};

void terminal_source::editor::open_history() {
  HistEvent event;
  history(history_.get(), &event, H_SETSIZE, history_size);
  history(history_.get(), &event, H_SETUNIQUE, 1);
  if (!history_path_.empty()) history(history_.get(), &event, H_LOAD, history_path_.c_str());
}

void terminal_source::editor::set_up() {
  EditLine* const edit = edit_.get();
  el_set(edit, EL_CLIENTDATA, this);
  el_set(edit, EL_PROMPT, &prompt);
  el_set(edit, EL_HIST, &history, history_.get());
  el_set(edit, EL_SIGNAL, 1);
  el_set(edit, EL_EDITOR, "emacs");
  el_source(edit, nullptr);  // before the keys: a change of editor in there unbinds them
  el_set(edit, EL_ADDFN, "kv-complete", "Complete a word", &on_tab);
  el_set(edit, EL_ADDFN, "kv-interrupt", "Drop the line", &on_interrupt);
  el_set(edit, EL_ADDFN, "kv-suspend", "Stop the program until it is continued", &on_suspend);
  el_set(edit, EL_BIND, "^I", "kv-complete", nullptr);
  // Ctrl-C as a key and not as a signal, which would end the program; then Ctrl-Z has to be one too.
  el_set(edit, EL_SETTY, "-d", "-isig", nullptr);
  el_set(edit, EL_BIND, "^C", "kv-interrupt", nullptr);
  el_set(edit, EL_BIND, "^Z", "kv-suspend", nullptr);
  el_set(edit, EL_BIND, "-a", "^C", "kv-interrupt", nullptr);  // in vi's command mode
  el_set(edit, EL_BIND, "-a", "^Z", "kv-suspend", nullptr);
}

std::optional<line> terminal_source::editor::read() {
  for (;;) {
    std::cout.flush();
    interrupted_ = false;
    int length = 0;
    const char* const typed = el_gets(edit_.get(), &length);
    if (interrupted_) {
      std::puts("^C");  // leaves the dropped line in sight
      continue;
    }
    if (typed == nullptr || length <= 0) break;

    std::string text(typed, static_cast<std::size_t>(length));
    if (text.ends_with('\n')) text.pop_back();
    if (text.size() > max_line_length) return line{.text = {}, .overlong = true};
    remember(text);
    return line{.text = std::move(text), .overlong = false};
  }
  std::puts("");  // the next prompt is not ours: it begins on its own line
  return std::nullopt;
}

void terminal_source::editor::remember(const std::string& text) {
  if (text.find_first_not_of(" \t") == std::string::npos) return;

  HistEvent event;
  history(history_.get(), &event, H_ENTER, text.c_str());
  // Now and not at the end: a terminal that is closed ends the program without a word.
  if (!history_path_.empty()) history(history_.get(), &event, H_SAVE, history_path_.c_str());
}

unsigned char terminal_source::editor::complete_word() {
  const LineInfo* const info = el_line(edit_.get());
  const std::string_view before_cursor(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
  const completion edit = complete(before_cursor, known_);
  if (!edit.choices.empty()) {
    int columns = 80;
    el_get(edit_.get(), EL_GETTC, "co", &columns, nullptr);
    show_choices(edit.choices, static_cast<std::size_t>(columns));
    return CC_REDISPLAY;
  }
  const auto inserted = characters(edit.text);
  if (edit.text.empty() || !inserted) return CC_REFRESH_BEEP;

  const auto replaced = characters(before_cursor.substr(before_cursor.size() - edit.replaced));
  el_deletestr(edit_.get(), replaced.value_or(0));
  return el_insertstr(edit_.get(), edit.text.c_str()) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

terminal_source::editor& terminal_source::editor::of(EditLine* edit) {
  void* self = nullptr;
  el_get(edit, EL_CLIENTDATA, &self);
  return *static_cast<editor*>(self);
}

unsigned char terminal_source::editor::on_tab(EditLine* edit, int) noexcept try {
  return of(edit).complete_word();
} catch (...) {
  // No exception may cross libedit, which is C; and a tab that does nothing is what a person expects of a failure.
  return CC_REFRESH_BEEP;
}

unsigned char terminal_source::editor::on_interrupt(EditLine* edit, int) noexcept {
  of(edit).interrupted_ = true;
  return CC_NEWLINE;
}

unsigned char terminal_source::editor::on_suspend(EditLine*, int) noexcept {
  std::raise(SIGTSTP);  // libedit's handler puts the terminal in order, stops, and comes back after SIGCONT
  return CC_REDISPLAY;
}

terminal_source::terminal_source(vocabulary known) {
  use_wide_locale();
  editor_ = std::make_unique<editor>(std::move(known));
}

terminal_source::~terminal_source() = default;

std::optional<line> terminal_source::next() { return editor_->read(); }

}  // namespace kv::shell
