// Promises under test: PS shows every process, INFO what is known of one, and HISTORY which parts of the tree were
// restarted, in order and why.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <kv/testing.hpp>

#include "servers.hpp"
#include "shell/words.hpp"
#include "shell_fixture.hpp"

namespace shell_processes_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

bool contains(const std::vector<std::string>& lines, const std::string& wanted) {
  return std::ranges::find(lines, wanted) != lines.end();
}

}  // namespace

TEST_CASE("PS prints a line for each process: pid, names, class, state, messages that wait") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b"}));
  const auto other = shell.home().spawn_named<blank>("my process");
  std::set<std::string> expected;
  for (const auto id : shell.home().processes()) expected.insert(to_string(id));
  std::set<std::string> seen;
  for (const auto& line : lines_of(shell.ok("PS"))) {
    const auto words = kv::shell::split(line);
    REQUIRE(words.size() == 5);
    seen.insert(words[0]);
    CHECK(std::set<std::string>{"idle", "waiting", "running"}.contains(words[3]));
    if (words[0] == shell.pid_of("b")) CHECK((words[1] == "-" && words[2] == "kv::bucket"));
    if (words[0] == to_string(other.id())) CHECK((words[1] == "my process" && words[2] == "blank"));
    if (words[1] == "kv") CHECK((words[0] == to_string(shell.tree().root.id()) && words[2] == "kv::supervisor"));
  }
  for (const auto& each : expected) CHECK(seen.contains(each));
}

TEST_CASE("a process that has ended is in PS no more, and unknown to INFO") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b"}));
  const auto b = shell.pid_of("b");
  CHECK(shell("INFO " + b) != "NOT FOUND\n");
  REQUIRE(shell.execute({"KILL b"}));
  CHECK(shell("INFO " + b) == "NOT FOUND\n");
  for (const auto& line : lines_of(shell.ok("PS"))) CHECK_FALSE(line.starts_with(b + ' '));
}

TEST_CASE("what is no pid is not found") {
  shell_fixture shell;
  for (const char* const text : {"b", "<none>", "<0.0>", "<999999.1>", "<0.1", "0.1", "\"\"", "\"<0.1>\\n\""}) {
    CAPTURE(text);
    CHECK(shell(std::string("INFO ") + text) == "NOT FOUND\n");
  }
}

TEST_CASE("INFO tells of a bucket its names, its parent and who watches it") {
  const kv::testing::simulate_runtimes simulated(0);
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE \"a b\"", "PUT \"a b\" k v"}));
  const auto all = lines_of(shell.ok("INFO " + shell.pid_of("a b")));
  CHECK(contains(all, "pid: " + shell.pid_of("a b")));
  CHECK(contains(all, "bucket: \"a b\""));
  CHECK(contains(all, "class: kv::bucket"));
  CHECK(contains(all, "state: idle"));
  CHECK(contains(all, "mailbox: 0"));
  CHECK(contains(all, "parent: " + to_string(shell.home().whereis("kv.buckets").value())));
  CHECK(contains(all, "links: " + to_string(shell.home().whereis("kv.buckets").value())));
  CHECK(contains(all, "monitored by: " + to_string(shell.tree().registry.server_pid().value())));
  CHECK(contains(all, "traps exits: no"));
  CHECK(std::ranges::none_of(all, [](const std::string& line) { return line.starts_with("names:"); }));
}

TEST_CASE("PS and INFO tell what a process waits for, and what waits for it") {
  const kv::testing::simulate_runtimes simulated(0);
  shell_fixture shell;
  probe p(shell.home());
  const auto waiting = shell.home().spawn([to = p.id()] {
    kv::send(to, 1);
    kv::receive<std::string>();
  });
  p.expect<int>();
  for (int i = 0; i < 3; ++i) shell.home().send(waiting, i);
  REQUIRE(shell.execute({"LIST", "INFO " + to_string(waiting), "LIST"}));  // it takes its turn
  const auto all = lines_of(shell.ok("INFO " + to_string(waiting)));
  CHECK(contains(all, "state: waiting"));
  CHECK(contains(all, "for: 0 s"));
  CHECK(contains(all, "mailbox: 3"));
  CHECK(shell.answers().find("doing: waits for a message of ") != std::string::npos);
  const auto ps = lines_of(shell.ok("PS"));
  CHECK(std::ranges::any_of(ps, [&](const std::string& line) {
    return line.starts_with(to_string(waiting) + " - ") && line.ends_with(" waiting 3");
  }));
  kill_and_await(shell.home(), waiting);
}

TEST_CASE("HISTORY is empty until a part of the tree is restarted, and then tells of each restart in order") {
  const kv::testing::simulate_runtimes simulated(0);
  shell_fixture shell;
  CHECK(shell.ok("HISTORY") == "");
  const auto pid_of = [&](const char* name) { return to_string(shell.home().whereis(name).value()); };
  std::string expected;
  for (const std::string part : {"registry", "events", "registry"}) {
    const auto before = pid_of(("kv." + part).c_str());
    shell.ok("CRASH " + part);
    expected += "0 s ago " + part + ": " + before + " ended (killed), now " + pid_of(("kv." + part).c_str()) + '\n';
    CHECK(shell.ok("HISTORY") == expected);
  }
}

TEST_CASE("HISTORY tells how long ago it was") {
  const kv::testing::simulate_runtimes simulated(0);
  shell_fixture shell({}, {.await_timeout = std::chrono::seconds(61)});
  shell.ok("CRASH events");
  CHECK(shell("AWAIT created nothing") == "TIMEOUT\n");  // the time passes
  CHECK(shell.ok("HISTORY").starts_with("61 s ago events: "));
}

TEST_CASE("buckets that die are no part of the history") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "KILL b", "AWAIT exited b"}));
  CHECK(shell.ok("HISTORY") == "");
}

}  // namespace shell_processes_test
