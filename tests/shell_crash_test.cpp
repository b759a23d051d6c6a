// Promises under test: whatever part of the tree is killed, the shell answers when it is back, and what the others hold
// is still there; AWAIT gives each event once, in order; a tree that has given up is told of in one line.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "shell_fixture.hpp"

namespace shell_crash_test {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::string part(const shell_fixture& shell, std::size_t index) {
  return to_string(shell.tree().root.call(&kv::supervisor::which_children).at(index).who);
}

constexpr std::size_t events = 0, buckets = 1, registry = 2;

kv::tree_options restarts(unsigned most) { return {.max_restarts = most, .period = hours(1)}; }

}  // namespace

// CRASH ------------------------------------------------------------------------------------------------------------

TEST_CASE("CRASH names who died and who has taken its place") {
  for (const auto& [name, index] :
       {std::pair("registry", registry), std::pair("events", events), std::pair("buckets", buckets)}) {
    CAPTURE(name);
    shell_fixture shell;
    const std::string before = part(shell, index);
    const std::string answer = shell.ok(std::string("CRASH ") + name);
    CHECK(part(shell, index) != before);
    CHECK(answer == name + (" " + before) + " killed, restarted as " + part(shell, index) + '\n');
  }
}

TEST_CASE("after a crash of the registry the buckets and what they hold are found") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE a", "CREATE b", "PUT a milk 3"}));
  const std::string a = shell.pid_of("a");
  REQUIRE(shell.execute({"CRASH registry", "CREATE a", "CREATE c"}));
  CHECK(shell.ok("LOOKUP a") == a + '\n');
  CHECK(shell.ok("GET a milk") == "3\n");
  CHECK(shell.execute({"LOOKUP b", "LOOKUP c"}));
}

TEST_CASE("after a crash of the registry it still hears of what ends") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE a", "CRASH registry"}));
  const std::string a = shell.pid_of("a");
  CHECK(shell.ok("KILL a") == "");
  CHECK(shell.ok("AWAIT exited a") == "exited a " + a + " killed\n");
}

TEST_CASE("after a crash of the event manager events still come") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE a", "PUT a milk 3", "CRASH events", "CREATE b"}));
  CHECK(shell.ok("GET a milk") == "3\n");
  CHECK(shell.ok("AWAIT created a") == "created a " + shell.pid_of("a") + '\n');
  CHECK(shell.ok("AWAIT created b") == "created b " + shell.pid_of("b") + '\n');
}

TEST_CASE("after a crash of the bucket supervisor every bucket is gone and can be created again") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE a", "CREATE b", "PUT a milk 3"}));
  const std::string a = shell.pid_of("a");
  const std::string b = shell.pid_of("b");
  REQUIRE(shell.execute({"CRASH buckets"}));
  CHECK(shell("GET a milk") == "NOT FOUND\n");
  CHECK(shell.ok("LIST") == "");
  CHECK(shell.ok("AWAIT exited b") == "exited b " + b + " killed\n");
  CHECK(shell.ok("AWAIT exited a") == "exited a " + a + " killed\n");
  CHECK(shell.ok("CREATE a") == "");
  CHECK(shell.ok("GET a milk") == "\n");
}

TEST_CASE("all parts can crash in one script") {
  shell_fixture shell(restarts(100));
  std::vector<std::string> script;
  for (int round = 0; round < 10; ++round) {
    for (const char* line : {"CREATE a", "PUT a k v", "CRASH events", "CRASH registry", "GET a k", "CRASH buckets",
                             "AWAIT created a", "AWAIT exited a"}) {
      script.emplace_back(line);
    }
  }
  CHECK(shell.execute(script));
}

// AWAIT ------------------------------------------------------------------------------------------------------------

