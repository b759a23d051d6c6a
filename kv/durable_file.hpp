// Files that are there as a whole, also when the power fails.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

namespace kv::detail {

/// Owns an open file.
class file_descriptor {
 public:
  explicit file_descriptor(int number = -1) noexcept : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~file_descriptor();

  int number() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// A file that is to take another's place. It is written beside that, under a name that nobody has, and is removed again
/// unless it is committed: whatever happens, the other one is the old or the new, and all of it.
///
/// All of these block on the disk, and throw std::filesystem::filesystem_error.
class replacement_file {
 public:
  /// Where `target` is a link, the file that it leads to is replaced. What is there but no regular file is refused.
  explicit replacement_file(const std::filesystem::path& target);
  replacement_file(const replacement_file&) = delete;
  replacement_file& operator=(const replacement_file&) = delete;
  ~replacement_file();

  void write(std::string_view bytes);
  /// Puts it in place. It stays there when the power fails after this has returned.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  file_descriptor file_;
};

/// A file to read from, front to back.
class input_file {
 public:
  /// Throws std::filesystem::filesystem_error when it cannot be opened or is no regular file.
  explicit input_file(const std::filesystem::path& path);

  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t position() const noexcept { return position_; }
  void seek(std::uint64_t position) noexcept { position_ = position; }
  /// Reads so many bytes; fewer at the end of the file. Blocks on the disk. Throws std::filesystem::filesystem_error.
  std::size_t read(char* to, std::size_t count);

 private:
  std::filesystem::path path_;
  file_descriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace kv::detail
