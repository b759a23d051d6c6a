// Promises under test: a table that is saved and loaded has the same rows, whatever their types are; loading creates a
// table as any other, once it is whole; a file tells what is in it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kv/table_file.hpp>
#include <kv/testing.hpp>

#include "refusal.hpp"
#include "servers.hpp"
#include "temporary_directory.hpp"
#include "threads.hpp"

namespace table_file_test {

namespace {

using kv::testing::probe;
using code = kv::table_error::code;

enum class colour : std::uint8_t { red = 3, green = 200 };

struct point {
  int x = 0;
  double y = 0;
  friend bool operator==(const point&, const point&) = default;
};

/// Lets the test look around while it is being read.
struct observed {
  static inline std::function<void()> look;
};

}  // namespace

}  // namespace table_file_test

template <>
struct kv::codec<table_file_test::observed> {
  static void encode(const table_file_test::observed&, kv::encoder& out) { out.write(true); }
  static table_file_test::observed decode(kv::decoder& in) {
    in.read<bool>();
    table_file_test::observed::look();
    return {};
  }
};

template <>
struct kv::codec<table_file_test::point> {
  static void encode(const table_file_test::point& p, kv::encoder& out) { out.write(p.x), out.write(p.y); }
  static table_file_test::point decode(kv::decoder& in) {
    const auto x = in.read<int>();
    return {x, in.read<double>()};
  }
};

namespace table_file_test {

namespace {

/// A runtime, somebody to own tables, and a place for files.
struct files {
  temporary_directory directory;
  kv::runtime runtime{{.threads = 1}};
  probe p{runtime};

