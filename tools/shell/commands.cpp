// The commands of the shell.
#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "shell/inspect.hpp"
#include "shell/session.hpp"
#include "shell/words.hpp"

namespace kv::shell {
namespace {

refusal not_found() { return refusal("NOT FOUND"); }

std::string as_line(std::string text) { return std::move(text) + '\n'; }

std::string text_of(const created& event) { return "created " + quote(event.name) + ' ' + to_string(event.bucket); }

std::string text_of(const exited& event) {
  return "exited " + quote(event.name) + ' ' + to_string(event.bucket) + ' ' + to_string(event.reason);
}

std::string text_of(const bucket_changed& change) {
  return quote(change.key) + (change.value ? " SET TO " + quote(*change.value) : " DELETED");
}

}  // namespace

std::span<const command> session::commands() {
  static constexpr auto all = std::to_array<command>({
      {"CREATE", "bucket", "creates a bucket, if there is none of that name", &session::create},
      {"PUT", "bucket key value", "stores a value", &session::put},
      {"GET", "bucket key", "prints a value; an empty line if there is none", &session::get},
      {"DELETE", "bucket key", "removes a value", &session::erase},
      {"SUBSCRIBE", "bucket",
       "from now on prints each of its changes, before the OK of the command that made it, or of the next one",
       &session::subscribe},
      {"LOOKUP", "bucket", "prints the pid of a bucket", &session::lookup},
      {"LIST", "", "prints each bucket: name, pid, entries", &session::list},
      {"STOP", "bucket", "ends a bucket in order", &session::stop},
      {"KILL", "bucket", "kills a bucket", &session::kill},
      {"CRASH", "registry|events|buckets", "kills a part of the tree; prints who has taken its place", &session::crash},
      {"AWAIT", "created|exited bucket", "waits for the oldest such event not awaited yet and prints it",
       &session::await_event},
      {"TREE", "", "prints the supervision tree: pid, state, restarts", &session::draw_tree},
      {"TABLES", "", "prints each table: name, type, access, owner, heir, rows, bytes", &session::tables},
      {"PS", "", "prints each process: pid, names, class, state, messages that wait", &session::processes},
      {"INFO", "pid", "prints what is known of a process", &session::info},
      {"HISTORY", "", "prints the last restarts of a part of the tree: how long ago, which, why", &session::history},
      {"HELP", "", "prints this", &session::help},
  });
  return all;
}

// Buckets ----------------------------------------------------------------------------------------------------------

/// Returns `use(bucket)`. A bucket that ends meanwhile was not there.
template <class F>
auto session::with_bucket(const std::string& name, F use) const {
  const auto found = tree_.registry.lookup(name);
  if (!found) throw not_found();
  try {
    return use(*found);
  } catch (const call_error& e) {
    if (e.why() == call_error::code::timeout) throw;
    throw not_found();
  }
}

std::string session::create(arguments given) {
  tree_.registry.create(given[0]);
  return {};
}

std::string session::put(arguments given) {
  with_bucket(given[0], [&](const ref<bucket>& b) { b.call(&bucket::put, given[1], given[2]); });
  return {};
}

std::string session::get(arguments given) {
  return with_bucket(given[0],
                     [&](const ref<bucket>& b) { return as_line(b.call(&bucket::get, given[1]).value_or("")); });
}

std::string session::erase(arguments given) {
  with_bucket(given[0], [&](const ref<bucket>& b) { b.call(&bucket::erase, given[1]); });
  return {};
}

std::string session::subscribe(arguments given) {
  with_bucket(given[0], [](const ref<bucket>& b) { kv::subscribe(b); });
  return {};
}

std::string session::lookup(arguments given) {
  return with_bucket(given[0], [](const ref<bucket>& b) { return as_line(to_string(b.id())); });
}

std::string session::list(arguments) { return list_buckets(tree_.registry); }

std::string session::stop(arguments given) {
  with_bucket(given[0], [](const ref<bucket>& b) { b.stop(); });
  return {};
}

// Crashes ----------------------------------------------------------------------------------------------------------

std::string session::kill(arguments given) {
  with_bucket(given[0], [this](const ref<bucket>& b) { kill_and_await(b); });
  return {};
}

std::string session::crash(arguments given) {
  const auto& id = given[0];
  const auto before = part(id);
  std::vector<pid> those_it_takes_along;
  if (id == "buckets") {
    for (const auto& [name, b] : tree_.registry.list()) those_it_takes_along.push_back(b);
  }
  kill_and_await(before.who, those_it_takes_along);
  // The root was told of the death before this process was, so it restarts the child before it answers this; and should
  // the start fail, it tries again before it answers the next.
  auto after = part(id);
  while (!after.who) after = part(id);
  return as_line(id + ' ' + to_string(before.who) + " killed, restarted as " + to_string(after.who));
}

/// Returns a child of the root. Throws call_error when the root has given up.
child_info session::part(std::string_view id) const {
  const auto children = tree_.root.call_for(infinity, &supervisor::which_children);
  return *std::ranges::find(children, id, &child_info::id);
}

void session::kill_and_await(pid victim, const std::vector<pid>& those_it_takes_along) {
  monitor(victim);
  for (const auto each : those_it_takes_along) monitor(each);
  deaths_awaited_ = 1 + those_it_takes_along.size();
  kv::exit(victim, exit_reason::kill);
  while (deaths_awaited_ > 0) next_message(infinity);
}

// Events -----------------------------------------------------------------------------------------------------------

std::string session::await_event(arguments given) {
  return given[0] == "created" ? oldest(created_, given[1]) : oldest(exited_, given[1]);
}

template <class Event>
std::string session::oldest(event_log<Event>& log, const std::string& name) {
  const auto deadline = now() + options_.await_timeout;
  for (;;) {
    if (const auto event = log.take(name)) return as_line(text_of(*event));
    if (!next_message(deadline - now())) throw refusal("TIMEOUT");
  }
}

/// Takes the first message, whatever it is: a selective receive would search through all the events that wait.
bool session::next_message(std::chrono::nanoseconds timeout) {
  return receive_for(
      timeout, [this](const created& event) { handle(event); }, [this](const exited& event) { handle(event); },
      [this](const bucket_changed& change) { handle(change); }, [this](const down&) { --deaths_awaited_; });
}

/// Returns a line for each change that has come since the last time. Those of a call are here when it has returned.
std::string session::take_changes() {
  while (next_message(std::chrono::nanoseconds(0))) {
  }
  std::string lines;
  for (const auto& change : std::exchange(changes_, {})) lines += as_line(text_of(change));
  return lines;
}

// What there is ----------------------------------------------------------------------------------------------------

std::string session::draw_tree(arguments) { return shell::draw_tree(tree_); }

std::string session::tables(arguments) { return list_tables(home_); }

std::string session::processes(arguments) { return list_processes(home_); }

std::string session::info(arguments given) {
  const auto who = find_process(home_, given[0]);
  auto text = who ? describe_process(home_, tree_.registry, *who) : std::nullopt;
  if (!text) throw not_found();
  return *std::move(text);
}

std::string session::history(arguments) { return list_restarts(tree_, now()); }

std::string session::help(arguments) {
  std::size_t width = 0;
  for (const auto& each : commands()) width = std::max(width, each.usage().size());
  std::string text;
  for (const auto& each : commands()) {
    auto usage = each.usage();
    usage.resize(width + 2, ' ');
    text += as_line(usage + std::string(each.help));
  }
  return text;
}

}  // namespace kv::shell
