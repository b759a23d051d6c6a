// Promises under test: what a tab makes of the text before the cursor is always something split() reads as meant.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shell/completion.hpp"

namespace shell_completion_test {

using kv::shell::complete;
using kv::shell::completion;
using kv::shell::vocabulary;

namespace {

using words = std::vector<std::string>;

const completion nothing;

completion replaces(std::size_t bytes, std::string text) {
  return {.replaced = bytes, .text = std::move(text), .choices = {}};
}

completion choose(words choices) { return {.replaced = 0, .text = {}, .choices = std::move(choices)}; }

// The words of the first argument, after the command `get`.
completion complete_argument(std::string_view typed, const words& buckets) {
  const auto arguments = [&](std::string_view command, std::size_t index, std::string_view) {
    return command == "get" && index == 1 ? buckets : words{};
  };
  return complete("get " + std::string(typed), {.commands = {}, .arguments = arguments});
}

}  // namespace

TEST_CASE("the first word completes to a command") {
  const vocabulary known{.commands = {"put", "get", "delete"}, .arguments = {}};
  CHECK(complete("g", known) == replaces(1, "get "));
  CHECK(complete("  de", known) == replaces(2, "delete "));
  CHECK(complete("x", known) == nothing);
  CHECK(complete("", known) == choose({"delete", "get", "put"}));
}

TEST_CASE("later words complete to what the command takes") {
  CHECK(complete_argument("sh", {"shopping"}) == replaces(2, "shopping "));
  CHECK(complete_argument("", {"shopping"}) == replaces(0, "shopping "));
  CHECK(complete_argument("a sh", {"shopping"}) == nothing);
  CHECK(complete("put sh", {.commands = {"put"}, .arguments = {}}) == nothing);
}

TEST_CASE("several words complete as far as they agree and are then to choose from") {
  CHECK(complete_argument("b", {"bucket-2", "bucket-1"}) == replaces(1, "bucket-"));
  CHECK(complete_argument("bucket-", {"bucket-2", "bucket-1"}) == choose({"bucket-1", "bucket-2"}));
  CHECK(complete_argument("a", {"a", "ab"}) == choose({"a", "ab"}));
}

TEST_CASE("a word that is offered twice is one word") { CHECK(complete_argument("", {"a", "a"}) == replaces(0, "a ")); }

TEST_CASE("a word that needs quotes gets them") {
  CHECK(complete_argument("my", {"my bucket"}) == replaces(2, R"("my bucket" )"));
  CHECK(complete_argument(R"("my b)", {"my bucket"}) == replaces(5, R"("my bucket" )"));
  CHECK(complete_argument("m", {"my a", "my b"}) == replaces(1, R"("my )"));
}

TEST_CASE("characters are completed whole") {
  CHECK(complete_argument("", {"gr\xc3\xa9", "gr\xc3\xa8"}) == replaces(0, "gr"));
  CHECK(complete_argument("gr", {"gr\xc3\xa9", "gr\xc3\xa8"}) == choose({"gr\xc3\xa8", "gr\xc3\xa9"}));
}

TEST_CASE("a line with a syntax error completes to nothing") { CHECK(complete_argument(R"("\q)", {"a"}) == nothing); }

TEST_CASE("what the callback throws reaches the caller") {
  const vocabulary known{.commands = {},
                         .arguments = [](auto, auto, auto) -> words { throw std::runtime_error("no registry"); }};
  CHECK_THROWS_WITH(complete("get ", known), "no registry");
}

}  // namespace shell_completion_test
