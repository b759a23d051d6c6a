#include "shell/input_buffer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace kv::shell {
namespace {

[[noreturn]] void fail(const std::string& name) {
  throw std::system_error(errno, std::generic_category(), "cannot read " + name);
}

}  // namespace

input_buffer::input_buffer(const std::string& path)
    : name_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail(name_);
}

input_buffer::~input_buffer() {
  if (descriptor_ != STDIN_FILENO) close(descriptor_);
}

bool input_buffer::has_line() const { return std::find(gptr(), egptr(), '\n') != egptr(); }

input_buffer::int_type input_buffer::underflow() {
  ssize_t count = 0;
  do {
    count = read(descriptor_, bytes_.data(), bytes_.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail(name_);
  setg(bytes_.data(), bytes_.data(), bytes_.data() + count);
  return count == 0 ? traits_type::eof() : traits_type::to_int_type(*gptr());
}

}  // namespace kv::shell
