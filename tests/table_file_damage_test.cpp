// Promises under test: a file that is damaged, cut off, longer than it was, somebody else's, or of other rows is refused,
// with what is wrong and where, and leaves no table behind; so does everything else that ends a load early.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <kv/explore.hpp>
#include <kv/table_file.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "refusal.hpp"
#include "servers.hpp"
#include "temporary_directory.hpp"

namespace table_file_damage_test {

namespace {

using kv::testing::probe;
using code = kv::table_error::code;
using names = kv::table<std::string, int>;

/// Its codec can be told to throw something.
struct picky {
  static inline std::function<void(int)> check;
  int number = 0;
};

/// Three bytes that say they are more.
struct liar {};

}  // namespace

}  // namespace table_file_damage_test

template <>
struct kv::codec<table_file_damage_test::picky> {
  static void encode(const table_file_damage_test::picky& p, kv::encoder& out) { out.write(p.number); }
  static table_file_damage_test::picky decode(kv::decoder& in) {
    const auto number = in.read<int>();
    table_file_damage_test::picky::check(number);
    return {number};
  }
};

template <>
struct kv::codec<table_file_damage_test::liar> {
  static std::string name() { return codec_name<std::string>(); }
  static void encode(const table_file_damage_test::liar&, kv::encoder& out) {
    out.write_count(4'000'000'000);
    out.write_bytes("abc");
  }
  static table_file_damage_test::liar decode(kv::decoder&) { return {}; }
};

namespace table_file_damage_test {

namespace {

/// A small file, and what it takes to load it.
struct saved_file {
  temporary_directory directory;
  std::filesystem::path file = directory / "prices";
  kv::runtime runtime{{.threads = 1}};
  probe p{runtime};

  saved_file() {
    p.run([&] {
      auto rows = names::create(kv::table_options{.name = "prices"});
      rows.insert("milk", 3);
      rows.insert("eggs", 12);
      rows.insert("a row with a longer name", -1);
      kv::save_table(rows, file);
      rows.drop();
    });
  }

  template <class Table = names>
  Table load(const std::string& name = "loaded") {
    return p.run([&] { return kv::load_table<Table>(runtime, file, {.name = name}); });
  }
  /// Loads a file of these bytes, which has to be refused; returns what was said.
  template <class Table = names>
  std::string refusal_of(std::string_view bytes) {
    write_file(file, bytes);
    return refusal_of_file<Table>();
  }
  template <class Table = names>
  std::string refusal_of_file() {
    std::string said;
    try {
      load<Table>();
    } catch (const kv::table_error& e) {
      if (e.why() == code::bad_file) said = e.what();
    }
    if (!kv::all_tables(runtime).empty()) said.clear();
    return said;
  }
  /// Tells what both looks at a file of these bytes say.
  bool is_found_damaged(std::string_view bytes) {
    write_file(file, bytes);
    return refusal([&] { kv::verify_table_file(file); }) == code::bad_file;
  }
};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every byte of a file is checked, and every bit of it") {
  saved_file f;
  const auto good = content_of(f.file);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
      const auto said = f.refusal_of(bad);
      CHECK_MESSAGE(contains(said, f.file.string()), "byte ", at, " bit ", bit, ": ", said);
      CHECK(f.is_found_damaged(bad));
    }
  }
  write_file(f.file, good);
  CHECK(f.load().size() == 3);
}

TEST_CASE("a file that ends anywhere before its end is refused") {
  saved_file f;
  const auto good = content_of(f.file);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto cut = good.substr(0, size);
    CHECK_MESSAGE(!f.refusal_of(cut).empty(), "after ", size, " bytes");
    CHECK(f.is_found_damaged(cut));
    CHECK(refusal([&] { kv::inspect_table_file(f.file); }) == code::bad_file);
  }
}

TEST_CASE("a file that has lost a piece, or has one twice, is refused") {
  saved_file f;
  const auto good = content_of(f.file);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const std::size_t size : {1U, 2U, 8U, 16U, 40U}) {
      if (at + size > good.size()) continue;
      CHECK_FALSE(f.refusal_of(good.substr(0, at) + good.substr(at + size)).empty());
      CHECK_FALSE(f.refusal_of(good.substr(0, at + size) + good.substr(at)).empty());
    }
  }
}

TEST_CASE("bytes after the end are refused") {
  saved_file f;
  const auto good = content_of(f.file);
  CHECK(contains(f.refusal_of(good + '\0'), "1 bytes follow"));
  CHECK(contains(f.refusal_of(good + good), std::to_string(good.size()) + " bytes follow"));
}

