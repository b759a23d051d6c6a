// Promises under test: a save either puts the whole file in its place, or leaves what was there as it was and nothing
// beside it; the format stays what it is.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <kv/explore.hpp>
#include <kv/table_file.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "refusal.hpp"
#include "servers.hpp"
#include "temporary_directory.hpp"

namespace table_file_save_test {

namespace {

using kv::testing::probe;
using code = kv::table_error::code;
using names = kv::table<std::string, int>;

/// Its codec calls a function of the test's.
struct observed {
  static inline std::function<void()> at_encode;
};

struct nothing {};

}  // namespace

}  // namespace table_file_save_test

template <>
struct kv::codec<table_file_save_test::observed> {
  static void encode(const table_file_save_test::observed&, kv::encoder& out) {
    table_file_save_test::observed::at_encode();
    out.write(true);
  }
  static table_file_save_test::observed decode(kv::decoder& in) {
    return in.read<bool>(), table_file_save_test::observed();
  }
};

template <>
struct kv::codec<table_file_save_test::nothing> {
  static void encode(const table_file_save_test::nothing&, kv::encoder&) {}
  static table_file_save_test::nothing decode(kv::decoder&) { return {}; }
};

namespace table_file_save_test {

namespace {

/// A table to save, and a place for it.
struct unsaved_table {
  temporary_directory directory;
  std::filesystem::path file = directory / "prices";
  kv::runtime runtime{{.threads = 1}};
  probe p{runtime};
  names rows = names::create(runtime, {.name = "prices", .access = kv::table_access::public_, .owner = p});

  unsaved_table() { rows.insert("milk", 3); }

  /// A save that fails leaves the file as it was, also when there was none.
  template <class F>
  void check_that_nothing_changes(F failing_save) {
    failing_save();
    CHECK(directory.names().empty());
    write_file(file, "what was there before");
    failing_save();
    CHECK(directory.names() == std::vector<std::string>{"prices"});
    CHECK(content_of(file) == "what was there before");
  }
};

/// For its scope, files grow no larger than that: the disk is full.
class small_disk {
 public:
  explicit small_disk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  ~small_disk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int);
};

template <class F>
std::error_code system_error_of(F function) {
  try {
    function();
  } catch (const std::filesystem::filesystem_error& e) {
    return e.code();
  }
  return {};
}

std::string hexadecimal(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    result += {digits[byte >> 4U], digits[byte & 15U]};
  }
  return result;
}

}  // namespace

TEST_CASE("a file of version 1 is what it has always been") {
  unsaved_table t;
  CHECK(kv::save_table(t.rows, t.file) == 1);
  CHECK(hexadecimal(content_of(t.file)) ==
        "896b76740d0a1a0a01000000"                            // magic, version
        "c6685583a24004012400000000000000"                    // description: checksum, size, no rows
        "03000000736574"                                      // set
        "06000000737472696e67"                                // string
        "05000000696e743332"                                  // int32
        "06000000707269636573"                                // prices
        "9974c7ffae4e51100c00000001000000"                    // block: checksum, size, 1 row
        "040000006d696c6b"                                    // milk
        "03000000"                                            // 3
        "9cce857b0498dc481800000000000000"                    // end: checksum, size, no rows
        "010000000000000001000000000000009974c7ffae4e5110");  // 1 row, 1 block, checksum of the block
}

TEST_CASE("a save replaces the file that was there, and keeps its permissions") {
  unsaved_table t;
  kv::save_table(t.rows, t.file);
  REQUIRE(::chmod(t.file.c_str(), 0600) == 0);
  t.rows.insert("eggs", 12);
  CHECK(kv::save_table(t.rows, t.file) == 2);
  CHECK(t.directory.names() == std::vector<std::string>{"prices"});
  CHECK(kv::verify_table_file(t.file).rows == 2);
  struct stat now = {};
  REQUIRE(::stat(t.file.c_str(), &now) == 0);
  CHECK((now.st_mode & 07777U) == 0600);
}

