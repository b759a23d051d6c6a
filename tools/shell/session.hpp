// The shell without its terminal: lines in, answers out.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <kv/kv.hpp>

#include "shell/command.hpp"
#include "shell/event_log.hpp"
#include "shell/line_source.hpp"

namespace kv::shell {

struct session_options {
  /// How long AWAIT waits for an event.
  std::chrono::nanoseconds await_timeout = std::chrono::seconds(5);
};

/// Carries out commands on a tree and writes what they answer: lines and then `OK`, or one line that says what went
/// wrong. Empty lines and lines that begin with `#` get no answer. Once the tree has given up, every command says so.
///
/// Changes of buckets that were subscribed to are lines between what a command answers and its `OK`: those that it made,
/// after those that others have made since the last `OK`. So a script has the same output every time.
///
/// It is a process, as iex is one: events come to it as messages, and it can watch what it kills. And calls from one
/// process to another need no switch of threads, which makes a long script ten times as fast.
class session {
 public:
  /// Subscribes to the tree's events. Started by start_session().
  session(runtime& home, tree kv, std::ostream& out, const session_options& options);

  /// Answers each line, whatever became of those before; true when all were answered OK.
  bool execute(const std::vector<line>& lines);

  void handle(const created& event) { created_.add(event); }
  void handle(const exited& event) { exited_.add(event); }
  void handle(const bucket_changed& change) { changes_.push_back(change); }
  using messages = message_types<created, exited, bucket_changed>;

  /// Returns every command, in the order of HELP.
  static std::span<const command> commands();

 private:
  bool answer(const line& asked);
  std::string run(const std::string& text);

  // The commands.
  std::string create(arguments given);
  std::string put(arguments given);
  std::string get(arguments given);
  std::string erase(arguments given);
  std::string subscribe(arguments given);
  std::string lookup(arguments given);
  std::string list(arguments given);
  std::string stop(arguments given);
  std::string kill(arguments given);
  std::string crash(arguments given);
  std::string await_event(arguments given);
  std::string draw_tree(arguments given);
  std::string tables(arguments given);
  std::string processes(arguments given);
  std::string info(arguments given);
  std::string history(arguments given);
  std::string help(arguments given);

  // What they are made of.
  template <class F>
  auto with_bucket(const std::string& name, F use) const;
  template <class Event>
  std::string oldest(event_log<Event>& log, const std::string& name);
  child_info part(std::string_view id) const;
  void kill_and_await(pid victim, const std::vector<pid>& those_it_takes_along = {});
  bool next_message(std::chrono::nanoseconds timeout);
  std::string take_changes();

  runtime& home_;
  const tree tree_;
  std::ostream& out_;
  const session_options options_;
  event_log<created> created_;
  event_log<exited> exited_;
  std::vector<bucket_changed> changes_;  // not printed yet
  std::size_t deaths_awaited_ = 0;
};

/// Starts a session that writes to `out`. Requires: the stream is used by nobody else during session::execute(), and
/// outlives the session.
inline ref<session> start_session(runtime& home, const tree& kv, std::ostream& out,
                                  const session_options& options = {}) {
  return home.spawn<session>(std::ref(home), kv, std::ref(out), options);
}

}  // namespace kv::shell
