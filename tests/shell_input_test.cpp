// Promises under test: an input gives what has come without waiting for more, and says when it cannot be read.
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <istream>
#include <string>
#include <string_view>
#include <system_error>

#include "shell/input_buffer.hpp"
#include "shell/line_source.hpp"

namespace shell_input_test {

using kv::shell::input_buffer;
using kv::shell::stream_source;

namespace {

/// A name in the file system, which is free again at the end.
class temporary_name {
 public:
  temporary_name() : path_(std::filesystem::temp_directory_path() / ("kv_input_test." + std::to_string(getpid()))) {}
  temporary_name(const temporary_name&) = delete;
  temporary_name& operator=(const temporary_name&) = delete;
  ~temporary_name() { std::filesystem::remove_all(path_); }
  std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// A pipe; its reading end has a path of its own.
class pipe_fixture {
 public:
  pipe_fixture() {
    if (pipe(ends_.data()) != 0) throw std::system_error(errno, std::generic_category());
  }
  pipe_fixture(const pipe_fixture&) = delete;
  pipe_fixture& operator=(const pipe_fixture&) = delete;
  ~pipe_fixture() {
    close(ends_[0]);
    hang_up();
  }

  std::string path() const { return "/dev/fd/" + std::to_string(ends_[0]); }
  void send(std::string_view text) {
    REQUIRE(write(ends_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void hang_up() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

// Returns what it says about a file that cannot be read, or "".
std::string complaint(const std::string& path) {
  try {
    input_buffer bytes(path);
    std::istream in(&bytes);
    in.exceptions(std::ios::badbit);
    stream_source(in).next();
    return "";
  } catch (const std::system_error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("an input gives the bytes of a file") {
  const temporary_name name;
  std::string text(200'000, 'x');
  text[100] = text[70'000] = '\n';
  std::ofstream(name.string()) << text;
  input_buffer bytes(name.string());
  CHECK(std::string(std::istreambuf_iterator<char>(&bytes), {}) == text);
}

TEST_CASE("an input gives the line that has come while nothing follows") {
  pipe_fixture sender;
  input_buffer bytes(sender.path());
  std::istream in(&bytes);
  stream_source source(in);
  CHECK_FALSE(bytes.has_line());
  sender.send("one\ntwo\nthr");
  CHECK(source.next().value().text == "one");
  CHECK(bytes.has_line());
  CHECK(source.next().value().text == "two");
  CHECK_FALSE(bytes.has_line());
  sender.send("ee\n");
  CHECK(source.next().value().text == "three");
  sender.hang_up();
  CHECK_FALSE(source.next());
}

TEST_CASE("a file that cannot be read is named with the reason") {
  const temporary_name name;
  CHECK(complaint(name.string()) == "cannot read " + name.string() + ": No such file or directory");
  std::filesystem::create_directory(name.string());
  CHECK(complaint(name.string()) == "cannot read " + name.string() + ": Is a directory");
}

}  // namespace shell_input_test
