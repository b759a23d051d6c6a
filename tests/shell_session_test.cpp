// Promises under test: each command answers lines and OK or one line that says what went wrong; values pass byte for
// byte; a bad line is one error, and those after it are executed all the same.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "shell/words.hpp"
#include "shell_fixture.hpp"

namespace shell_session_test {

using kv::shell::max_line_length;
using kv::shell::quote;
using namespace std::string_literals;

// Buckets ----------------------------------------------------------------------------------------------------------

TEST_CASE("a value that was put can be read and deleted") {
  shell_fixture shell;
  CHECK(shell("CREATE shopping") == "OK\n");
  CHECK(shell("PUT shopping milk 3") == "OK\n");
  CHECK(shell("GET shopping milk") == "3\nOK\n");
  CHECK(shell("DELETE shopping milk") == "OK\n");
  CHECK(shell("GET shopping milk") == "\nOK\n");
  CHECK(shell("DELETE shopping milk") == "OK\n");
}

TEST_CASE("creating a bucket again changes nothing") {
  shell_fixture shell;
  shell.execute({"CREATE shopping", "PUT shopping milk 3"});
  const std::string first = shell.pid_of("shopping");
  CHECK(shell.ok("CREATE shopping") == "");
  CHECK(shell.pid_of("shopping") == first);
  CHECK(shell.ok("GET shopping milk") == "3\n");
}

TEST_CASE("every command on an unknown bucket answers NOT FOUND") {
  shell_fixture shell;
  for (const char* line : {"PUT b k v", "GET b k", "DELETE b k", "SUBSCRIBE b", "LOOKUP b", "STOP b", "KILL b"}) {
    CAPTURE(line);
    CHECK(shell(line) == "NOT FOUND\n");
  }
}

TEST_CASE("LOOKUP prints the pid") {
  shell_fixture shell;
  shell.ok("CREATE shopping");
  CHECK(shell.ok("LOOKUP shopping") == shell.pid_of("shopping") + '\n');
}

TEST_CASE("LIST prints the buckets by name with pid and entries") {
  shell_fixture shell;
  CHECK(shell.ok("LIST") == "");
  REQUIRE(shell.execute({"CREATE b", "CREATE \"a c\"", "PUT b x 1", "PUT b y 2"}));
  CHECK(shell.ok("LIST") == "\"a c\" " + shell.pid_of("a c") + " 0\nb " + shell.pid_of("b") + " 2\n");
}

TEST_CASE("a bucket is gone as soon as STOP or KILL has answered") {
  shell_fixture shell;
  for (const std::string how : {"STOP", "KILL"}) {
    CAPTURE(how);
    REQUIRE(shell.execute({"CREATE b", "PUT b k v", how + " b"}));
    CHECK(shell("GET b k") == "NOT FOUND\n");
    CHECK(shell.ok("LIST") == "");
    CHECK(shell.ok("CREATE b") == "");
    CHECK(shell.ok("GET b k") == "\n");
  }
}

// Words ------------------------------------------------------------------------------------------------------------

TEST_CASE("values and keys pass byte for byte") {
  shell_fixture shell;
  const std::string bytes = "a b\n\"\\\0\xff\r\t"s;
  REQUIRE(shell.execute({"CREATE " + quote(bytes), "PUT " + quote(bytes) + ' ' + quote(bytes) + ' ' + quote(bytes)}));
  CHECK(shell.ok("GET " + quote(bytes) + ' ' + quote(bytes)) == bytes + '\n');
}

TEST_CASE("names are printed as they would be typed") {
  shell_fixture shell;
  shell.execute({R"(CREATE "two\nlines")"});
  CHECK(shell.ok("LIST") == R"("two\nlines" )" + shell.pid_of("two\nlines") + " 0\n");
  CHECK(shell.ok(R"(AWAIT created "two\nlines")") == R"(created "two\nlines" )" + shell.pid_of("two\nlines") + '\n');
}

TEST_CASE("the empty word is a name like any other") {
  shell_fixture shell;
  REQUIRE(shell.execute({R"(CREATE "")", R"(PUT "" "" "")", R"(GET "" "")"}));
  CHECK(shell.answers() == "OK\nOK\n\nOK\n");
}

TEST_CASE("commands are read in any case and names are not") {
  shell_fixture shell;
  CHECK(shell("create b") == "OK\n");
  CHECK(shell("CrEaTe c") == "OK\n");
  CHECK(shell("get B k") == "NOT FOUND\n");
}

TEST_CASE("empty lines and comments get no answer") {
  shell_fixture shell;
  for (const char* line : {"", " \t", "\r", "# a comment", "  # another", "#\"open", "#"}) {
    CAPTURE(line);
    CHECK(shell(line) == "");
  }
  CHECK(shell.execute({"# nothing went wrong", ""}));
}

TEST_CASE("an unknown command is named so") {
  shell_fixture shell;
  for (const char* line : {"BREW coffee", "PUTS", "PU", "\"\"", "\"PUT b\" k v", "create# b"}) {
    CAPTURE(line);
    CHECK(shell(line) == "UNKNOWN COMMAND\n");
  }
}

TEST_CASE("wrong words are answered with the usage of that command") {
  shell_fixture shell;
  CHECK(shell("PUT b k") == "USAGE: PUT bucket key value\n");
  CHECK(shell("put b k v w") == "USAGE: PUT bucket key value\n");
  CHECK(shell("CREATE") == "USAGE: CREATE bucket\n");
  CHECK(shell("LIST all") == "USAGE: LIST\n");
  CHECK(shell("CRASH everything") == "USAGE: CRASH registry|events|buckets\n");
  CHECK(shell("CRASH registry|events") == "USAGE: CRASH registry|events|buckets\n");
  CHECK(shell("AWAIT forgotten b") == "USAGE: AWAIT created|exited bucket\n");
}

TEST_CASE("each command without or with too many words is answered with one line") {
  shell_fixture shell;
  for (const auto& each : kv::shell::session::commands()) {
    const std::string name(each.name);
    CAPTURE(name);
    if (!each.operands.empty()) CHECK(shell(name) == "USAGE: " + each.usage() + '\n');
    CHECK(shell(name + " 1 2 3 4") == "USAGE: " + each.usage() + '\n');
  }
}

TEST_CASE("a line that cannot be read is one error and the next one is executed") {
  shell_fixture shell;
  CHECK_FALSE(shell.execute_lines({{.text = "", .overlong = true},
                                   {.text = "PUT \"b", .overlong = false},
                                   {.text = R"(PUT b "\q")", .overlong = false},
                                   {.text = "CREATE b", .overlong = false}}));
  CHECK(shell.answers() == "BAD LINE: longer than " + std::to_string(max_line_length) + " bytes\n" +
                               "BAD LINE: column 5: these quotes are never closed\n"
                               "BAD LINE: column 8: unknown escape \\q, expected \\\" \\\\ \\n or \\xHH\n"
                               "OK\n");
}

TEST_CASE("lines are all OK only if each of them is") {
  shell_fixture shell;
  CHECK(shell.execute({}));
  CHECK(shell.execute({"CREATE b", "LIST"}));
  CHECK_FALSE(shell.execute({"GET c k", "LIST"}));
  CHECK_FALSE(shell.execute({"LIST", "GET c k"}));
  CHECK(shell.execute({"LIST"}));
}

// What there is ----------------------------------------------------------------------------------------------------

TEST_CASE("TREE draws every process with its pid, state and restarts") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "CREATE \"a c\"", "CRASH registry"}));
  const auto children = shell.tree().root.call(&kv::supervisor::which_children);
  CHECK(shell.ok("TREE") == "supervisor " + to_string(shell.tree().root.id()) + " running\n" +  //
                                "├── events " + to_string(children[0].who) + " running, restarts 0\n" + "├── buckets " +
                                to_string(children[1].who) + " running, restarts 0\n" + "│   ├── \"a c\" " +
                                shell.pid_of("a c") + " running\n" +  //
                                "│   └── b " + shell.pid_of("b") + " running\n" + "└── registry " +
                                to_string(children[2].who) + " running, restarts 1\n");
}

TEST_CASE("TABLES prints a line for each table by name") {
  shell_fixture shell({.name = "my kv"});
  REQUIRE(shell.execute({"CREATE b", "CREATE c"}));
  std::string expected;
  std::set<std::string> by_name;
  for (const auto& t : kv::all_tables(shell.home())) {
    by_name.insert(quote(t.name) + " set public " + to_string(shell.tree().root.id()) + " <none> " +
                   std::to_string(t.size) + ' ' + std::to_string(t.memory) + '\n');
  }
  for (const auto& line : by_name) expected += line;
  CHECK(by_name.size() == 5);
  CHECK(shell.ok("TABLES") == expected);
  CHECK(expected.find("\"my kv.names\" set public " + to_string(shell.tree().root.id()) + " <none> 2 ") == 0);
}

TEST_CASE("HELP tells of every command") {
  shell_fixture shell;
  const std::string help = shell.ok("HELP");
  for (const auto& each : kv::shell::session::commands()) {
    CHECK(help.find(each.usage() + ' ') != std::string::npos);
    CHECK(help.find(each.help) != std::string::npos);
  }
}

}  // namespace shell_session_test