TEST_CASE("blocks that have changed places, or are from another file, are refused") {
  saved_file f;
  const auto two_blocks = [&](const std::string& first, const std::string& second) {
    kv::detail::table_file_writer out(f.file, {.type = "set", .key = "string", .value = "int32", .name = {}});
    for (const auto& key : {first, second}) out.add(key + std::string(100'000, 'x'), 1);
    out.finish();
    return content_of(f.file);
  };
  const auto good = two_blocks("a", "b");
  constexpr std::size_t block = 16 + 4 + 100'001 + 4, end = 40;
  const auto begin = good.size() - 2 * block - end;
  const auto head = good.substr(0, begin);
  const auto first = good.substr(begin, block), second = good.substr(begin + block, block);
  const auto tail = good.substr(begin + 2 * block);
  REQUIRE(head + first + second + tail == good);
  CHECK(contains(f.refusal_of(head + second + first + tail), "block 1 at byte " + std::to_string(begin)));
  CHECK(contains(f.refusal_of(head + first + first + tail), "block 2 at byte " + std::to_string(begin + block)));
  CHECK_FALSE(f.refusal_of(head + first + tail).empty());
  CHECK_FALSE(f.refusal_of(head + tail).empty());
  const auto other = two_blocks("a", "c");
  CHECK_FALSE(f.refusal_of(head + first + second + other.substr(begin + 2 * block)).empty());
  const auto third = two_blocks("c", "b").substr(begin + block, block);
  CHECK_FALSE(f.refusal_of(head + first + third + tail).empty());
}

TEST_CASE("what is not the file of a table is refused") {
  saved_file f;
  CHECK(contains(f.refusal_of(""), "is empty"));
  CHECK(contains(f.refusal_of("#!/bin/sh\necho hello, this is a program\n"), "not the file of a table"));
  CHECK(contains(f.refusal_of(std::string(100'000, '\0')), "not the file of a table"));
  CHECK(refusal([&] { kv::inspect_table_file(f.file); }) == code::bad_file);
}

TEST_CASE("a file of another version is refused, and says of which") {
  saved_file f;
  auto bytes = content_of(f.file);
  bytes[8] = 2;
  CHECK(contains(f.refusal_of(bytes), "version 2"));
}

TEST_CASE("a file of other rows, or of another type of table, is refused") {
  saved_file f;
  CHECK(contains(f.refusal_of_file<kv::table<std::string, unsigned>>(),
                 "it holds set(string, int32), not set(string, uint32)"));
  CHECK(contains(f.refusal_of_file<kv::table<std::string, std::int64_t>>(), "int64"));
  CHECK(contains(f.refusal_of_file<kv::table<int, int>>(), "not set(int32, int32)"));
  CHECK(contains(f.refusal_of_file<kv::table<std::string, int, kv::ordered_set>>(), "not ordered_set(string, int32)"));
  CHECK(f.load().size() == 3);
}

TEST_CASE("the same key twice is refused") {
  saved_file f;
  kv::detail::table_file_writer out(f.file, {.type = "set", .key = "string", .value = "int32", .name = {}});
  for (int i = 0; i < 2; ++i) out.add(std::string("milk"), i);
  out.finish();
  CHECK(contains(f.refusal_of_file(), "some rows twice"));
}

TEST_CASE("rows that their codec cannot read are refused, with their place") {
  saved_file f;
  const auto file_of = [&](std::string_view row) {
    kv::detail::table_file_writer out(f.file, {.type = "set", .key = "string", .value = "int32", .name = {}});
    out.add(std::string("good"), 1);
    out.add_bytes(row);
    out.finish();
    CHECK(kv::verify_table_file(f.file).rows == 2);  // which does not know of codecs
    return f.refusal_of_file();
  };
  using namespace std::string_view_literals;
  CHECK(contains(file_of(""), "row 2: expected 4 bytes, and only 0 are left"));
  CHECK(contains(file_of("\4\0\0\0milk"sv), "row 2: expected 4 bytes, and only 0 are left"));
  CHECK(contains(file_of("\xff\xff\xff\xff"
                         "milk\1\0\0\0"sv),
                 "row 2: expected 4294967295 elements or bytes"));
  CHECK(contains(file_of("\4\0\0\0milk\1\0\0\0more"sv), "after its rows 4 bytes are left"));
}

TEST_CASE("a length that lies asks for no memory") {
  saved_file f;
  kv::detail::table_file_writer out(f.file, {.type = "set", .key = "string", .value = "string", .name = {}});
  out.add(std::string("milk"), liar());
  out.finish();
  CHECK(contains(f.refusal_of_file<kv::table<std::string, std::string>>(), "expected 4000000000 elements or bytes"));
}

TEST_CASE("what a codec throws at reading refuses the file, but not want of memory") {
  saved_file f;
  using rows = kv::table<int, picky>;
  f.p.run([&] {
    auto saved = rows::create();
    for (int i = 0; i < 3; ++i) saved.insert(i, {i});
    kv::save_table(saved, f.file);
    saved.drop();
  });
  picky::check = [](int number) {
    if (number == 1) throw std::out_of_range("1 is not allowed");
  };
  const auto said = f.refusal_of_file<rows>();
  CHECK_MESSAGE(contains(said, "1 is not allowed"), said);
  CHECK(contains(said, "block 1 at byte "));
  picky::check = [](int) { throw std::bad_alloc(); };
  CHECK_THROWS_AS(f.load<rows>(), std::bad_alloc);
  CHECK(kv::all_tables(f.runtime).empty());
  picky::check = [](int) {};
  CHECK(f.load<rows>().size() == 3);
  picky::check = {};
}

TEST_CASE("a file that is not there, or is a directory, is what the system says of it") {
  saved_file f;
  const auto error_of = [&](const std::filesystem::path& file) {
    try {
      f.p.run([&] { kv::load_table<names>(f.runtime, file); });
    } catch (const std::filesystem::filesystem_error& e) {
      CHECK(e.path1() == file);
      return e.code();
    }
    return std::error_code();
  };
  CHECK(error_of(f.directory / "nothing") == std::errc::no_such_file_or_directory);
  CHECK(error_of(f.directory / "no" / "directory") == std::errc::no_such_file_or_directory);
  CHECK(error_of(f.directory.path()) == std::errc::is_a_directory);
  CHECK(error_of("/dev/zero") == std::errc::invalid_argument);
  CHECK_THROWS_AS(kv::verify_table_file(f.directory / "nothing"), std::filesystem::filesystem_error);
}

TEST_CASE("a name that is taken is refused, and its table stays as it was") {
  saved_file f;
  const auto other = f.runtime.spawn<blank>();
  inside(other, [] { names::create(kv::table_options{.name = "loaded"}).insert("bread", 1); });
  CHECK(refusal([&] { f.load(); }) == code::name_taken);
  CHECK(kv::all_tables(f.runtime).size() == 1);
  CHECK(names::find(f.runtime, "loaded")->to_vector() == std::vector{std::pair(std::string("bread"), 1)});
  CHECK(f.load("another name").size() == 3);
}

TEST_CASE("a load for an owner that is dead is refused") {
  saved_file f;
  const auto dead = f.runtime.spawn<blank>();
  kv::testing::kill_and_await(f.runtime, dead);
  CHECK(refusal([&] { kv::load_table<names>(f.runtime, f.file, {.name = "loaded", .owner = dead}); }) ==
        code::no_owner);
  CHECK(kv::all_tables(f.runtime).empty());
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("a load that is refused memory, whichever, leaves no table behind" * doctest::skip(sanitized)) {
  const saved_file f;
  for (unsigned nth = 1;; ++nth) {
    kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
    const auto loader = world.spawn<blank>();
    world.refuse_allocation(loader, nth);
    bool is_loaded = true;
    try {
      inside(loader, [&] { kv::load_table<names>(world, f.file, {.name = "loaded"}); });
    } catch (const kv::call_error&) {
      is_loaded = false;
    }
    CHECK(kv::all_tables(world).size() == (is_loaded ? 1 : 0));
    if (!is_loaded) continue;
    CHECK(nth > 10);
    return;
  }
}

TEST_CASE("a process that is killed while it loads, at any point, leaves no table behind") {
  const saved_file f;
  const auto load = [&](kv::simulation& world) {
    kv::ref<blank> loader;
    try {
      loader = world.spawn_named<blank>("loader");
      inside(loader, [&] { kv::load_table<names>(world, f.file, {.name = "loaded"}); });
    } catch (const kv::start_error&) {
    } catch (const kv::call_error&) {
    }
    world.calmly([&] {
      const auto found = names::find(world, "loaded");
      if (found) require(loader.alive() && found->size() == 3, "a table is there, but not as it should be");
      if (loader.alive()) kv::testing::kill_and_await(world, loader);
      require(kv::all_tables(world).empty(), "a table is left");
    });
  };
  const auto row = kv::sweep(load, "loader", {.runtime = {.on_report = [](const kv::report&) {}}});
  CHECK_MESSAGE(row.points > 3, row);
  CHECK_MESSAGE(row.held == row.points, row);
}

TEST_SUITE_END();

}  // namespace table_file_damage_test
