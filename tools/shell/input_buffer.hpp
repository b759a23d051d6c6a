// Bytes of a file or of standard input, and what of them is there already.
#pragma once

#include <array>
#include <cstddef>
#include <streambuf>
#include <string>

namespace kv::shell {

/// Reads what there is and no more, where a std::filebuf waits until its buffer is full: another program may wait for
/// the answer to the line it has sent. Used by one thread.
class input_buffer : public std::streambuf {
 public:
  /// Standard input.
  input_buffer() : descriptor_(0) {}
  /// A file. Throws std::system_error that names it.
  explicit input_buffer(const std::string& path);
  input_buffer(const input_buffer&) = delete;
  input_buffer& operator=(const input_buffer&) = delete;
  ~input_buffer() override;

  /// Tells whether a whole line can be read without waiting.
  bool has_line() const;

 protected:
  /// Throws std::system_error, which turns a stream bad.
  int_type underflow() override;

 private:
  static constexpr std::size_t capacity = std::size_t{64} * 1024;

  std::string name_ = "standard input";
  int descriptor_;
  std::array<char, capacity> bytes_;
};

}  // namespace kv::shell