TEST_CASE("AWAIT gives the events of one name in order and each once") {
  shell_fixture shell({}, {.await_timeout = milliseconds(1)});
  shell.ok("CREATE a");
  const std::string first = shell.pid_of("a");
  shell.ok("STOP a");
  shell.ok("CREATE a");
  const std::string second = shell.pid_of("a");
  CHECK(shell.ok("AWAIT created a") == "created a " + first + '\n');
  CHECK(shell.ok("AWAIT created a") == "created a " + second + '\n');
  CHECK(shell.ok("AWAIT exited a") == "exited a " + first + " normal\n");
  CHECK(shell("AWAIT created a") == "TIMEOUT\n");
  CHECK(shell("AWAIT exited a") == "TIMEOUT\n");
}

TEST_CASE("AWAIT of one name leaves the events of others") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE a", "CREATE b", "CREATE ab"}));
  for (const std::string name : {"ab", "b", "a"}) {
    CHECK(shell.ok("AWAIT created " + name) == "created " + name + ' ' + shell.pid_of(name) + '\n');
  }
}

TEST_CASE("AWAIT waits for what somebody else does") {
  shell_fixture shell;
  shell.ok("CREATE a");
  const auto a = shell.tree().registry.lookup("a").value();
  // Ends while the shell waits, or has ended before: AWAIT must not care.
  shell.home().spawn([a] { kv::exit(a, kv::exit_reason::custom("had enough")); });
  CHECK(shell.ok("AWAIT exited a") ==
        "exited a " + to_string(a.id()) + ' ' + to_string(kv::exit_reason::custom("had enough")) + '\n');
}

TEST_CASE("AWAIT tells of what happened between two commands") {
  shell_fixture shell;
  const auto a = shell.tree().registry.create("a");
  CHECK(shell.ok("AWAIT created a") == "created a " + to_string(a.id()) + '\n');
}

TEST_CASE("AWAIT gives up at its deadline") {
  shell_fixture shell({}, {.await_timeout = milliseconds(5)});
  CHECK(shell("AWAIT created a") == "TIMEOUT\n");
  CHECK_FALSE(shell.execute({"AWAIT exited a", "CREATE a"}));
  CHECK(shell.answers() == "TIMEOUT\nOK\n");
}

TEST_CASE("an AWAIT without patience still gives what has come") {
  shell_fixture shell({}, {.await_timeout = seconds(0)});
  shell.ok("CREATE a");
  CHECK(shell.ok("AWAIT created a") == "created a " + shell.pid_of("a") + '\n');
  CHECK(shell("AWAIT created a") == "TIMEOUT\n");
}

TEST_CASE("an event that is announced again is told once") {
  kv::shell::event_log<kv::created> log;
  const kv::created first{"a", {1, 1, 1}};
  const kv::created second{"a", {2, 1, 1}};
  log.add(first);
  log.add(first);
  log.add(second);
  log.add(second);
  CHECK(log.take("a").value().bucket == first.bucket);
  CHECK(log.take("a").value().bucket == second.bucket);
  CHECK_FALSE(log.take("a"));
}

// Giving up --------------------------------------------------------------------------------------------------------

TEST_CASE("once the tree has given up every command says so") {
  shell_fixture shell(restarts(1));
  REQUIRE(shell.execute({"CREATE a", "CRASH registry"}));
  const std::string down = "DOWN: the tree has given up\n";
  CHECK(shell("CRASH registry") == down);
  for (const char* line : {"CREATE a", "PUT a k v", "GET a k", "DELETE a k", "LOOKUP a", "LIST", "STOP a", "KILL a",
                           "CRASH events", "AWAIT created a", "TREE", "TABLES", "HELP"}) {
    CAPTURE(line);
    CHECK(shell(line) == down);
  }
  CHECK_FALSE(shell.execute({"LIST"}));
}

TEST_CASE("each part can be the one whose crash is one too many") {
  for (const std::string name : {"registry", "events", "buckets"}) {
    CAPTURE(name);
    shell_fixture shell(restarts(0));
    CHECK(shell.execute({"CREATE a", "CREATE b"}));
    CHECK_FALSE(shell.execute({"CRASH " + name, "GET a k"}));
    CHECK(shell.answers() == "DOWN: the tree has given up\nDOWN: the tree has given up\n");
  }
}

}  // namespace shell_crash_test
