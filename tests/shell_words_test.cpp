// Promises under test: split() reads the documented syntax byte for byte and names what it cannot read; quote() is its
// inverse for every word.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "shell/words.hpp"

namespace shell_words_test {

using kv::shell::parse_error;
using kv::shell::quote;
using kv::shell::split;
using kv::shell::split_partial;
using namespace std::string_literals;

namespace {

using words = std::vector<std::string>;

// Returns the message that a line is refused with, or "" if it is not.
std::string refusal(std::string_view line) {
  try {
    split(line);
    return "";
  } catch (const parse_error& error) {
    return error.what();
  }
}

std::string all_bytes() {
  std::string bytes;
  for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
  return bytes;
}

}  // namespace

TEST_CASE("blanks separate words and mean nothing else") {
  CHECK(split("").empty());
  CHECK(split(" \t ").empty());
  CHECK(split("put shopping milk") == words{"put", "shopping", "milk"});
  CHECK(split("\t put  shopping\tmilk ") == words{"put", "shopping", "milk"});
}

TEST_CASE("a carriage return is a blank at the end of the line only") {
  CHECK(split("\r").empty());
  CHECK(split("get milk\r") == words{"get", "milk"});
  CHECK(split("get mi\rlk") == words{"get", "mi\rlk"});
  CHECK(split("get milk\r\r") == words{"get", "milk\r"});
  CHECK(split("get \"milk\"\r") == words{"get", "milk"});
}

TEST_CASE("quotes group blanks into one word") {
  CHECK(split(R"(create "my bucket")") == words{"create", "my bucket"});
  CHECK(split("\"a\tb\"") == words{"a\tb"});
}

TEST_CASE("quotes join what they touch") {
  CHECK(split(R"(a"b c"d)") == words{"ab cd"});
  CHECK(split(R"("a""b")") == words{"ab"});
  CHECK(split(R"(a"" b)") == words{"a", "b"});
}

TEST_CASE("empty quotes are an empty word") {
  CHECK(split(R"("")") == words{""});
  CHECK(split(R"(put "" "")") == words{"put", "", ""});
}

TEST_CASE("escapes inside quotes stand for bytes") {
  CHECK(split(R"("\"\\\n")") == words{"\"\\\n"});
  CHECK(split(R"("\x41\x0a\xfF\xFf")") == words{"A\n\xff\xff"});
  CHECK(split(R"("\x00")") == words{"\0"s});
  CHECK(split(R"("\x411")") == words{"A1"});
}

TEST_CASE("a backslash outside quotes is an ordinary byte") {
  CHECK(split(R"(C:\new \x41 \)") == words{R"(C:\new)", R"(\x41)", R"(\)"});
  CHECK(split(R"(\"a b")") == words{R"(\a b)"});
}

TEST_CASE("every other byte stands for itself") {
  CHECK(split("a\0b \xff\xfe gr\xc3\xbc\xc3\x9f"s) == words{"a\0b"s, "\xff\xfe", "gr\xc3\xbc\xc3\x9f"});
  CHECK(split("\"\0 \xff\"\n"s) == words{"\0 \xff\n"s});
}

TEST_CASE("quotes that are not closed are an error at the column where they began") {
  CHECK(refusal("\"") == "column 1: these quotes are never closed");
  CHECK(refusal("put \"milk 3") == "column 5: these quotes are never closed");
  CHECK(refusal(R"(put "a" b"c)") == "column 10: these quotes are never closed");
  CHECK(refusal(R"(put "milk\")") == "column 5: these quotes are never closed");
  CHECK(refusal(R"(put "milk\)") == "column 5: these quotes are never closed");
}

TEST_CASE("an unknown escape is an error that names it") {
  CHECK(refusal(R"(put "a\tb")") == R"(column 7: unknown escape \t, expected \" \\ \n or \xHH)");
  CHECK(refusal(R"("\N")") == R"(column 2: unknown escape \N, expected \" \\ \n or \xHH)");
}

TEST_CASE("a hex escape without two digits is an error") {
  for (const auto* digits : {"", "4", "4g", "g4", "-4", "+4", " 4", "0x4"}) {
    CAPTURE(digits);
    CHECK(refusal("\"\\x"s + digits + '"') == "column 2: \\x wants two hex digits");
    CHECK(refusal("\"\\x"s + digits) == "column 2: \\x wants two hex digits");
  }
}

TEST_CASE("an error message is one printable line whatever the input") {
  CHECK(refusal("\"\\\n\"") == R"(column 2: unknown escape \(byte 0x0a), expected \" \\ \n or \xHH)");
  CHECK(refusal("\"\\\0\""s) == R"(column 2: unknown escape \(byte 0x00), expected \" \\ \n or \xHH)");
  CHECK(refusal("\"\\\xff\"") == R"(column 2: unknown escape \(byte 0xff), expected \" \\ \n or \xHH)");
}

TEST_CASE("an error knows its column") {
  CHECK_THROWS_AS(split("\""), parse_error);
  try {
    split("a b \"");
  } catch (const parse_error& error) {
    CHECK(error.column() == 5);
  }
}

TEST_CASE("quote leaves a word alone that needs no quotes") {
  CHECK(quote("milk") == "milk");
  CHECK(quote(R"(C:\new)") == R"(C:\new)");
  CHECK(quote("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("quote protects what split would read otherwise") {
  CHECK(quote("") == R"("")");
  CHECK(quote("my bucket") == R"("my bucket")");
  CHECK(quote(R"(say "hi"\)") == R"("say \"hi\"\\")");
  CHECK(quote("a\nb\r\t\x1b\x7f\0"s) == R"("a\nb\x0d\x09\x1b\x7f\x00")");
}

TEST_CASE("split reads back every word that quote wrote") {
  const std::string bytes = all_bytes();
  CHECK(split(quote(bytes)) == words{bytes});
  for (const char first : bytes) {
    for (const char second : bytes) {
      const std::string word{first, second};
      REQUIRE(split(quote(word)) == words{word});
      REQUIRE(split(quote(word) + ' ' + quote(word) + '\r') == words{word, word});
    }
  }
}

TEST_CASE("a quoted word holds no control character") {
  for (const char byte : quote(all_bytes())) {
    const auto value = static_cast<unsigned char>(byte);
    REQUIRE(value >= 0x20);
    REQUIRE(value != 0x7f);
  }
}

TEST_CASE("a partial line ends with the word at the cursor") {
  CHECK(split_partial("").words == words{""});
  CHECK(split_partial("ge").words == words{"ge"});
  CHECK(split_partial("get ").words == words{"get", ""});
  CHECK(split_partial("get  mi").words == words{"get", "mi"});
}

TEST_CASE("a partial line says where the word at the cursor begins") {
  CHECK(split_partial("").last_begin == 0);
  CHECK(split_partial("get ").last_begin == 4);
  CHECK(split_partial("get  mi").last_begin == 5);
  CHECK(split_partial(R"(get "my b)").last_begin == 4);
}

TEST_CASE("a partial line may leave quotes and a backslash open") {
  CHECK(split_partial(R"(get "my b)").words == words{"get", "my b"});
  CHECK(split_partial(R"(get a"my )").words == words{"get", "amy "});
  CHECK(split_partial(R"(get "my\)").words == words{"get", "my"});
  CHECK_THROWS_AS(split_partial(R"(get "\q)"), parse_error);
}

}  // namespace shell_words_test
