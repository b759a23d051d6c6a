// Promises under test: update() is one step, and none at all when its function throws; values leave the table before
// they are destroyed; who meets the end of a table is told so, and never that a key is absent which was there.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace table_update_test {

using kv::table_access;
using kv::testing::probe;

namespace {

/// A value whose end can be seen, and which looks into its table then: inside the table's lock that would never end.
struct last_words {
  std::function<void()> speak;
  ~last_words() { speak(); }
};

/// A key that does something while it is looked for, before the table takes any lock.
struct tripwire {
  int number;
  std::function<void()> on_hash;
  friend bool operator==(const tripwire& a, const tripwire& b) { return a.number == b.number; }
};

}  // namespace

}  // namespace table_update_test

template <>
struct std::hash<table_update_test::tripwire> {
  std::size_t operator()(const table_update_test::tripwire& key) const {
    if (key.on_hash) key.on_hash();
    return std::hash<int>{}(key.number);
  }
};

namespace table_update_test {

TEST_CASE("an update that throws changes nothing, and the table goes on") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = p.run(
      [&] { return kv::table<int, std::string>::create(runtime, {.name = {}, .access = table_access::public_}); });
  t.insert(1, "milk");
  const auto fail = [](const std::string&) -> std::string { throw std::domain_error("sour"); };
  CHECK_THROWS_AS(t.update(1, fail), std::domain_error);
  CHECK(t.lookup(1) == "milk");
  CHECK_FALSE(t.update(2, fail));  // absent: not even called
  CHECK(t.update(1, [](const std::string& old) { return old + " and eggs"; }) == "milk and eggs");
  CHECK(t.size() == 1);
}

TEST_CASE("of many updates at once none is lost" * needs_threads) {
  constexpr int rounds = 5000;
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  auto t = p.run([&] { return kv::table<int, int>::create(runtime, {.name = {}, .access = table_access::public_}); });
  t.insert(1, 0);
  auto count = [t]() mutable {
    for (int i = 0; i < rounds; ++i) t.update(1, [](int n) { return n + 1; });
  };
  for (int i = 0; i < 2; ++i) runtime.spawn([count, to = p.id()]() mutable { count(), kv::send(to, true); });
  std::thread(count).join();
  for (int i = 0; i < 2; ++i) p.expect<bool>();
  CHECK(t.lookup(1) == 3 * rounds);
}

TEST_CASE("a value is destroyed outside the table's lock, whatever ends it") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  using graves = kv::table<int, std::shared_ptr<last_words>>;
  auto t = p.run([&] { return graves::create(runtime, {.name = {}, .access = table_access::public_}); });
  int spoken = 0;
  const auto bury = [&](int key) {
    t.insert(key, std::make_shared<last_words>([&, key] { t.member(key), ++spoken; }));
  };
  for (int key = 0; key < 5; ++key) bury(key);
  t.insert(0, nullptr);
  t.erase(1);
  t.take(2);
  const std::weak_ptr watched = *t.lookup(3);
  t.erase_if_equal(3, std::shared_ptr<last_words>(watched.lock().get(), [](auto*) {}));  // equal, and owns nothing
  t.update(4, [](const auto&) { return nullptr; });
  CHECK(spoken == 5);
  CHECK(t.size() == 2);
}

TEST_CASE("a table that is dropped during an operation says so, and never that a key is absent which was there") {
  using wired = kv::table<tripwire, int>;
  const std::vector<std::function<void(wired&, const tripwire&)>> operations{
      [](wired& t, const tripwire& k) { t.lookup(k); },
      [](wired& t, const tripwire& k) { t.member(k); },
      [](wired& t, const tripwire& k) { t.insert(k, 2); },
      [](wired& t, const tripwire& k) { t.insert_new(k, 2); },
      [](wired& t, const tripwire& k) { t.erase(k); },
      [](wired& t, const tripwire& k) { t.take(k); },
      [](wired& t, const tripwire& k) { t.erase_if_equal(k, 1); },
      [](wired& t, const tripwire& k) { t.update(k, [](int n) { return n + 1; }); },
      [](wired& t, const tripwire& k) { t.update(k, [](int n) { return n + 1; }, 7); },
      [](wired& t, const tripwire& k) { t.update_counter(k, 1); },
      [](wired& t, const tripwire& k) { t.replace_if(k, 1, 2); },
      [](wired& t, const tripwire& k) { t.replace_if(k, 7, 2); },
      [](wired& t, const tripwire& k) { t.read(k, [](int) {}); },
      [](wired& t, const tripwire& k) { t.lookup_many({k}); },
      [](wired& t, const tripwire& k) { t.insert({{k, 2}}); },
      [](wired& t, const tripwire& k) { t.insert_new({{k, 2}}); }};
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    CAPTURE(i);
    auto t = p.run([&] { return wired::create(runtime, {.name = {}, .access = table_access::public_}); });
    t.insert({1, {}}, 1);
    const tripwire key{1, [&, armed = true]() mutable {
                         if (std::exchange(armed, false)) p.run([&] { t.drop(); });
                       }};
    try {
      operations[i](t, key);
      FAIL("it was answered by a table that is gone");
    } catch (const kv::table_error& e) {
      CHECK(e.why() == kv::table_error::code::no_table);
    }
  }
}

}  // namespace table_update_test
