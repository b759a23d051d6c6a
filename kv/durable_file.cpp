#include "durable_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>

namespace kv::detail {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& verb, const fs::path& path, int error = errno) {
  throw fs::filesystem_error("cannot " + verb, path, std::error_code(error, std::generic_category()));
}

/// Calls a system function again for as long as signals interrupt it.
template <class F>
auto uninterrupted(F call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// Creates a file beside `target`. What a program that was killed has left there takes only a name.
std::pair<fs::path, file_descriptor> create_beside(const fs::path& target) {
  for (unsigned number = 0;; ++number) {
    auto path = target;
    path += ".tmp" + std::to_string(number);
    const auto made =
        uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (made >= 0) return {std::move(path), file_descriptor(made)};
    if (errno != EEXIST) fail("create", path);
  }
}

/// Returns the permissions of a file that is to be replaced: what was secret stays so.
std::optional<mode_t> permissions_of(const fs::path& path) {
  struct stat what = {};
  if (::stat(path.c_str(), &what) != 0) return std::nullopt;  // there is none
  if (!S_ISREG(what.st_mode)) fail("replace", path, S_ISDIR(what.st_mode) ? EISDIR : EINVAL);
  return what.st_mode & 07777U;
}

void sync(const file_descriptor& file, const fs::path& path) {
  // Some file systems cannot do it for a directory, and need not.
  if (uninterrupted([&] { return ::fsync(file.number()); }) != 0 && errno != EINVAL) fail("write", path);
}

file_descriptor open_directory(const fs::path& directory) {
  file_descriptor opened(uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (opened.number() < 0) fail("open", directory);
  return opened;
}

}  // namespace

file_descriptor::~file_descriptor() {
  if (number_ >= 0) ::close(number_);
}

replacement_file::replacement_file(const fs::path& target)
    : target_(fs::is_symlink(target) ? fs::canonical(target) : target) {
  const auto permissions = permissions_of(target_);
  std::tie(temporary_, file_) = create_beside(target_);
  if (!permissions || ::fchmod(file_.number(), *permissions) == 0) return;
  const auto error = errno;
  ::unlink(temporary_.c_str());
  fail("set the permissions of", temporary_, error);
}

replacement_file::~replacement_file() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void replacement_file::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = uninterrupted([&] { return ::write(file_.number(), bytes.data(), bytes.size()); });
    if (count < 0) fail("write", temporary_);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void replacement_file::commit() {
  const auto directory = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  const auto entries = open_directory(directory);
  sync(file_, temporary_);
  if (::close(file_.release()) != 0) fail("write", temporary_);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("replace", target_);
  temporary_.clear();
  sync(entries, directory);  // no memory is needed any more: what has happened is not denied
}

input_file::input_file(const fs::path& path)
    : path_(path), file_(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); })) {
  struct stat what = {};
  if (file_.number() < 0 || ::fstat(file_.number(), &what) != 0) fail("open", path);
  if (!S_ISREG(what.st_mode)) fail("read", path, S_ISDIR(what.st_mode) ? EISDIR : EINVAL);
  size_ = static_cast<std::uint64_t>(what.st_size);
}

std::size_t input_file::read(char* to, std::size_t count) {
  std::size_t done = 0;
  while (done < count) {
    const auto got =
        uninterrupted([&] { return ::pread(file_.number(), to + done, count - done, static_cast<off_t>(position_)); });
    if (got < 0) fail("read", path_);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
    position_ += static_cast<std::uint64_t>(got);
  }
  return done;
}

}  // namespace kv::detail