  /// Saves a table of these values under their indices, loads it, and returns the values.
  template <class Value>
  std::vector<Value> through_file(const std::vector<Value>& values) {
    using rows = kv::table<int, Value>;
    const auto file = directory / "values";
    p.run([&] {
      auto saved = rows::create();
      for (std::size_t i = 0; i < values.size(); ++i) saved.insert(static_cast<int>(i), values[i]);
      CHECK(kv::save_table(saved, file) == values.size());
    });
    return p.run([&] {
      const auto loaded = kv::load_table<rows>(runtime, file);
      std::vector<Value> result;
      for (std::size_t i = 0; i < loaded.size(); ++i) result.push_back(loaded.lookup(static_cast<int>(i)).value());
      return result;
    });
  }
  template <class Value>
  void check(const std::vector<Value>& values) {
    CHECK(through_file(values) == values);
  }
  template <class Key>
  void check_keys(const std::vector<Key>& keys) {
    using rows = kv::table<Key, int>;
    p.run([&] {
      auto saved = rows::create();
      int number = 0;
      for (const auto& key : keys) saved.insert(key, ++number);
      kv::save_table(saved, directory / "keys");
      const auto loaded = kv::load_table<rows>(runtime, directory / "keys");
      number = 0;
      for (const auto& key : keys) CHECK(loaded.lookup(key) == ++number);
      CHECK(loaded.size() == keys.size());
    });
  }
};

template <class Number>
std::array<Number, 6> extremes() {
  using limits = std::numeric_limits<Number>;
  return {limits::min(), limits::lowest(), limits::max(), Number{0}, Number{1}, Number{42}};
}
/// The extremes of all these types, a pair of a pair of a pair: a table of each would take long to compile.
template <class Number, class... More>
auto extremes_at(std::size_t i) {
  if constexpr (sizeof...(More) == 0) {
    return extremes<Number>()[i];
  } else {
    return std::pair(extremes<Number>()[i], extremes_at<More...>(i));
  }
}
template <class... Numbers>
auto extremes_of() {
  std::vector<decltype(extremes_at<Numbers...>(0))> result;
  for (std::size_t i = 0; i < extremes<int>().size(); ++i) result.push_back(extremes_at<Numbers...>(i));
  return result;
}

using names = kv::table<std::string, int>;

}  // namespace

TEST_CASE("numbers come back from a file as they were") {
  files f;
  f.check(extremes_of<signed char, unsigned char, char, short, std::uint16_t, int, unsigned, long, std::int64_t,
                      std::uint64_t, float, double, char32_t>());
  f.check(
      std::vector<double>{-0.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::denorm_min()});
}

TEST_CASE("truth, enums and text come back from a file as they were") {
  using namespace std::string_literals;
  files f;
  f.check(std::vector{true, false});
  f.check(std::vector{colour::red, colour::green});
  f.check(std::vector{""s, "milk"s, "a\0b"s, "\xff\n\r\n"s, std::string(1'000'000, 'x')});
}

TEST_CASE("pairs, optionals and vectors come back from a file as they were") {
  files f;
  f.check(std::vector<std::pair<std::string, int>>{{"milk", 3}, {"", -1}});
  f.check(std::vector<std::optional<std::string>>{"milk", "", std::nullopt});
  f.check(std::vector<std::vector<int>>{{}, {1, 2, 3}});
  f.check(std::vector<std::vector<bool>>{{}, {true, false, true}});
  f.check(std::vector<std::vector<std::pair<colour, std::optional<std::vector<std::string>>>>>{
      {{colour::red, std::vector<std::string>{"a", "b"}}, {colour::green, std::nullopt}}, {}});
}

TEST_CASE("a type of the user's comes back through his codec, also inside others") {
  files f;
  f.check(std::vector<point>{{1, 2.5}, {-3, 0}});
  f.check(std::vector<std::vector<std::optional<point>>>{{point{1, 2.5}, std::nullopt}, {}});
}

TEST_CASE("keys come back as values do") {
  files f;
  f.check_keys(std::vector<std::string>{"", "milk", std::string("a\0b", 3), std::string(100'000, 'x')});
  f.check_keys(std::vector<std::uint64_t>{0, 1, std::numeric_limits<std::uint64_t>::max()});
  f.check_keys(std::vector{colour::red, colour::green});
  f.check_keys(std::vector<double>{0.5, -1e300});
}

TEST_CASE("an empty table is saved and loaded") {
  files f;
  f.check(std::vector<int>{});
  CHECK(kv::inspect_table_file(f.directory / "values").rows == 0);
  CHECK(kv::verify_table_file(f.directory / "values").rows == 0);
}

TEST_CASE("a table of a million rows is saved and loaded") {
  files f;
  constexpr std::uint64_t count = 1'000'000;
  using rows = kv::table<std::uint64_t, std::uint64_t>;
  f.p.run([&] {
    auto saved = rows::create();
    for (std::uint64_t i = 0; i < count; ++i) saved.insert(i, i * i);
    CHECK(kv::save_table(saved, f.directory / "million") == count);
    const auto loaded = kv::load_table<rows>(f.runtime, f.directory / "million");
    CHECK(loaded.size() == count);
    std::uint64_t wrong = 0;
    loaded.for_each([&](std::uint64_t key, std::uint64_t value) { wrong += value == key * key ? 0 : 1; });
    CHECK(wrong == 0);
  });
  CHECK(kv::verify_table_file(f.directory / "million").rows == count);
}

TEST_CASE("an ordered table comes back in its order") {
  files f;
  using rows = kv::table<int, std::string, kv::ordered_set>;
  f.p.run([&] {
    auto saved = rows::create();
    for (int i = 0; i < 1000; ++i) saved.insert((i * 7919) % 1000 - 500, std::to_string(i));
    kv::save_table(saved, f.directory / "ordered");
    const auto loaded = kv::load_table<rows>(f.runtime, f.directory / "ordered");
    CHECK(loaded.to_vector() == saved.to_vector());
    CHECK(loaded.info().type == "ordered_set");
  });
}

TEST_CASE("what is loaded is a table as any other, with the options of the load") {
  files f;
  const auto other = f.runtime.spawn<blank>();
  f.p.run([&] {
    auto saved = names::create(kv::table_options{.name = "prices", .access = kv::table_access::private_});
    saved.insert("milk", 3);
    kv::save_table(saved, f.directory / "prices");
    const kv::table_options options{.name = "loaded", .access = kv::table_access::protected_, .owner = other};
    auto loaded = kv::load_table<names>(f.runtime, f.directory / "prices", options);
    CHECK(loaded.info().name == "loaded");
    CHECK(loaded.info().access == kv::table_access::protected_);
    CHECK(loaded.owner() == other.id());
    CHECK(loaded.lookup("milk") == 3);
    CHECK(names::find(f.runtime, "loaded") == loaded);
    CHECK_FALSE(loaded == saved);
    CHECK(refusal([&] { loaded.insert("eggs", 1); }) == code::access);
  });
  inside(other, [&] { names::find(f.runtime, "loaded")->insert("eggs", 12); });
  CHECK(names::find(f.runtime, "loaded")->size() == 2);
  kv::testing::kill_and_await(f.runtime, other);
  CHECK_FALSE(names::find(f.runtime, "loaded"));
}

TEST_CASE("without a name in the options the loaded table has none") {
  files f;
  f.p.run([&] {
    kv::save_table(names::create(kv::table_options{.name = "prices"}), f.directory / "prices");
    const auto loaded = kv::load_table<names>(f.runtime, f.directory / "prices");
    CHECK(loaded.info().name.empty());
    CHECK(loaded.owner() == f.p.id());
  });
}

TEST_CASE("a plain thread saves and loads, for an owner that it names") {
  files f;
  auto saved = names::create(f.runtime, {.name = {}, .owner = f.p});
  f.p.run([&] { saved.insert("milk", 3); });
  CHECK(kv::save_table(saved, f.directory / "prices") == 1);
  const auto loaded = kv::load_table<names>(f.runtime, f.directory / "prices", {.name = {}, .owner = f.p});
  CHECK(loaded.lookup("milk") == 3);
  CHECK(loaded.owner() == f.p.id());
  const auto processes = f.runtime.process_count();
  CHECK_THROWS_AS(kv::load_table<names>(f.runtime, f.directory / "prices"), std::invalid_argument);
  CHECK(f.runtime.process_count() == processes);
}

TEST_CASE("nobody finds a table that is being loaded") {
  files f;
  using rows = kv::table<int, observed>;
  f.p.run([&] {
    auto saved = rows::create();
    for (int i = 0; i < 1000; ++i) saved.insert(i, {});
    kv::save_table(saved, f.directory / "numbers");
    int looked = 0, found = 0;
    observed::look = [&] {
      ++looked;
      found += rows::find(f.runtime, "numbers") || kv::all_tables(f.runtime).size() != 1 ? 1 : 0;
    };
    const auto loaded = kv::load_table<rows>(f.runtime, f.directory / "numbers", {.name = "numbers"});
    observed::look = {};
    CHECK(looked == 1000);
    CHECK(found == 0);
    CHECK(rows::find(f.runtime, "numbers") == loaded);
  });
}

TEST_CASE("a file says what is in it") {
  files f;
  f.p.run([&] {
    auto saved = kv::table<std::string, std::vector<point>>::create(kv::table_options{.name = "shapes"});
    saved.insert("line", {{0, 0}, {1, 1}});
    saved.insert("dot", {{2, 2}});
    kv::save_table(saved, f.directory / "shapes");
  });
  for (const auto& info :
       {kv::inspect_table_file(f.directory / "shapes"), kv::verify_table_file(f.directory / "shapes")}) {
    CHECK(info.version == 1);
    CHECK(info.type == "set");
    CHECK(info.key == "string");
    CHECK(info.value == "vector<table_file_test::(anonymous namespace)::point>");
    CHECK(info.name == "shapes");
    CHECK(info.rows == 2);
    CHECK(info.bytes == std::filesystem::file_size(f.directory / "shapes"));
  }
}

TEST_CASE("a table is saved while others write to it, with every row that stays" * needs_threads) {
  files f;
  using rows = kv::table<int, int>;
  auto saved = rows::create(f.runtime, {.name = {}, .access = kv::table_access::public_, .owner = f.p});
  constexpr int lasting = 20'000;
  for (int i = 0; i < lasting; ++i) saved.insert(i, i);
  const auto [writer, watch] = f.p.run([&] {
    return kv::spawn_monitor([rows = saved]() mutable {
      for (int i = 0; !kv::receive_for<int>(std::chrono::nanoseconds(0)); i = (i + 1) % lasting) {
        rows.insert(lasting + i, i);
        rows.erase(lasting + (i * 31) % lasting);
      }
    });
  });
  const auto count = kv::save_table(saved, f.directory / "busy");
  f.runtime.send(writer, 1);
  f.p.expect_down(writer);
  const auto loaded = kv::load_table<rows>(f.runtime, f.directory / "busy", {.name = {}, .owner = f.p});
  CHECK(loaded.size() == count);
  int missing = 0;
  for (int i = 0; i < lasting; ++i) missing += loaded.lookup(i) == i ? 0 : 1;
  CHECK(missing == 0);
}

TEST_CASE("a bag comes back with all objects, in the order of each key") {
  files f;
  using rows = kv::table<std::string, int, kv::bag>;
  f.p.run([&] {
    auto saved = rows::create();
    for (int i = 0; i < 1000; ++i) saved.insert(std::to_string(i % 37), 1000 - i);
    CHECK(kv::save_table(saved, f.directory / "bag") == 1000);
    auto loaded = kv::load_table<rows>(f.runtime, f.directory / "bag");
    CHECK(loaded.size() == 1000);
    for (int i = 0; i < 37; ++i) CHECK(loaded.lookup(std::to_string(i)) == saved.lookup(std::to_string(i)));
    loaded.insert("0", 5000);
    CHECK(loaded.lookup("0").back() == 5000);
  });
}

TEST_CASE("a table is loaded for nobody, and for heirs") {
  files f;
  f.p.run([&] {
    auto saved = names::create(kv::table_options{.name = "prices"});
    saved.insert("milk", 3);
    kv::save_table(saved, f.directory / "prices");
  });
  auto loaded = kv::load_table<names>(f.runtime, f.directory / "prices", {.name = "nobody's", .ownerless = true});
  CHECK_FALSE(loaded.owner());
  CHECK(loaded.size() == 1);
  loaded.drop();
  const auto owner = f.runtime.spawn<blank>();
  const auto inherited = kv::load_table<names>(f.runtime, f.directory / "prices",
                                               {.name = "inherited", .owner = owner, .heirs = {f.p.id()}});
  kv::testing::kill_and_await(f.runtime, owner);
  CHECK(inherited.owner() == f.p.id());
  CHECK(inherited.lookup("milk") == 3);
}

}  // namespace table_file_test
