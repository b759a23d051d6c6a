// Promises under test: whoever has subscribed to a bucket sees each of its changes as a line before the OK of the command
// that made it, or of the next one; always in the same places, so that a script can rely on them.
#include <doctest/doctest.h>

#include <string>

#include "shell/words.hpp"
#include "shell_fixture.hpp"

namespace shell_subscribe_test {

using kv::bucket;
using kv::shell::quote;
using namespace std::string_literals;

namespace {

kv::ref<bucket> bucket_of(const shell_fixture& shell, const std::string& name) {
  return shell.tree().registry.lookup(name).value();
}

}  // namespace

TEST_CASE("changes are printed before the OK of the command that made them") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE shopping", "SUBSCRIBE shopping"}));
  CHECK(shell("PUT shopping milk 1") == "milk SET TO 1\nOK\n");
  CHECK(shell("PUT shopping milk 1") == "milk SET TO 1\nOK\n");
  CHECK(shell("GET shopping milk") == "1\nOK\n");
  CHECK(shell("DELETE shopping milk") == "milk DELETED\nOK\n");
  CHECK(shell("DELETE shopping milk") == "OK\n");
}

TEST_CASE("lines that come at one go are answered as one by one") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "PUT b k 1", "SUBSCRIBE b", "PUT b k 2", "# a comment", "PUT b k 3", "GET b k"}));
  CHECK(shell.answers() == "OK\nOK\nOK\nk SET TO 2\nOK\nk SET TO 3\nOK\n3\nOK\n");
}

TEST_CASE("changes that others made are printed with the next command, after its own lines") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b"}));
  const auto b = bucket_of(shell, "b");
  b.call(&bucket::put, "k", "1");
  b.call(&bucket::put, "k", "2");
  CHECK(shell("# nothing to answer") == "");
  CHECK(shell("GET b k") == "2\nk SET TO 1\nk SET TO 2\nOK\n");
  b.call(&bucket::erase, "k");
  CHECK(shell("PUT b k 3") == "k DELETED\nk SET TO 3\nOK\n");
  CHECK(shell("GET b k") == "3\nOK\n");
}

TEST_CASE("an error is one line, and the changes wait for the next OK") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b"}));
  bucket_of(shell, "b").call(&bucket::put, "k", "1");
  CHECK(shell("GET c k") == "NOT FOUND\n");
  CHECK(shell("BREW") == "UNKNOWN COMMAND\n");
  CHECK(shell("CREATE b") == "k SET TO 1\nOK\n");
}

TEST_CASE("who subscribes twice sees each change once") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b", "SUBSCRIBE b"}));
  CHECK(shell("PUT b k 1") == "k SET TO 1\nOK\n");
}

TEST_CASE("buckets without a subscription print nothing") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "CREATE c", "SUBSCRIBE b"}));
  CHECK(shell("PUT c k 1") == "OK\n");
  CHECK(shell("SUBSCRIBE d") == "NOT FOUND\n");
}

TEST_CASE("two subscriptions are printed in the order of the changes") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "CREATE c", "SUBSCRIBE b", "SUBSCRIBE c"}));
  bucket_of(shell, "c").call(&bucket::put, "k", "1");
  bucket_of(shell, "b").call(&bucket::put, "k", "2");
  bucket_of(shell, "c").call(&bucket::put, "k", "3");
  CHECK(shell("LOOKUP b") == shell.pid_of("b") + "\nk SET TO 1\nk SET TO 2\nk SET TO 3\nOK\n");
}

TEST_CASE("a subscription ends with its bucket, not with the parts of the tree") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b", "CRASH registry", "CRASH events"}));
  CHECK(shell("PUT b k 1") == "k SET TO 1\nOK\n");
  REQUIRE(shell.execute({"KILL b", "CREATE b"}));
  CHECK(shell("PUT b k 1") == "OK\n");
  CHECK(shell.ok("SUBSCRIBE b") == "");
  CHECK(shell("PUT b k 2") == "k SET TO 2\nOK\n");
}

TEST_CASE("keys and values are printed as they would be typed, each change on one line") {
  shell_fixture shell;
  const std::string bytes = "a b\n\"\\\0\xff"s;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b"}));
  CHECK(shell("PUT b " + quote(bytes) + ' ' + quote(bytes)) == quote(bytes) + " SET TO " + quote(bytes) + "\nOK\n");
  CHECK(shell("PUT b \"\" \"\"") == "\"\" SET TO \"\"\nOK\n");
  CHECK(shell("DELETE b " + quote(bytes)) == quote(bytes) + " DELETED\nOK\n");
}

TEST_CASE("events that come while changes are printed can still be awaited") {
  shell_fixture shell;
  REQUIRE(shell.execute({"CREATE b", "SUBSCRIBE b", "PUT b k 1", "CREATE c", "PUT b k 2"}));
  CHECK(shell.ok("AWAIT created c") == "created c " + shell.pid_of("c") + "\n");
  CHECK(shell.ok("AWAIT created b") == "created b " + shell.pid_of("b") + "\n");
}

}  // namespace shell_subscribe_test
