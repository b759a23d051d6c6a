// Promises under test: a table has an owner and perhaps a name; what its access forbids changes nothing; only its
// owner drops it, and it is gone with him.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "refusal.hpp"
#include "servers.hpp"

namespace table_test {

using kv::table_access;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using numbers = kv::table<std::string, int>;
using code = kv::table_error::code;

/// Tells how a function is refused inside another process.
template <class F>
std::optional<code> refusal_in(kv::runtime& home, F function) {
  return home.spawn<blank>().call([function](blank&) { return refusal(function); });
}

}  // namespace

TEST_CASE("a table holds what was put into it") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  p.run([&] {
    auto t = numbers::create(runtime);
    CHECK_FALSE(t.lookup("milk"));
    CHECK_FALSE(t.member("milk"));
    t.insert("milk", 3);
    t.insert("eggs", 12);
    t.insert("milk", 4);
    CHECK(t.lookup("milk") == 4);
    CHECK(t.member("eggs"));
    CHECK(t.size() == 2);
    CHECK(t.insert_new("milk", 5) == 4);
    CHECK(t.lookup("milk") == 4);
    CHECK_FALSE(t.insert_new("bread", 1));
    CHECK(t.lookup("bread") == 1);
    CHECK(t.update("milk", [](int n) { return n + 1; }) == 5);
    CHECK(t.lookup("milk") == 5);
    CHECK(t.take("milk") == 5);
    CHECK_FALSE(t.take("milk"));
    CHECK_FALSE(t.update("milk", [](int n) { return n + 1; }));
    CHECK_FALSE(t.member("milk"));
    t.insert("flour", 1);
    CHECK(t.erase("flour"));
    CHECK_FALSE(t.erase("flour"));
    CHECK_FALSE(t.erase_if_equal("eggs", 11));
    CHECK_FALSE(t.erase_if_equal("milk", 4));
    CHECK(t.lookup("eggs") == 12);
    CHECK(t.erase_if_equal("eggs", 12));
    CHECK(t.to_vector() == std::vector{std::pair(std::string("bread"), 1)});
  });
}

TEST_CASE("an empty table folds to nothing, and a full one visits every row once") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  p.run([&] {
    auto t = kv::table<int, int>::create(runtime);
    CHECK(t.size() == 0);
    CHECK(t.to_vector().empty());
    const auto sum = [](long all, int key, int value) { return all + key + value; };
    CHECK(t.fold(7L, sum) == 7);
    std::vector<int> seen(10'000);
    for (int i = 0; i < 10'000; ++i) t.insert(i, -i);
    CHECK(t.size() == 10'000);
    CHECK(t.fold(0L, sum) == 0);
    t.for_each([&](int key, int) { ++seen[static_cast<std::size_t>(key)]; });
    CHECK(seen == std::vector<int>(10'000, 1));
  });
}

TEST_CASE("a fold may write to the table it reads") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  p.run([&] {
    auto t = kv::table<int, int>::create(runtime);
    for (int i = 0; i < 1000; ++i) t.insert(i, i);
    t.for_each([&](int key, int) { t.erase(key); });
    CHECK(t.size() == 0);
  });
}

TEST_CASE("text keys are found by views, also views into something longer and with zeros") {
  using namespace std::string_view_literals;
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  p.run([&] {
    auto t = numbers::create(runtime);
    const std::string_view line = "milk and eggs";
    t.insert(line.substr(0, 4), 1);
    t.insert("", 2);
    t.insert("a\0b"sv, 3);
    CHECK(t.lookup("milk") == 1);
    CHECK(t.lookup(line.substr(0, 4)) == 1);
    CHECK_FALSE(t.lookup(line));
    CHECK(t.lookup(std::string_view()) == 2);
    CHECK(t.lookup("a\0b"sv) == 3);
    CHECK_FALSE(t.lookup("a"));
  });
}

TEST_CASE("values that are replaced, erased or left are destroyed") {
  const auto token = std::make_shared<int>();
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank>();
  auto t = kv::table<int, std::shared_ptr<int>>::create(runtime,
                                                        {.name = {}, .access = table_access::public_, .owner = owner});
  for (int i = 0; i < 100; ++i) t.insert(i, token);
  CHECK(token.use_count() == 101);
  t.insert(0, nullptr);
  t.erase(1);
  t.erase_if_equal(2, token);
  t.take(3);
  t.update(4, [](const auto&) { return nullptr; });
  CHECK(token.use_count() == 96);
  owner.stop();
  CHECK(token.use_count() == 1);
}

// Names -------------------------------------------------------------------------------------------------------------

TEST_CASE("a named table is found by its name and the type of its rows") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  CHECK_FALSE(numbers::find(runtime, "shopping"));
  const auto t = p.run([&] { return numbers::create(runtime, {.name = "shopping"}); });
  CHECK(numbers::find(runtime, "shopping") == t);
  CHECK_FALSE(numbers::find(runtime, "wishes"));
  CHECK(refusal([&] { kv::table<int, int>::find(runtime, "shopping"); }) == code::wrong_type);
  kv::runtime elsewhere({.threads = 1});
  CHECK_FALSE(numbers::find(elsewhere, "shopping"));
}

TEST_CASE("a second table of a name is refused by naming the holder, and the first stays") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  auto first = numbers::create(runtime, {.name = "shopping", .owner = owner});
  try {
    p.run([&] { numbers::create(runtime, {.name = "shopping"}); });
    FAIL("two tables have one name");
  } catch (const kv::table_error& e) {
    CHECK(e.why() == code::name_taken);
    CHECK(std::string(e.what()) == "table shopping exists, owned by " + to_string(owner.id()));
  }
  CHECK(numbers::find(runtime, "shopping") == first);
  owner.stop();
  p.run([&] { numbers::create(runtime, {.name = "shopping"}).insert("milk", 1); });
  CHECK(numbers::find(runtime, "shopping")->lookup("milk") == 1);
}
TEST_CASE("tables without a name do not collide and are not found") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  p.run([&] {
    auto a = numbers::create(runtime);
    auto b = numbers::create(runtime);
    a.insert("milk", 1);
    CHECK(a != b);
    CHECK_FALSE(b.lookup("milk"));
  });
  CHECK_FALSE(numbers::find(runtime, ""));
  CHECK(kv::all_tables(runtime).size() == 2);
}