TEST_CASE("a save to a link replaces the file that it leads to") {
  unsaved_table t;
  std::filesystem::create_directory(t.directory / "elsewhere");
  write_file(t.directory / "elsewhere" / "file", "old");
  std::filesystem::create_symlink("elsewhere/file", t.file);
  kv::save_table(t.rows, t.file);
  CHECK(std::filesystem::is_symlink(t.file));
  CHECK(kv::verify_table_file(t.directory / "elsewhere" / "file").rows == 1);
}

TEST_CASE("a name without a directory is a file of the current one") {
  unsaved_table t;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(t.directory.path());
  kv::save_table(t.rows, "here");
  std::filesystem::current_path(before);
  CHECK(kv::verify_table_file(t.directory / "here").rows == 1);
}

TEST_CASE("a save into a directory that is not there fails, and creates none") {
  unsaved_table t;
  const auto error = system_error_of([&] { kv::save_table(t.rows, t.directory / "no" / "prices"); });
  CHECK(error == std::errc::no_such_file_or_directory);
  CHECK(t.directory.names().empty());
}

TEST_CASE("a save over what is no file fails, and leaves it") {
  unsaved_table t;
  std::filesystem::create_directory(t.file);
  CHECK(system_error_of([&] { kv::save_table(t.rows, t.file); }) == std::errc::is_a_directory);
  CHECK(std::filesystem::is_directory(t.file));
  CHECK(system_error_of([&] { kv::save_table(t.rows, "/dev/full"); }) == std::errc::invalid_argument);
  CHECK(std::filesystem::is_character_file("/dev/full"));
  CHECK(system_error_of([&] { kv::save_table(t.rows, "/proc/prices"); }));  // where even root creates nothing
  CHECK(t.directory.names() == std::vector<std::string>{"prices"});
}

