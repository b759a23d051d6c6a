// Promises under test: who may do what with a table, and that a refusal says so and changes nothing.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "refusal.hpp"
#include "servers.hpp"

namespace table_access_test {

using kv::table_access;
using kv::testing::probe;

namespace {

using code = kv::table_error::code;

struct price {
  int cents = 0;
  friend bool operator==(const price&, const price&) = default;
};

using prices = kv::table<std::string, price>;
using sorted_prices = kv::table<std::string, price, kv::ordered_set>;
using price_bag = kv::table<std::string, price, kv::bag>;

template <class Table>
using operation = void (*)(Table&);

constexpr auto any = [](const auto&, const auto&) { return true; };
constexpr auto none = [](const auto&, const auto&) { return false; };

// Each with something to do and with nothing.

template <class T>
const std::vector<operation<T>> reads{[](T& t) { t.lookup("milk"); },
                                      [](T& t) { t.lookup("eggs"); },
                                      [](T& t) { t.lookup_many({"milk", "eggs"}); },
                                      [](T& t) { t.lookup_many({}); },
                                      [](T& t) { t.lookup_element("milk", &price::cents); },
                                      [](T& t) { t.lookup_element("eggs", &price::cents); },
                                      [](T& t) { t.read("milk", [](const auto&) {}); },
                                      [](T& t) { t.read("eggs", [](const auto&) {}); },
                                      [](T& t) { t.member("milk"); },
                                      [](T& t) { t.member("eggs"); },
                                      [](T& t) { t.first(); },
                                      [](T& t) { t.last(); },
                                      [](T& t) { t.next("milk"); },
                                      [](T& t) { t.prev("milk"); },
                                      [](T& t) { t.size(); },
                                      [](T& t) { t.to_vector(); },
                                      [](T& t) { t.for_each([](const auto&, const auto&) {}); },
                                      [](T& t) { t.fold(0, [](int n, const auto&, const auto&) { return n; }); },
                                      [](T& t) { t.fold_back(0, [](int n, const auto&, const auto&) { return n; }); },
                                      [](T& t) { t.select(any); },
                                      [](T& t) { t.select(none, 1); },
                                      [](T& t) { t.select_reverse(any); },
                                      [](T& t) { t.select_reverse(none, 1); },
                                      [](T& t) { t.select_count(none); },
                                      [](T& t) { t.match({3}); },
                                      [](T& t) { t.match({7}, 1); }};

template <class T>
const std::vector<operation<T>> writes{[](T& t) { t.insert("milk", {7}); },
                                       [](T& t) { t.insert("eggs", {7}); },
                                       [](T& t) { t.insert({{"milk", {7}}, {"eggs", {7}}}); },
                                       [](T& t) { t.insert({}); },
                                       [](T& t) { t.insert_new("eggs", {7}); },
                                       [](T& t) { t.insert_new("milk", {7}); },
                                       [](T& t) { t.insert_new({{"bread", {7}}, {"eggs", {7}}}); },
                                       [](T& t) { t.insert_new({{"bread", {7}}, {"milk", {7}}}); },
                                       [](T& t) { t.insert_new({}); },
                                       [](T& t) { t.erase_if_equal("milk", {3}); },
                                       [](T& t) { t.erase_if_equal("milk", {4}); },
                                       [](T& t) { t.erase_if_equal("eggs", {4}); },
                                       [](T& t) { t.erase("milk"); },
                                       [](T& t) { t.erase("eggs"); },
                                       [](T& t) { t.take("milk"); },
                                       [](T& t) { t.take("eggs"); },
                                       [](T& t) { t.select_delete(any); },
                                       [](T& t) { t.select_delete(none); },
                                       [](T& t) { t.clear(); }};

constexpr auto raise = [](const price& old) { return price{old.cents + 1}; };
constexpr auto raise_row = [](const auto&, const price& old) { return raise(old); };
const auto count_cents = kv::add(1).to(&price::cents);

/// What a bag has not.
template <class T>
const std::vector<operation<T>> changes{[](T& t) { t.update("milk", raise); },
                                        [](T& t) { t.update("eggs", raise); },
                                        [](T& t) { t.update("eggs", raise, {}); },
                                        [](T& t) { t.update_element("milk", &price::cents, 7); },
                                        [](T& t) { t.update_element("eggs", &price::cents, 7); },
                                        [](T& t) { t.update_element("eggs", &price::cents, 7, {}); },
                                        [](T& t) { t.replace_if("milk", {3}, {7}); },
                                        [](T& t) { t.replace_if("milk", {4}, {7}); },
                                        [](T& t) { t.replace_if("eggs", {4}, {7}); },
                                        [](T& t) { t.update_counter("milk", count_cents); },
                                        [](T& t) { t.update_counter("eggs", count_cents); },
                                        [](T& t) { t.update_counter("eggs", count_cents, {}); },
                                        [](T& t) { t.update_counter("milk", std::vector{count_cents}); },
                                        [](T& t) { t.update_counter("milk", std::vector{count_cents}, {}); },
                                        [](T& t) { t.select_replace(any, raise_row); },
                                        [](T& t) { t.select_replace(none, raise_row); }};

template <class T>
std::vector<operation<T>> all_writes() {
  auto result = writes<T>;
  if constexpr (!std::is_same_v<T, price_bag>) result.insert(result.end(), changes<T>.begin(), changes<T>.end());
  return result;
}

const std::vector<std::pair<std::string, price>> content{{"milk", {3}}};

/// Three kinds of callers: the owner, another process, a plain thread.
template <class Table>
struct callers {
  kv::runtime& home;
  kv::ref<blank> owner = home.spawn<blank>();
  kv::ref<blank> stranger = home.spawn<blank>();