// Owners ------------------------------------------------------------------------------------------------------------

TEST_CASE("a table needs an owner that is alive and from here") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  CHECK_THROWS_WITH_AS(numbers::create(runtime, {.name = "shopping"}), doctest::Contains("needs an owner"),
                       std::invalid_argument);
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  CHECK(refusal([&] { numbers::create(runtime, {.name = "shopping", .owner = dead}); }) == code::no_owner);
  const auto foreign = elsewhere.spawn<blank>();
  CHECK(refusal([&] { numbers::create(runtime, {.name = "shopping", .owner = foreign}); }) == code::no_owner);
  CHECK_FALSE(numbers::find(runtime, "shopping"));
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("info says what a table is") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = p.run([&] { return numbers::create(runtime, {.name = "shopping", .access = table_access::private_}); });
  const auto before = t.info();
  CHECK(before.name == "shopping");
  CHECK(before.type == "set");
  CHECK(before.access == table_access::private_);
  CHECK(to_string(before.access) == "private");
  CHECK(before.owner == p.id());
  CHECK(before.heirs.empty());
  CHECK(before.size == 0);
  p.run([&] {
    for (int i = 0; i < 1000; ++i) t.insert(std::to_string(i), i);
  });
  CHECK(t.info().size == 1000);
  CHECK(t.info().memory >= before.memory + 1000 * sizeof(std::pair<std::string, int>));
  CHECK(t.owner() == p.id());
}

TEST_CASE("only the owner drops a table, also a public one, and then it is gone for everybody") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = p.run([&] { return numbers::create(runtime, {.name = "shopping", .access = table_access::public_}); });
  t.insert("milk", 1);
  CHECK(refusal([&] { t.drop(); }) == code::access);
  CHECK(refusal_in(runtime, [t]() mutable { t.drop(); }) == code::access);
  CHECK(t.lookup("milk") == 1);
  p.run([&] { t.drop(); });
  CHECK(refusal([&] { t.lookup("milk"); }) == code::no_table);
  CHECK(refusal([&] { p.run([&] { t.drop(); }); }) == code::no_table);
  CHECK_FALSE(numbers::find(runtime, "shopping"));
  p.run([&] { CHECK_FALSE(numbers::create(runtime, {.name = "shopping"}).lookup("milk")); });
}

TEST_CASE("a table dies with its owner, before his death is told, and its handles say so") {
  kv::runtime runtime({.threads = 2});
  for (int i = 0; i < 200; ++i) {
    const auto owner = runtime.spawn<blank>();
    auto t = owner.call(
        [&runtime](blank&) { return numbers::create(runtime, {.name = "shopping", .access = table_access::public_}); });
    auto other = numbers::create(runtime, {.name = "wishes", .owner = owner});
    t.insert("milk", 1);
    kill_and_await(runtime, owner);
    CHECK_FALSE(t.owner());
    CHECK_FALSE(numbers::find(runtime, "shopping"));
    CHECK(kv::all_tables(runtime).empty());
    CHECK(refusal([&] { t.lookup("milk"); }) == code::no_table);
    CHECK(refusal([&] { t.member("milk"); }) == code::no_table);
    CHECK(refusal([&] { t.size(); }) == code::no_table);
    CHECK(refusal([&] { t.to_vector(); }) == code::no_table);
    CHECK(refusal([&] { t.insert("milk", 2); }) == code::no_table);
    CHECK(refusal([&] { t.insert_new("milk", 2); }) == code::no_table);
    CHECK(refusal([&] { t.erase("milk"); }) == code::no_table);
    CHECK(refusal([&] { t.take("milk"); }) == code::no_table);
    CHECK(refusal([&] { t.update("milk", [](int n) { return n; }); }) == code::no_table);
    CHECK(refusal([&] { t.erase_if_equal("milk", 1); }) == code::no_table);
    CHECK(refusal([&] { t.info(); }) == code::no_table);
    CHECK(refusal([&] { t.drop(); }) == code::no_table);
    CHECK(refusal([&] { other.lookup("milk"); }) == code::no_table);
  }
}

TEST_CASE("the next process in the slot of a dead owner owns nothing") {
  kv::runtime runtime({.threads = 1});
  const auto owner = runtime.spawn<blank_leaf>();
  auto t = owner.call([&runtime](blank_leaf&) { return numbers::create(runtime); });
  owner.stop();
  for (int i = 0; i < 100; ++i) {
    const auto next = runtime.spawn<blank_leaf>();
    CHECK(next.call([t](blank_leaf&) mutable { return refusal([&] { t.insert("milk", 1); }); }) == code::no_table);
    next.stop();
  }
}

}  // namespace table_test
