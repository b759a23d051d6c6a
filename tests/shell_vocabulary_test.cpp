// Promises under test: the tab key knows every command, the alternatives of each and the buckets that live.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "shell/vocabulary.hpp"
#include "shell_fixture.hpp"

namespace shell_vocabulary_test {

using words = std::vector<std::string>;

TEST_CASE("every command can be completed") {
  shell_fixture shell;
  const auto known = kv::shell::words_of(shell.tree().registry);
  for (const auto& each : kv::shell::session::commands()) CHECK(std::ranges::count(known.commands, each.name) == 1);
}

TEST_CASE("a word that names a bucket is completed with those that live") {
  shell_fixture shell;
  const auto known = kv::shell::words_of(shell.tree().registry);
  REQUIRE(shell.execute({"CREATE b", "CREATE \"a c\"", "CREATE d", "STOP d"}));
  CHECK(known.arguments("GET", 1, "") == words{"a c", "b"});
  CHECK(known.arguments("get", 1, "") == words{"a c", "b"});
  CHECK(known.arguments("AWAIT", 2, "") == words{"a c", "b"});
  CHECK(kv::shell::complete("get a", known).text == "\"a c\" ");
}

TEST_CASE("a word that is one of a few is completed with those") {
  shell_fixture shell;
  const auto known = kv::shell::words_of(shell.tree().registry);
  CHECK(known.arguments("CRASH", 1, "") == words{"registry", "events", "buckets"});
  CHECK(known.arguments("AWAIT", 1, "") == words{"created", "exited"});
}

TEST_CASE("a word that nobody can know is not completed") {
  shell_fixture shell;
  const auto known = kv::shell::words_of(shell.tree().registry);
  CHECK(known.arguments("GET", 2, "").empty());
  CHECK(known.arguments("GET", 3, "").empty());
  CHECK(known.arguments("LIST", 1, "").empty());
  CHECK(known.arguments("BREW", 1, "").empty());
}

}  // namespace shell_vocabulary_test