  std::optional<code> by_owner(operation<Table> o, Table t) const { return in(owner, o, t); }
  std::optional<code> by_stranger(operation<Table> o, Table t) const { return in(stranger, o, t); }
  static std::optional<code> by_thread(operation<Table> o, Table t) {
    return refusal([&] { o(t); });
  }
  Table make(table_access access) const {
    auto t = Table::create(home, {.name = {}, .access = access, .owner = owner});
    in(owner, [](Table& fresh) { fresh.insert("milk", {3}); }, t);
    return t;
  }
  std::vector<std::pair<std::string, price>> rows(const Table& t) const {
    return owner.call([t](blank&) { return t.to_vector(); });
  }

 private:
  static std::optional<code> in(const kv::ref<blank>& who, operation<Table> o, Table t) {
    return who.call([o, t](blank&) mutable { return refusal([&] { o(t); }); });
  }
};

}  // namespace

TEST_CASE_TEMPLATE("everybody reads and writes a public table", Table, prices, sorted_prices, price_bag) {
  kv::runtime runtime({.threads = 1});
  const callers<Table> c{runtime};
  for (const auto& all : {reads<Table>, all_writes<Table>()}) {
    for (const auto o : all) {
      CHECK_FALSE(c.by_owner(o, c.make(table_access::public_)));
      CHECK_FALSE(c.by_stranger(o, c.make(table_access::public_)));
      CHECK_FALSE(c.by_thread(o, c.make(table_access::public_)));
    }
  }
}

TEST_CASE_TEMPLATE("everybody reads a protected table, and only its owner writes", Table, prices, sorted_prices,
                   price_bag) {
  kv::runtime runtime({.threads = 1});
  const callers<Table> c{runtime};
  const auto t = c.make(table_access::protected_);
  for (const auto o : reads<Table>) {
    CHECK_FALSE(c.by_owner(o, t));
    CHECK_FALSE(c.by_stranger(o, t));
    CHECK_FALSE(c.by_thread(o, t));
  }
  for (const auto o : all_writes<Table>()) {
    CHECK_FALSE(c.by_owner(o, c.make(table_access::protected_)));
    CHECK(c.by_stranger(o, t) == code::access);
    CHECK(c.by_thread(o, t) == code::access);
    CHECK(c.rows(t) == content);
  }
}

TEST_CASE_TEMPLATE("only its owner reads and writes a private table", Table, prices, sorted_prices, price_bag) {
  kv::runtime runtime({.threads = 1});
  const callers<Table> c{runtime};
  const auto t = c.make(table_access::private_);
  for (const auto& all : {reads<Table>, all_writes<Table>()}) {
    for (const auto o : all) {
      CHECK_FALSE(c.by_owner(o, c.make(table_access::private_)));
      CHECK(c.by_stranger(o, t) == code::access);
      CHECK(c.by_thread(o, t) == code::access);
      CHECK(c.rows(t) == content);
    }
  }
  CHECK(t.info().size == 1);  // anybody may ask what it is
}

TEST_CASE_TEMPLATE("nobody reads or writes a table without rows that is not theirs", Table, prices, sorted_prices,
                   price_bag) {
  kv::runtime runtime({.threads = 1});
  const auto t =
      Table::create(runtime, {.name = {}, .access = table_access::private_, .owner = runtime.spawn<blank>()});
  for (const auto& all : {reads<Table>, all_writes<Table>()}) {
    for (const auto o : all) CHECK(callers<Table>::by_thread(o, t) == code::access);
  }
}

TEST_CASE_TEMPLATE("a table that was dropped is refused to everybody", Table, prices, sorted_prices, price_bag) {
  kv::runtime runtime({.threads = 1});
  const callers<Table> c{runtime};
  for (const auto access : {table_access::public_, table_access::protected_, table_access::private_}) {
    auto t = c.make(access);
    c.owner.call([&](blank&) { t.drop(); });
    for (const auto& all : {reads<Table>, all_writes<Table>()}) {
      for (const auto o : all) {
        CHECK(c.by_owner(o, t) == code::no_table);
        CHECK(c.by_stranger(o, t) == code::no_table);
        CHECK(c.by_thread(o, t) == code::no_table);
      }
    }
  }
}

TEST_CASE("a table is protected when nothing else is said") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto t = p.run([&] { return prices::create(runtime); });
  CHECK(t.info().access == table_access::protected_);
}

TEST_CASE("a refusal says who may not do what, and whose the table is") {
  kv::runtime runtime({.threads = 1});
  probe owner(runtime);
  probe other(runtime);
  auto t = owner.run([&] { return prices::create(runtime, {.name = "shopping"}); });
  const auto whose = "table shopping, which is protected and owned by " + to_string(owner.id());
  CHECK_THROWS_WITH(t.insert("milk", {1}), ("a plain thread may not write to " + whose).c_str());
  other.run([&] {
    CHECK_THROWS_WITH(t.erase("milk"), (to_string(other.id()) + " may not write to " + whose).c_str());
    CHECK_THROWS_WITH(t.drop(), (to_string(other.id()) + " may not drop " + whose).c_str());
  });
}

TEST_CASE("a leaf that runs on another's stack acts in its own right") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = p.run([&] { return prices::create(runtime); });
  const auto leaf = runtime.spawn<blank_leaf>();
  const auto of_leaf = leaf.call([&](blank_leaf&) { return prices::create(runtime); });
  const auto write = [](prices table) {
    return [table](blank_leaf&) mutable { return refusal([&] { table.insert("milk", {1}); }); };
  };
  p.run([&] {
    CHECK(leaf.call(write(t)) == code::access);
    CHECK_FALSE(leaf.call(write(of_leaf)));
    CHECK(refusal([&] { prices(of_leaf).insert("milk", {2}); }) == code::access);
  });
}

}  // namespace table_access_test