TEST_CASE("a save to a full disk fails and changes nothing, wherever the disk ends") {
  unsaved_table t;
  for (int i = 0; i < 20'000; ++i) t.rows.insert(std::to_string(i), i);
  kv::save_table(t.rows, t.file);
  const auto size = std::filesystem::file_size(t.file);
  REQUIRE(size > 128 * 1024);
  std::filesystem::remove(t.file);
  for (const rlim_t room : {rlim_t{0}, rlim_t{5}, rlim_t{100'000}, rlim_t{size - 1}}) {
    std::filesystem::remove(t.file);
    t.check_that_nothing_changes([&] {
      const small_disk full(room);
      CHECK(system_error_of([&] { kv::save_table(t.rows, t.file); }) == std::errc::file_too_large);
    });
  }
  const small_disk just_enough(size);
  CHECK(kv::save_table(t.rows, t.file) == t.rows.size());
}

TEST_CASE("a save that its codec ends changes nothing") {
  unsaved_table t;
  auto rows = kv::table<int, observed>::create(t.runtime, {.name = {}, .owner = t.p});
  t.p.run([&] { rows.insert(1, {}); });
  observed::at_encode = [] { throw std::domain_error("cannot be written"); };
  t.check_that_nothing_changes([&] { CHECK_THROWS_AS(kv::save_table(rows, t.file), std::domain_error); });
  observed::at_encode = {};
}

TEST_CASE("elements that are written as nothing are refused at the save, not at the load") {
  unsaved_table t;
  auto rows = kv::table<int, std::vector<nothing>>::create(t.runtime, {.name = {}, .owner = t.p});
  t.p.run([&] { rows.insert(1, {{}, {}}); });
  t.check_that_nothing_changes([&] { CHECK_THROWS_AS(kv::save_table(rows, t.file), std::logic_error); });
}

TEST_CASE("a row of 256 MiB is refused" * doctest::skip(sanitized)) {
  unsaved_table t;
  auto rows = kv::table<int, std::string>::create(t.runtime, {.name = {}, .owner = t.p});
  t.p.run([&] { rows.insert(1, std::string(256 * 1024 * 1024, 'x')); });
  t.check_that_nothing_changes([&] { CHECK_THROWS_AS(kv::save_table(rows, t.file), std::length_error); });
}

TEST_CASE("a table that is dropped in the middle of a save ends it, and changes nothing") {
  unsaved_table t;
  t.check_that_nothing_changes([&] {
    auto rows = kv::table<int, observed>::create(t.runtime, {.name = {}, .owner = t.p});
    t.p.run([&] {
      for (int i = 0; i < 1000; ++i) rows.insert(i, {});
    });
    observed::at_encode = [&, count = 0]() mutable {
      if (++count == 10) t.p.run([&] { rows.drop(); });
    };
    CHECK(refusal([&] { kv::save_table(rows, t.file); }) == code::no_table);
    observed::at_encode = {};
  });
}

TEST_CASE("a private table is saved by its owner alone") {
  unsaved_table t;
  auto rows = names::create(t.runtime, {.name = {}, .access = kv::table_access::private_, .owner = t.p});
  t.p.run([&] { rows.insert("milk", 3); });
  t.check_that_nothing_changes([&] { CHECK(refusal([&] { kv::save_table(rows, t.file); }) == code::access); });
  CHECK(t.p.run([&] { return kv::save_table(rows, t.file); }) == 1);
}

TEST_CASE("what a program left that was killed in the middle of a save disturbs nobody") {
  unsaved_table t;
  write_file(t.directory / "prices.tmp0", "half of a ");
  write_file(t.directory / "prices.tmp1", "");
  CHECK(kv::save_table(t.rows, t.file) == 1);
  CHECK(kv::verify_table_file(t.file).rows == 1);
  CHECK(t.directory.names() == std::vector<std::string>{"prices", "prices.tmp0", "prices.tmp1"});
  CHECK(content_of(t.directory / "prices.tmp0") == "half of a ");
}

TEST_CASE("of two saves to one place at once, the last to end stays, and both are whole") {
  unsaved_table t;
  auto rows = kv::table<int, observed>::create(t.runtime, {.name = {}, .owner = t.p});
  t.p.run([&] { rows.insert(1, {}); });
  observed::at_encode = [&] { CHECK(kv::save_table(t.rows, t.file) == 1); };
  CHECK(kv::save_table(rows, t.file) == 1);
  observed::at_encode = {};
  CHECK(kv::verify_table_file(t.file).value.find("observed") != std::string::npos);
  CHECK(t.directory.names() == std::vector<std::string>{"prices"});
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a process that is killed while it saves, at any point, leaves the old file or the new, and nothing beside") {
  const temporary_directory directory;
  const auto file = directory / "prices";
  const auto save = [&](kv::simulation& world) {
    write_file(file, "old");
    kv::ref<blank> saver;
    try {
      saver = world.spawn_named<blank>("saver");
      inside(saver, [&] {
        auto rows = names::create();
        for (int i = 0; i < 300; ++i) rows.insert(std::to_string(i), i);
        kv::save_table(rows, file);
      });
    } catch (const kv::start_error&) {
    } catch (const kv::call_error&) {
    }
    world.calmly([&] {
      require(directory.names() == std::vector<std::string>{"prices"}, "something is beside the file");
      require(content_of(file) == "old" || kv::verify_table_file(file).rows == 300, "the file is not whole");
      if (saver.alive()) kv::testing::kill_and_await(world, saver);
    });
  };
  const auto row = kv::sweep(save, "saver", {.runtime = {.on_report = [](const kv::report&) {}}});
  CHECK_MESSAGE(row.points > 300, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

TEST_CASE("a save that is refused memory, whichever, changes nothing" * doctest::skip(sanitized)) {
  const temporary_directory directory;
  const auto file = directory / "prices";
  write_file(file, "old");
  for (unsigned nth = 1;; ++nth) {
    kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
    const auto saver = world.spawn<blank>();
    inside(saver, [] { names::create(kv::table_options{.name = "prices"}).insert("milk", 3); });
    world.refuse_allocation(saver, nth);
    try {
      inside(saver, [&] { kv::save_table(names::find(world, "prices").value(), file); });
    } catch (const kv::call_error&) {
      CHECK(directory.names() == std::vector<std::string>{"prices"});
      CHECK(content_of(file) == "old");
      continue;
    }
    CHECK(nth > 5);
    CHECK(kv::verify_table_file(file).rows == 1);
    return;
  }
}

TEST_SUITE_END();

}  // namespace table_file_save_test
