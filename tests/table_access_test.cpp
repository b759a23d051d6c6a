// Promises under test: who may do what with a table, and that a refusal says so and changes nothing.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "refusal.hpp"
#include "servers.hpp"

using kv::table_access;
using kv::testing::probe;

namespace {

using numbers = kv::table<std::string, int>;
using code = kv::table_error::code;

using operation = void (*)(numbers&);

const std::vector<operation> reads{[](numbers& t) { t.lookup("milk"); },
                                   [](numbers& t) { t.member("milk"); },
                                   [](numbers& t) { t.size(); },
                                   [](numbers& t) { t.to_vector(); },
                                   [](numbers& t) { t.for_each([](const std::string&, int) {}); },
                                   [](numbers& t) { t.fold(0, [](int n, const std::string&, int) { return n; }); }};

const std::vector<operation> writes{[](numbers& t) { t.insert("milk", 7); },
                                    [](numbers& t) { t.insert("eggs", 7); },
                                    [](numbers& t) { t.insert_new("eggs", 7); },
                                    [](numbers& t) { t.erase_if_equal("milk", 3); },
                                    [](numbers& t) { t.erase("milk"); },
                                    [](numbers& t) { t.take("milk"); },
                                    [](numbers& t) { t.update("milk", [](int) { return 7; }); }};

const std::vector<std::pair<std::string, int>> content{{"milk", 3}};

/// Three kinds of callers: the owner, another process, a plain thread.
struct callers {
  kv::runtime& home;
  kv::ref<blank> owner = home.spawn<blank>();
  kv::ref<blank> stranger = home.spawn<blank>();

  std::optional<code> by_owner(operation o, numbers t) const { return in(owner, o, t); }
  std::optional<code> by_stranger(operation o, numbers t) const { return in(stranger, o, t); }
  static std::optional<code> by_thread(operation o, numbers t) {
    return refusal([&] { o(t); });
  }
  numbers make(table_access access) const {
    auto t = numbers::create(home, {.name = {}, .access = access, .owner = owner});
    in(owner, [](numbers& fresh) { fresh.insert("milk", 3); }, t);
    return t;
  }
  std::vector<std::pair<std::string, int>> rows(const numbers& t) const {
    return owner.call([t](blank&) { return t.to_vector(); });
  }

 private:
  static std::optional<code> in(const kv::ref<blank>& who, operation o, numbers t) {
    return who.call([o, t](blank&) mutable { return refusal([&] { o(t); }); });
  }
};

}  // namespace

TEST_CASE("everybody reads and writes a public table") {
  kv::runtime runtime({.threads = 1});
  const callers c{runtime};
  for (const auto* const all : {&reads, &writes}) {
    for (const auto o : *all) {
      CHECK_FALSE(c.by_owner(o, c.make(table_access::public_)));
      CHECK_FALSE(c.by_stranger(o, c.make(table_access::public_)));
      CHECK_FALSE(c.by_thread(o, c.make(table_access::public_)));
    }
  }
}

TEST_CASE("everybody reads a protected table, and only its owner writes") {
  kv::runtime runtime({.threads = 1});
  const callers c{runtime};
  const auto t = c.make(table_access::protected_);
  for (const auto o : reads) {
    CHECK_FALSE(c.by_owner(o, t));
    CHECK_FALSE(c.by_stranger(o, t));
    CHECK_FALSE(c.by_thread(o, t));
  }
  for (const auto o : writes) {
    CHECK_FALSE(c.by_owner(o, c.make(table_access::protected_)));
    CHECK(c.by_stranger(o, t) == code::access);
    CHECK(c.by_thread(o, t) == code::access);
    CHECK(c.rows(t) == content);
  }
}

TEST_CASE("only its owner reads and writes a private table") {
  kv::runtime runtime({.threads = 1});
  const callers c{runtime};
  const auto t = c.make(table_access::private_);
  for (const auto* const all : {&reads, &writes}) {
    for (const auto o : *all) {
      CHECK_FALSE(c.by_owner(o, c.make(table_access::private_)));
      CHECK(c.by_stranger(o, t) == code::access);
      CHECK(c.by_thread(o, t) == code::access);
      CHECK(c.rows(t) == content);
    }
  }
  CHECK(t.info().size == 1);  // anybody may ask what it is
}

TEST_CASE("a table is protected when nothing else is said") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto t = p.run([&] { return numbers::create(runtime); });
  CHECK(t.info().access == table_access::protected_);
}

TEST_CASE("a refusal says who may not do what, and whose the table is") {
  kv::runtime runtime({.threads = 1});
  probe owner(runtime);
  probe other(runtime);
  auto t = owner.run([&] { return numbers::create(runtime, {.name = "shopping"}); });
  const auto whose = "table shopping, which is protected and owned by " + to_string(owner.id());
  CHECK_THROWS_WITH(t.insert("milk", 1), ("a plain thread may not write to " + whose).c_str());
  other.run([&] {
    CHECK_THROWS_WITH(t.erase("milk"), (to_string(other.id()) + " may not write to " + whose).c_str());
    CHECK_THROWS_WITH(t.drop(), (to_string(other.id()) + " may not drop " + whose).c_str());
  });
}

TEST_CASE("a leaf that runs on another's stack acts in its own right") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = p.run([&] { return numbers::create(runtime); });
  const auto leaf = runtime.spawn<blank_leaf>();
  const auto of_leaf = leaf.call([&](blank_leaf&) { return numbers::create(runtime); });
  const auto write = [](numbers table) {
    return [table](blank_leaf&) mutable { return refusal([&] { table.insert("milk", 1); }); };
  };
  p.run([&] {
    CHECK(leaf.call(write(t)) == code::access);
    CHECK_FALSE(leaf.call(write(of_leaf)));
    CHECK(refusal([&] { numbers(of_leaf).insert("milk", 2); }) == code::access);
  });
}
