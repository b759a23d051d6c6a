// Promises under test: a stream's lines come byte for byte, never longer than max_line_length, and an overlong one is
// answered once and swallowed whole.
#include <doctest/doctest.h>

#include <istream>
#include <optional>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include "shell/line_source.hpp"

namespace shell_lines_test {

using kv::shell::line;
using kv::shell::max_line_length;
using kv::shell::stream_source;
using namespace std::string_literals;

namespace {

using lines = std::vector<line>;

const line overlong{.text = "", .overlong = true};

line plain(std::string text) { return {.text = std::move(text), .overlong = false}; }

lines read_all(std::istream& in) {
  stream_source source(in);
  lines all;
  while (auto next = source.next()) all.push_back(std::move(*next));
  CHECK(source.next() == std::nullopt);
  return all;
}

lines read_all(std::string text) {
  std::istringstream in(std::move(text));
  return read_all(in);
}

std::string of_length(std::size_t length) { return std::string(length, 'x'); }

// Gives one byte without end and counts them, like a device file.
class endless_bytes : public std::streambuf {
 public:
  explicit endless_bytes(std::size_t count) : left_(count) {}

 protected:
  int_type underflow() override {
    if (left_ == 0) return traits_type::eof();
    --left_;
    setg(&byte_, &byte_, &byte_ + 1);
    return traits_type::to_int_type(byte_);
  }

 private:
  char byte_ = 'x';
  std::size_t left_;
};

// Fails in the middle of a line, as a disk or a directory does.
class failing_bytes : public std::streambuf {
 protected:
  int_type underflow() override {
    if (given_) throw std::ios_base::failure("read error");
    given_ = true;
    setg(text_, text_, text_ + 3);
    return traits_type::to_int_type(text_[0]);
  }

 private:
  char text_[3] = {'a', '\n', 'b'};
  bool given_ = false;
};

}  // namespace

TEST_CASE("an empty stream has no line") { CHECK(read_all("").empty()); }

TEST_CASE("a newline ends a line and does not begin another") {
  CHECK(read_all("\n") == lines{plain("")});
  CHECK(read_all("a\n") == lines{plain("a")});
  CHECK(read_all("a\n\nb\n") == lines{plain("a"), plain(""), plain("b")});
}

TEST_CASE("the last line counts without a newline") {
  CHECK(read_all("a") == lines{plain("a")});
  CHECK(read_all("a\nb") == lines{plain("a"), plain("b")});
}

TEST_CASE("a carriage return stays in its line") { CHECK(read_all("a\r\nb\r") == lines{plain("a\r"), plain("b\r")}); }

TEST_CASE("NUL and invalid UTF-8 pass through") {
  CHECK(read_all("a\0b\n\0\n\xff\xfe"s) == lines{plain("a\0b"s), plain("\0"s), plain("\xff\xfe")});
}

TEST_CASE("a line of the longest length is read whole") {
  const std::string longest = of_length(max_line_length);
  CHECK(read_all(longest) == lines{plain(longest)});
  CHECK(read_all(longest + "\na\n") == lines{plain(longest), plain("a")});
}

TEST_CASE("a line one byte longer is overlong and the next one is read") {
  const std::string longer = of_length(max_line_length + 1);
  CHECK(read_all(longer) == lines{overlong});
  CHECK(read_all(longer + "\n") == lines{overlong});
  CHECK(read_all(longer + "\na\n") == lines{overlong, plain("a")});
}

TEST_CASE("each of two overlong lines in a row is answered once") {
  const std::string longer = of_length(3 * max_line_length) + '\n';
  CHECK(read_all(longer + longer + "a") == lines{overlong, overlong, plain("a")});
}

TEST_CASE("a line without end is swallowed up to the end of the stream") {
  endless_bytes bytes(20 * max_line_length);
  std::istream in(&bytes);
  CHECK(read_all(in) == lines{overlong});
}

TEST_CASE("a stream that breaks ends without the line it broke off in and stays bad") {
  failing_bytes bytes;
  std::istream in(&bytes);
  CHECK(read_all(in) == lines{plain("a")});
  CHECK(in.bad());
}

}  // namespace shell_lines_test
